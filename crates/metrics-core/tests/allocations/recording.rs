//! Recording allocates nothing once its series is known, and a series costs what is said.

use std::hint::black_box;

use brolly_metrics_core::{Registry, Unit};

use crate::{allocations, kept_bytes};

#[test]
fn a_hit_allocates_nothing_and_a_series_stays_small() {
    let registry = Registry::new();
    let counter = registry.counter("c").register().expect("valid");
    let gauge = registry.gauge("g").register().expect("valid");
    let histogram = registry
        .histogram("h")
        .unit(Unit::Seconds)
        .register()
        .expect("valid");
    let timer = registry.timer("t").register().expect("valid");
    let family = registry
        .counter("f")
        .labels(["a", "b"])
        .register()
        .expect("valid");
    let full = registry
        .counter("full")
        .labels(["a"])
        .max_series(1)
        .register()
        .expect("valid");
    let record = || {
        counter.inc();
        gauge.set(1.0);
        histogram.observe(0.005);
        timer.start().success();
        family.with(["GET", "200"], |counter| counter.inc());
        full.with(["one"], |counter| counter.inc());
        full.with(["another"], |counter| counter.inc());
        registry.record("sample", 1.0).expect("valid");
    };
    // The window of a summary grows until it is full.
    (0..2_000).for_each(|_| record());
    // The timer may reach a power of two it has not been in before.
    let allocated = allocations(|| (0..1_000).for_each(|_| record()));
    assert!(allocated <= 8, "{allocated}");

    // 100 samples over three powers of ten.
    let many = registry
        .histogram("many")
        .unit(Unit::Seconds)
        .labels(["n"])
        .register()
        .expect("valid");
    let kept = kept_bytes(|| {
        for series in 0..100 {
            many.with([&series.to_string()], |histogram| {
                for step in 0..100 {
                    histogram.observe(1e-3 * 1.07f64.powi(step));
                }
            });
        }
    });
    assert!(kept / 100 <= 4_500, "{} bytes", kept / 100);
    black_box(&registry);
}
