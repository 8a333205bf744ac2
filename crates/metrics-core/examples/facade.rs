//! Records what libraries say through the `metrics` facade, and shows what could not be had.

use brolly_metrics_core::{Format, MetricsBridge, Registry};
use metrics::{counter, describe_histogram, gauge, histogram};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let registry = Registry::new();
    let bridge = MetricsBridge::new(&registry)?;
    bridge.declare_labels("requests", ["method", "status"]);
    bridge.install()?;

    describe_histogram!("latency", metrics::Unit::Seconds, "How long requests took");
    counter!("requests", "method" => "GET").increment(1);
    counter!("requests", "method" => "GET", "status" => "200").increment(3);
    histogram!("latency").record(0.012);
    gauge!("queue.depth").set(7.0);
    // Both would be exposed under one name: the second is refused and counted.
    gauge!("queue_depth").set(8.0);

    println!("{:?}", bridge.stats());
    print!("{}", registry.encode(Format::Text));
    Ok(())
}
