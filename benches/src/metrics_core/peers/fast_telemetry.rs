//! `fast-telemetry`.

use std::sync::Arc;
use std::thread;
use std::time::Instant;

use ::fast_telemetry::{DynamicCounter, DynamicHistogram, GaugeF64, PrometheusExport};

use crate::metrics_core::data::{LABELS, LabelSet, Sample, classic_nanos};
use crate::metrics_core::faces::{self, BucketChoice, Reading};

const NAME: &str = "fast-telemetry";

/// A shard per core, as its documentation advises.
fn shards() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

pub struct Counter(::fast_telemetry::Counter);

impl faces::Counter for Counter {
    const NAME: &'static str = NAME;

    fn new() -> Self {
        Self(::fast_telemetry::Counter::new(shards()))
    }

    fn inc(&self) {
        self.0.inc();
    }

    fn total(&self) -> u64 {
        self.0.sum() as u64
    }
}

pub struct Gauge(GaugeF64);

impl faces::Gauge for Gauge {
    const NAME: &'static str = NAME;

    fn new() -> Self {
        Self(GaugeF64::new())
    }

    fn set(&self, value: f64) {
        self.0.set(value);
    }

    fn value(&self) -> f64 {
        self.0.get()
    }
}

/// The histogram with explicit bounds.
pub struct Histogram(Arc<::fast_telemetry::Histogram>);

impl faces::Histogram for Histogram {
    const NAME: &'static str = NAME;
    type Recorder = Arc<::fast_telemetry::Histogram>;

    fn new() -> Self {
        let bounds = classic_nanos();
        Self(Arc::new(::fast_telemetry::Histogram::new(
            &bounds,
            shards(),
        )))
    }

    fn recorder(&self) -> Self::Recorder {
        Arc::clone(&self.0)
    }

    fn read(&mut self) -> Reading {
        let buckets = self.0.buckets_cumulative_iter().last();
        Reading {
            buckets: buckets.map_or(0, |(_, count)| count),
            count: self.0.count(),
            sum: Some(self.0.sum() as f64 / 1e9),
            ..Reading::default()
        }
    }
}

impl faces::Recorder for Arc<::fast_telemetry::Histogram> {
    fn record(&mut self, sample: Sample) {
        ::fast_telemetry::Histogram::record(self, sample.nanos);
    }
}

/// The distribution with a bucket for each power of two.
pub struct Distribution(Arc<::fast_telemetry::Distribution>);

impl faces::Histogram for Distribution {
    const NAME: &'static str = "fast-telemetry Distribution";
    type Recorder = Arc<::fast_telemetry::Distribution>;

    fn new() -> Self {
        Self(Arc::new(::fast_telemetry::Distribution::new(shards())))
    }

    fn recorder(&self) -> Self::Recorder {
        Arc::clone(&self.0)
    }

    fn read(&mut self) -> Reading {
        let snapshot = self.0.buckets_snapshot();
        Reading {
            buckets: snapshot.zero_count + snapshot.positive.iter().sum::<u64>(),
            count: snapshot.count,
            sum: Some(snapshot.sum as f64 / 1e9),
            ..Reading::default()
        }
    }
}

impl faces::Recorder for Arc<::fast_telemetry::Distribution> {
    fn record(&mut self, sample: Sample) {
        ::fast_telemetry::Distribution::record(self, sample.nanos);
    }
}

/// Quantiles of a distribution, in seconds: the middle of the bucket, as its exports take it.
pub fn quantiles(samples: &[Sample], quantiles: &[f64]) -> Vec<f64> {
    let distribution = ::fast_telemetry::Distribution::new(1);
    for sample in samples {
        distribution.record(sample.nanos);
    }
    let snapshot = distribution.buckets_snapshot();
    let at = |q: &f64| {
        let rank = (q * snapshot.count as f64).ceil() as u64;
        let mut below = 0;
        let mut buckets = snapshot.iter_samples();
        let bucket = buckets.find(|(_, count)| {
            below += count;
            below >= rank
        });
        bucket.map_or(f64::NAN, |(value, _)| value as f64 / 1e9)
    };
    quantiles.iter().map(at).collect()
}

pub struct Timer([::fast_telemetry::Histogram; 2]);

impl faces::Timer for Timer {
    const NAME: &'static str = NAME;

    fn new() -> Self {
        let bounds = classic_nanos();
        Self([(); 2].map(|()| ::fast_telemetry::Histogram::new(&bounds, shards())))
    }

    fn time(&self, work: impl FnOnce() -> Result<(), ()>) {
        // Its own timer samples and is bound to one histogram.
        let start = Instant::now();
        let outcome = usize::from(work().is_err());
        self.0[outcome].record(start.elapsed().as_nanos() as u64);
    }

    fn counts(&self) -> (u64, u64) {
        let [success, error] = &self.0;
        (success.count(), error.count())
    }
}

fn pairs([route, status]: [&str; 2]) -> [(&'static str, &str); 2] {
    [(LABELS[0], route), (LABELS[1], status)]
}

fn pairs_of([route, status]: &LabelSet) -> [(&'static str, &str); 2] {
    pairs([route, status])
}

pub struct Family(DynamicCounter);

impl faces::Family for Family {
    const NAME: &'static str = NAME;

    fn new(series: Option<usize>) -> Self {
        Self(match series {
            Some(series) => DynamicCounter::with_max_series(shards(), series),
            None => DynamicCounter::new(shards()),
        })
    }

    fn inc(&self, labels: [&str; 2]) {
        self.0.inc(&pairs(labels));
    }

    fn total(&self, labels: [&str; 2]) -> u64 {
        self.0.get(&pairs(labels)) as u64
    }

    fn sum(&self) -> u64 {
        self.0.sum_all() as u64
    }
}

pub struct Page {
    metric: Box<dyn PrometheusExport>,
    name: &'static str,
    text: String,
}

impl faces::Page for Page {
    const NAME: &'static str = NAME;

    fn of_counters(sets: &[LabelSet]) -> Self {
        let family = DynamicCounter::with_max_series(shards(), sets.len());
        for (place, set) in sets.iter().enumerate() {
            family.add(&pairs_of(set), place as isize + 1);
        }
        Self {
            metric: Box::new(family),
            name: "requests_total",
            text: String::new(),
        }
    }

    fn of_histograms(sets: &[LabelSet], samples: &[Sample], _: BucketChoice) -> Self {
        let family = DynamicHistogram::with_limits(&classic_nanos(), shards(), sets.len());
        for set in sets {
            for sample in samples {
                family.record(&pairs_of(set), sample.nanos);
            }
        }
        Self {
            metric: Box::new(family),
            name: "nanoseconds",
            text: String::new(),
        }
    }

    fn encode(&mut self) -> &[u8] {
        self.text.clear();
        self.metric
            .export_prometheus(&mut self.text, self.name, "Help");
        self.text.as_bytes()
    }
}
