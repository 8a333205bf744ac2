//! `prometheus` (rust-prometheus).

use ::prometheus::core::{Collector, Metric};
use ::prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, TextEncoder};

use crate::metrics_core::data::{CLASSIC, LABELS, LabelSet, Sample};
use crate::metrics_core::faces::{self, BucketChoice, Reading};

const NAME: &str = "prometheus";
const VALID: &str = "the bench's own names are valid";

pub struct Counter(::prometheus::IntCounter);

impl faces::Counter for Counter {
    const NAME: &'static str = NAME;

    fn new() -> Self {
        Self(::prometheus::IntCounter::new("requests_total", "Requests").expect(VALID))
    }

    fn inc(&self) {
        self.0.inc();
    }

    fn total(&self) -> u64 {
        self.0.get()
    }
}

pub struct Gauge(::prometheus::Gauge);

impl faces::Gauge for Gauge {
    const NAME: &'static str = NAME;

    fn new() -> Self {
        Self(::prometheus::Gauge::new("level", "Level").expect(VALID))
    }

    fn set(&self, value: f64) {
        self.0.set(value);
    }

    fn value(&self) -> f64 {
        self.0.get()
    }
}

pub struct Histogram(::prometheus::Histogram);

fn options() -> HistogramOpts {
    HistogramOpts::new("seconds", "Seconds").buckets(CLASSIC.to_vec())
}

impl faces::Histogram for Histogram {
    const NAME: &'static str = NAME;
    type Recorder = ::prometheus::Histogram;

    fn new() -> Self {
        Self(::prometheus::Histogram::with_opts(options()).expect(VALID))
    }

    fn recorder(&self) -> Self::Recorder {
        self.0.clone()
    }

    fn read(&mut self) -> Reading {
        let metric = self.0.metric();
        let histogram = metric.get_histogram();
        // It has no bucket above the last bound, and no sample here is above it.
        let last = histogram.get_bucket().last();
        Reading {
            count: histogram.get_sample_count(),
            buckets: last.map_or(0, |bucket| bucket.cumulative_count()),
            sum: Some(histogram.get_sample_sum()),
            ..Reading::default()
        }
    }
}

impl faces::Recorder for ::prometheus::Histogram {
    fn record(&mut self, sample: Sample) {
        self.observe(sample.seconds);
    }
}

pub struct Timer([::prometheus::Histogram; 2]);

impl faces::Timer for Timer {
    const NAME: &'static str = NAME;

    fn new() -> Self {
        Self([(); 2].map(|()| ::prometheus::Histogram::with_opts(options()).expect(VALID)))
    }

    fn time(&self, work: impl FnOnce() -> Result<(), ()>) {
        // Its own timer is bound to a histogram before the outcome is known.
        let start = std::time::Instant::now();
        let outcome = usize::from(work().is_err());
        self.0[outcome].observe(start.elapsed().as_secs_f64());
    }

    fn counts(&self) -> (u64, u64) {
        let [success, error] = &self.0;
        (success.get_sample_count(), error.get_sample_count())
    }
}

pub struct Family(IntCounterVec);

impl faces::Family for Family {
    const NAME: &'static str = NAME;

    fn new(_: Option<usize>) -> Self {
        Self(IntCounterVec::new(Opts::new("requests_total", "Requests"), &LABELS).expect(VALID))
    }

    fn inc(&self, labels: [&str; 2]) {
        self.0.with_label_values(&labels).inc();
    }

    fn total(&self, labels: [&str; 2]) -> u64 {
        self.0.with_label_values(&labels).get()
    }

    fn sum(&self) -> u64 {
        let families = self.0.collect();
        let series = families.iter().flat_map(|family| family.get_metric());
        series.map(|it| it.get_counter().get_value() as u64).sum()
    }
}

pub struct Page {
    registry: Registry,
    text: String,
}

impl Page {
    fn of(collector: impl Collector + 'static) -> Self {
        let registry = Registry::new();
        registry.register(Box::new(collector)).expect(VALID);
        Self {
            registry,
            text: String::new(),
        }
    }
}

impl faces::Page for Page {
    const NAME: &'static str = NAME;

    fn of_counters(sets: &[LabelSet]) -> Self {
        let options = Opts::new("requests_total", "Requests");
        let family = IntCounterVec::new(options, &LABELS).expect(VALID);
        for (place, set) in sets.iter().enumerate() {
            family.with_label_values(set).inc_by(place as u64 + 1);
        }
        Self::of(family)
    }

    fn of_histograms(sets: &[LabelSet], samples: &[Sample], _: BucketChoice) -> Self {
        let family = HistogramVec::new(options(), &LABELS).expect(VALID);
        for set in sets {
            let series = family.with_label_values(set);
            for sample in samples {
                series.observe(sample.seconds);
            }
        }
        Self::of(family)
    }

    fn encode(&mut self) -> &[u8] {
        self.text.clear();
        let families = self.registry.gather();
        TextEncoder::new()
            .encode_utf8(&families, &mut self.text)
            .expect("writing to a string does not fail");
        self.text.as_bytes()
    }
}
