//! A report of `brolly-advisor` over a thousand series. No peer does this.

use std::sync::Arc;
use std::time::{Duration, Instant};

use brolly_advisor::{Advisor, AdvisorConfig, Level};
use brolly_metrics_core::{Counter, Family, Gauge, Histogram, Registry, Snapshot, Unit};

use super::CRATE;
use super::data::Shape;
use super::hot::expect;
use crate::axis::Axis;
use crate::driver::{Contest, Effort, Goal, Measured};
use crate::record::{Better, median};

const CACHES: usize = 72;
const POOLS: usize = 57;
const SERIES: usize = CACHES * 6 + POOLS * 10;
/// More than the advisor keeps, so that it has its full history.
const STEPS: usize = 48;
const BOUND_MS: f64 = 1.0;

/// A program with many caches and pools.
struct Program {
    registry: Registry,
    cache_counters: Vec<(Family<Counter, 1>, u64)>,
    cache_gauges: Vec<(Family<Gauge, 1>, f64)>,
    cache_times: Vec<Family<Histogram, 1>>,
    pool_counters: Vec<(Family<Counter, 1>, u64)>,
    pool_gauges: Vec<(Family<Gauge, 1>, f64)>,
    pool_times: Vec<Family<Histogram, 1>>,
}

impl Program {
    fn new() -> Self {
        let registry = Registry::new();
        let valid = "the advisor's names are valid";
        let counter = |name: &str, label: &'static str, each: u64| {
            let name = format!("brolly_{label}_{name}");
            let family = registry.counter(&name).labels([label]).register();
            (family.expect(valid), each)
        };
        let gauge = |name: &str, label: &'static str, value: f64| {
            let name = format!("brolly_{label}_{name}");
            let family = registry.gauge(&name).labels([label]).register();
            (family.expect(valid), value)
        };
        let times = |name: &str, label: &'static str| {
            let name = format!("brolly_{label}_{name}");
            let family = registry.histogram(&name).unit(Unit::Seconds);
            family.labels([label]).register().expect(valid)
        };
        Self {
            cache_counters: vec![
                counter("hits_total", "cache", 100),
                counter("misses_total", "cache", 150),
                counter("evictions_total", "cache", 10),
                counter("sets_total", "cache", 100),
            ],
            cache_gauges: vec![gauge("memory_bytes", "cache", 60e6)],
            cache_times: vec![times("access_seconds", "cache")],
            pool_counters: vec![
                counter("hits_total", "pool", 500),
                counter("misses_total", "pool", 5),
                counter("errors_total", "pool", 1),
                counter("exhaustions_total", "pool", 0),
            ],
            pool_gauges: vec![
                gauge("active", "pool", 7.0),
                gauge("idle", "pool", 3.0),
                gauge("min", "pool", 2.0),
                gauge("max", "pool", 10.0),
            ],
            pool_times: vec![times("wait_seconds", "pool"), times("hold_seconds", "pool")],
            registry,
        }
    }

    /// Half a minute of work for each step, and a snapshot after it.
    fn snapshots(&self) -> Vec<Arc<Snapshot>> {
        let samples = Shape::Lognormal.samples(STEPS * 10);
        let step = |samples: &[super::data::Sample]| {
            let work =
                |names: usize, counters: &[(Family<Counter, 1>, u64)], gauges: &[_], times| {
                    let times: &[Family<Histogram, 1>] = times;
                    for name in (0..names).map(|number| format!("number-{number}")) {
                        for (family, each) in counters {
                            family.get([&name]).add(*each);
                        }
                        for (family, value) in gauges {
                            let family: &Family<Gauge, 1> = family;
                            family.get([&name]).set(*value);
                        }
                        for family in times {
                            let series = family.get([&name]);
                            samples.iter().for_each(|it| series.observe(it.seconds));
                        }
                    }
                };
            let cache_times = &self.cache_times;
            work(
                CACHES,
                &self.cache_counters,
                &self.cache_gauges,
                cache_times,
            );
            work(
                POOLS,
                &self.pool_counters,
                &self.pool_gauges,
                &self.pool_times,
            );
            self.registry.snapshot()
        };
        let mut snapshots: Vec<Snapshot> = samples.chunks(10).map(step).collect();
        let begun = snapshots[0].timestamp;
        for (number, snapshot) in (0..).zip(&mut snapshots) {
            snapshot.timestamp = begun + Duration::from_secs(30 * number);
        }
        snapshots.into_iter().map(Arc::new).collect()
    }
}

fn series_of(snapshot: &Snapshot) -> usize {
    let counters = snapshot.counters.iter().map(|it| it.series.len());
    let gauges = snapshot.gauges.iter().map(|it| it.series.len());
    let histograms = snapshot.histograms.iter().map(|it| it.series.len());
    counters.chain(gauges).chain(histograms).sum()
}

/// Milliseconds of a report, as the median over the second half of the steps.
fn report(snapshots: &[Arc<Snapshot>]) -> Measured {
    let mut advisor = Advisor::new(AdvisorConfig::default());
    let mut times = Vec::new();
    for snapshot in snapshots {
        let snapshot = Arc::clone(snapshot);
        let start = Instant::now();
        let report = advisor.observe(snapshot);
        times.push(start.elapsed().as_secs_f64() * 1e3);
        expect("the number of caches", report.caches.len(), CACHES)?;
        expect("the number of pools", report.pools.len(), POOLS)?;
        // Two of five lookups hit.
        expect("the health", report.health.overall, Level::Degraded)?;
    }
    Ok(median(&times[times.len() / 2..]))
}

pub(super) fn axes() -> Vec<Axis> {
    let name = "advisor_report_1k_series";
    vec![Axis::new(name, move |effort: Effort| {
        let snapshots = Program::new().snapshots();
        for snapshot in &snapshots {
            expect("the number of series", series_of(snapshot), SERIES)?;
        }
        let goal = Goal::Bound("1 ms", BOUND_MS);
        Contest::new(CRATE, name, "ms", Better::Lower, goal)
            .ours(|| report(&snapshots))
            .run(effort, effort.pick(7, 21))
    })]
}
