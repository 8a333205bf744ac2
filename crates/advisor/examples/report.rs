//! A report over a thousand metrics: what it says of one cache, and how long it takes.
//!
//! `cargo run --release -p brolly-advisor --example report`

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use brolly_advisor::{Advisor, AdvisorConfig};
use brolly_metrics_core::{
    Buckets, FamilySnapshot, GaugeMerge, GaugeSnapshot, HistogramSnapshot, SeriesSnapshot,
    Snapshot, Unit,
};

fn main() {
    let mut advisor = Advisor::new(AdvisorConfig::default());
    let snapshots = (0..200).map(snapshot);
    let snapshots: Vec<_> = snapshots.map(Arc::new).collect();
    let series = count(&snapshots[0]);
    let mut times = Vec::new();
    let mut last = None;
    for snapshot in snapshots {
        let begun = Instant::now();
        last = Some(advisor.observe(snapshot));
        times.push(begun.elapsed());
    }
    times.sort();
    let report = last.expect("there were snapshots");
    let cache = &report.caches[0];
    println!("cache {}: {}", cache.name, cache.health);
    for ailment in &cache.ailments {
        println!("  {ailment}");
    }
    for advice in &cache.advice {
        println!("  {advice}");
    }
    println!(
        "{} caches, {} pools, {} alerts, overall {}",
        report.caches.len(),
        report.pools.len(),
        report.alerts.len(),
        report.health.overall
    );
    println!(
        "a report over {series} series: median {:?}, slowest {:?}",
        times[times.len() / 2],
        times[times.len() - 1]
    );
}

/// Caches and pools with 1,000 series between them, half a minute after the snapshot before.
fn snapshot(step: u64) -> Snapshot {
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + 30 * step);
    let mut snapshot = Snapshot::empty(at);
    let total = |each: u64| move |of: u64| step * (each + of);
    let gauge = |value: f64| move |_| GaugeSnapshot::new(value, GaugeMerge::Sum);
    snapshot.counters = vec![
        family("brolly_cache_evictions_total", "cache", total(10)),
        family("brolly_cache_hits_total", "cache", total(100)),
        family("brolly_cache_misses_total", "cache", total(150)),
        family("brolly_cache_sets_total", "cache", total(100)),
        family("brolly_pool_errors_total", "pool", total(1)),
        family("brolly_pool_exhaustions_total", "pool", |_| 0),
        family("brolly_pool_hits_total", "pool", total(500)),
        family("brolly_pool_misses_total", "pool", total(5)),
    ];
    snapshot.gauges = vec![
        family("brolly_cache_memory_bytes", "cache", gauge(60e6)),
        family("brolly_pool_active", "pool", gauge(7.0)),
        family("brolly_pool_idle", "pool", gauge(3.0)),
        family("brolly_pool_max", "pool", gauge(10.0)),
    ];
    let samples = (0..20 * step).map(|n| 0.001 * (1.0 + (n % 7) as f64));
    let times = HistogramSnapshot::of(Unit::Seconds, Buckets::default(), samples);
    snapshot.histograms = vec![
        family("brolly_cache_access_seconds", "cache", |_| times.clone()),
        family("brolly_pool_wait_seconds", "pool", |_| times.clone()),
    ];
    snapshot
}

/// 72 series: fourteen such families have 1,008.
fn family<T>(name: &str, label: &str, value: impl Fn(u64) -> T) -> FamilySnapshot<T> {
    let series = (0..72).map(|of| SeriesSnapshot {
        label_values: vec![format!("{label}-{of:02}")],
        value: value(of),
    });
    FamilySnapshot {
        name: name.to_owned(),
        help: String::new(),
        unit: Unit::None,
        label_names: vec![label.to_owned()],
        series: series.collect(),
    }
}

fn count(snapshot: &Snapshot) -> usize {
    let counters = snapshot.counters.iter().map(|family| family.series.len());
    let gauges = snapshot.gauges.iter().map(|family| family.series.len());
    let histograms = snapshot.histograms.iter().map(|family| family.series.len());
    counters.chain(gauges).chain(histograms).sum()
}
