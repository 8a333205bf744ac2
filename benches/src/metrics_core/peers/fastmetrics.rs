//! `fastmetrics`.

use std::time::Instant;

use ::fastmetrics::derive::LabelSet as DeriveLabelSet;
use ::fastmetrics::format::text::{self, TextProfile};
use ::fastmetrics::metrics::{counter, family, gauge, histogram};
use ::fastmetrics::registry::Registry;

use crate::metrics_core::data::{self, CLASSIC, LabelSet, Sample};
use crate::metrics_core::faces::{self, BucketChoice, Reading};

const NAME: &str = "fastmetrics";
const VALID: &str = "the bench's own names are valid";

pub struct Counter(counter::Counter);

impl faces::Counter for Counter {
    const NAME: &'static str = NAME;

    fn new() -> Self {
        Self(counter::Counter::default())
    }

    fn inc(&self) {
        self.0.inc();
    }

    fn total(&self) -> u64 {
        self.0.total()
    }
}

pub struct Gauge(gauge::Gauge<f64>);

impl faces::Gauge for Gauge {
    const NAME: &'static str = NAME;

    fn new() -> Self {
        Self(gauge::Gauge::default())
    }

    fn set(&self, value: f64) {
        self.0.set(value);
    }

    fn value(&self) -> f64 {
        self.0.get()
    }
}

fn new_histogram() -> histogram::Histogram {
    histogram::Histogram::new(CLASSIC)
}

fn read(histogram: &histogram::Histogram) -> Reading {
    histogram.with_snapshot(|snapshot| Reading {
        count: snapshot.count(),
        buckets: snapshot.buckets().iter().map(|it| it.count()).sum(),
        sum: Some(snapshot.sum()),
        ..Reading::default()
    })
}

pub struct Histogram(histogram::Histogram);

impl faces::Histogram for Histogram {
    const NAME: &'static str = NAME;
    type Recorder = histogram::Histogram;

    fn new() -> Self {
        Self(new_histogram())
    }

    fn recorder(&self) -> Self::Recorder {
        self.0.clone()
    }

    fn read(&mut self) -> Reading {
        read(&self.0)
    }
}

impl faces::Recorder for histogram::Histogram {
    fn record(&mut self, sample: Sample) {
        self.observe(sample.seconds);
    }
}

pub struct Timer([histogram::Histogram; 2]);

impl faces::Timer for Timer {
    const NAME: &'static str = NAME;

    fn new() -> Self {
        Self([(); 2].map(|()| new_histogram()))
    }

    fn time(&self, work: impl FnOnce() -> Result<(), ()>) {
        let start = Instant::now();
        let outcome = usize::from(work().is_err());
        self.0[outcome].observe(start.elapsed().as_secs_f64());
    }

    fn counts(&self) -> (u64, u64) {
        let [success, error] = &self.0;
        (read(success).count, read(error).count)
    }
}

/// Borrowed text must become owned before it can be looked up.
#[derive(Clone, PartialEq, Eq, Hash, DeriveLabelSet)]
struct Labels {
    route: String,
    status: String,
}

impl Labels {
    fn of([route, status]: [&str; 2]) -> Self {
        Self {
            route: route.to_owned(),
            status: status.to_owned(),
        }
    }

    fn of_set([route, status]: &LabelSet) -> Self {
        Self::of([route, status])
    }
}

pub struct Family {
    family: family::Family<Labels, counter::Counter>,
    registry: Registry,
}

impl faces::Family for Family {
    const NAME: &'static str = NAME;

    fn new(_: Option<usize>) -> Self {
        let family = family::Family::default();
        let mut registry = Registry::default();
        registry
            .register("requests", "Requests", family.clone())
            .expect(VALID);
        Self { family, registry }
    }

    fn inc(&self, labels: [&str; 2]) {
        self.family
            .with_or_new(&Labels::of(labels), |counter| counter.inc());
    }

    fn total(&self, labels: [&str; 2]) -> u64 {
        self.family
            .with_or_new(&Labels::of(labels), |counter| counter.total())
    }

    fn sum(&self) -> u64 {
        let mut text = String::new();
        encode(&mut text, &self.registry);
        let lines = data::parse(text.as_bytes()).unwrap_or_default();
        lines.iter().map(|(.., value)| *value as u64).sum()
    }
}

fn encode(text: &mut String, registry: &Registry) {
    text::encode(text, registry, TextProfile::PrometheusV0_0_4)
        .expect("writing to a string does not fail");
}

pub struct Page {
    registry: Registry,
    text: String,
}

impl faces::Page for Page {
    const NAME: &'static str = NAME;

    fn of_counters(sets: &[LabelSet]) -> Self {
        let family = family::Family::<Labels, counter::Counter>::default();
        for (place, set) in sets.iter().enumerate() {
            family.with_or_new(&Labels::of_set(set), |counter| {
                counter.inc_by(place as u64 + 1)
            });
        }
        let mut registry = Registry::default();
        registry
            .register("requests", "Requests", family)
            .expect(VALID);
        Self {
            registry,
            text: String::new(),
        }
    }

    fn of_histograms(sets: &[LabelSet], samples: &[Sample], _: BucketChoice) -> Self {
        let family = family::Family::<Labels, histogram::Histogram>::new(new_histogram);
        for set in sets {
            family.with_or_new(&Labels::of_set(set), |series| {
                for sample in samples {
                    series.observe(sample.seconds);
                }
            });
        }
        let mut registry = Registry::default();
        registry
            .register("seconds", "Seconds", family)
            .expect(VALID);
        Self {
            registry,
            text: String::new(),
        }
    }

    fn encode(&mut self) -> &[u8] {
        self.text.clear();
        encode(&mut self.text, &self.registry);
        self.text.as_bytes()
    }
}
