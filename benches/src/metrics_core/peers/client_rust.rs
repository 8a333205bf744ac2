//! `prometheus-client` (client_rust).

use std::time::Instant;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::{counter, family, gauge, histogram};
use prometheus_client::registry::Registry;

use crate::metrics_core::data::{self, CLASSIC, LabelSet, Sample};
use crate::metrics_core::faces::{self, BucketChoice, Reading};

const NAME: &str = "prometheus-client";

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
        self.0.get()
    }
}

pub struct Gauge(gauge::Gauge<f64, std::sync::atomic::AtomicU64>);

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

/// It can only be read by encoding.
pub struct Histogram {
    histogram: histogram::Histogram,
    registry: Registry,
    text: String,
}

impl faces::Histogram for Histogram {
    const NAME: &'static str = NAME;
    type Recorder = histogram::Histogram;

    fn new() -> Self {
        let histogram = new_histogram();
        let mut registry = Registry::default();
        registry.register("seconds", "Seconds", histogram.clone());
        Self {
            histogram,
            registry,
            text: String::new(),
        }
    }

    fn recorder(&self) -> Self::Recorder {
        self.histogram.clone()
    }

    fn read(&mut self) -> Reading {
        self.text.clear();
        text::encode(&mut self.text, &self.registry).expect("writing to a string does not fail");
        let mut reading = Reading::default();
        for line in self.text.lines() {
            let Some((name, value)) = line.rsplit_once(' ') else {
                continue;
            };
            match name {
                "seconds_sum" => reading.sum = value.parse().ok(),
                "seconds_count" => reading.count = value.parse().unwrap_or(0),
                "seconds_bucket{le=\"+Inf\"}" => reading.buckets = value.parse().unwrap_or(0),
                _ => {}
            }
        }
        reading
    }
}

impl faces::Recorder for histogram::Histogram {
    fn record(&mut self, sample: Sample) {
        self.observe(sample.seconds);
    }
}

pub struct Timer([Histogram; 2]);

impl faces::Timer for Timer {
    const NAME: &'static str = NAME;

    fn new() -> Self {
        Self([(); 2].map(|()| faces::Histogram::new()))
    }

    fn time(&self, work: impl FnOnce() -> Result<(), ()>) {
        let start = Instant::now();
        let outcome = usize::from(work().is_err());
        let histogram = &self.0[outcome].histogram;
        histogram.observe(start.elapsed().as_secs_f64());
    }

    fn counts(&self) -> (u64, u64) {
        let count = |at: usize| {
            let mut text = String::new();
            text::encode(&mut text, &self.0[at].registry)
                .expect("writing to a string does not fail");
            let lines = data::parse(text.as_bytes()).unwrap_or_default();
            let count = lines.iter().find(|(name, ..)| name == "seconds_count");
            count.map_or(0, |(.., value)| *value as u64)
        };
        (count(0), count(1))
    }
}

/// Borrowed text must become owned before it can be looked up.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
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
        registry.register("requests", "Requests", family.clone());
        Self { family, registry }
    }

    fn inc(&self, labels: [&str; 2]) {
        self.family.get_or_create(&Labels::of(labels)).inc();
    }

    fn total(&self, labels: [&str; 2]) -> u64 {
        self.family.get_or_create(&Labels::of(labels)).get()
    }

    fn sum(&self) -> u64 {
        let mut text = String::new();
        text::encode(&mut text, &self.registry).expect("writing to a string does not fail");
        let lines = data::parse(text.as_bytes()).unwrap_or_default();
        lines.iter().map(|(.., value)| *value as u64).sum()
    }
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
            let labels = Labels::of_set(set);
            family.get_or_create(&labels).inc_by(place as u64 + 1);
        }
        let mut registry = Registry::default();
        registry.register("requests", "Requests", family);
        Self {
            registry,
            text: String::new(),
        }
    }

    fn of_histograms(sets: &[LabelSet], samples: &[Sample], _: BucketChoice) -> Self {
        let new: fn() -> histogram::Histogram = new_histogram;
        let family = family::Family::<Labels, histogram::Histogram>::new_with_constructor(new);
        for set in sets {
            let series = family.get_or_create(&Labels::of_set(set));
            for sample in samples {
                series.observe(sample.seconds);
            }
        }
        let mut registry = Registry::default();
        registry.register("seconds", "Seconds", family);
        Self {
            registry,
            text: String::new(),
        }
    }

    fn encode(&mut self) -> &[u8] {
        self.text.clear();
        text::encode(&mut self.text, &self.registry).expect("writing to a string does not fail");
        self.text.as_bytes()
    }
}
