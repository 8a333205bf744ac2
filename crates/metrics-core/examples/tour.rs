//! A tour of the crate: one of each instrument, and the page that Prometheus reads.
//!
//! `cargo run -p brolly-metrics-core --example tour | promtool check metrics`

use std::time::Duration;

use brolly_metrics_core::{Format, RegisterError, Registry, Unit, static_label};

static_label! {
    /// How a lookup ended.
    enum Lookup {
        Hit => "hit",
        Miss => "miss",
    }
}

fn main() -> Result<(), RegisterError> {
    let registry = Registry::new();

    // A counter told apart by values that are only known at run time; their number is limited.
    let requests = registry
        .counter("http_requests_total")
        .help("Requests served, by method and status.")
        .labels(["method", "status"])
        .max_series(100)
        .register()?;
    for status in ["200", "200", "404"] {
        requests.with(["GET", status], |requests| requests.inc());
    }

    // One by values that are known at compile time: found without a lookup.
    let lookups = registry
        .counter("cache_lookups_total")
        .help("Lookups in the cache, by result.")
        .typed_labels::<(Lookup,)>(["result"])
        .register()?;
    lookups[(Lookup::Hit,)].add(9);
    lookups[(Lookup::Miss,)].inc();

    // A distribution: quantiles within 0.8 %, whatever the range.
    let latency = registry
        .histogram("http_request_duration_seconds")
        .help("How long requests took.")
        .unit(Unit::Seconds)
        .register()?;
    for millis in 1..=1_000 {
        latency.observe_duration(Duration::from_millis(millis));
    }
    let p99 = latency.snapshot().quantile(0.99).unwrap_or_default();
    eprintln!("p99 of 1..=1000 ms: {:.3} s", p99.unwrap_or_default());

    // The same with bounds of one's own.
    let sizes = registry
        .histogram("http_response_size_bytes")
        .help("How large responses were.")
        .unit(Unit::Bytes)
        .bounds(&[1_000.0, 10_000.0, 100_000.0])
        .register()?;
    sizes.observe(2_345.0);

    // Busy workers, counted by guards that cannot forget to count down.
    let busy = registry
        .int_gauge("workers_busy")
        .help("Workers that are busy now.")
        .register()?;
    let working = busy.track();

    // Time by outcome: success, error, panic, cancelled.
    let job = registry
        .timer("job_duration_seconds")
        .help("How long jobs took, by how they ended.")
        .register()?;
    job.time(|| std::hint::black_box(1 + 1));
    drop(job.start());

    // The last samples of a name, for people.
    registry.record("git_operations.status", 12.5)?;

    // Label values may hold anything.
    requests.with(["\"odd\"\nöäü\\", "500"], |requests| requests.inc());

    print!("{}", registry.encode(Format::Text));
    drop(working);
    Ok(())
}
