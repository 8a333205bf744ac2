//! Counts the events of `tracing` and times its spans.

use brolly_metrics_core::{Format, Registry, SpanTime, TracingLayer};
use tracing_subscriber::layer::SubscriberExt;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let registry = Registry::new();
    let layer = TracingLayer::new(&registry)?.with_span_time(SpanTime::Busy);
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::with_default(subscriber, || {
        for item in 0..3 {
            let import = tracing::info_span!("import", item);
            import.in_scope(|| tracing::debug!("read"));
            if item == 2 {
                tracing::warn!("that was the last one");
            }
        }
    });
    let page = registry.encode(Format::Text);
    for line in page.lines().filter(|line| !line.contains("_bucket")) {
        println!("{line}");
    }
    Ok(())
}
