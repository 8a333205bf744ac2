//! `metrics` with `metrics-exporter-prometheus`.
//!
//! The recorder is used directly, which spares the facade's look into a thread-local; its upkeep,
//! without which histograms grow without bound, belongs to the measured time.

use std::time::Instant;

use metrics::{Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use crate::metrics_core::data::{self, CLASSIC, LABELS, LabelSet, Sample};
use crate::metrics_core::faces::{self, BucketChoice, Reading};

const NAME: &str = "metrics + exporter";
static METADATA: Metadata<'static> = Metadata::new("benches", Level::INFO, None);

struct Instance {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

impl Instance {
    fn new(builder: PrometheusBuilder) -> Self {
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        Self { recorder, handle }
    }

    fn classic() -> Self {
        let builder = PrometheusBuilder::new().set_buckets(&CLASSIC);
        Self::new(builder.expect("the bounds are not empty"))
    }

    fn counter(&self, key: &Key) -> metrics::Counter {
        self.recorder.register_counter(key, &METADATA)
    }

    fn histogram(&self, key: &Key) -> metrics::Histogram {
        self.recorder.register_histogram(key, &METADATA)
    }

    /// The sum of all samples of this name.
    fn read(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let page = self.handle.render();
        let lines = data::parse(page.as_bytes()).unwrap_or_default();
        let of_name = lines.iter().filter(|line| {
            let has =
                |(label, value): &(&str, &str)| line.1.get(*label).is_some_and(|it| it == value);
            line.0 == name && labels.iter().all(has)
        });
        of_name.map(|(.., value)| value).sum()
    }
}

pub struct Counter {
    instance: Instance,
    counter: metrics::Counter,
}

impl faces::Counter for Counter {
    const NAME: &'static str = NAME;

    fn new() -> Self {
        let instance = Instance::new(PrometheusBuilder::new());
        let counter = instance.counter(&Key::from_name("requests_total"));
        Self { instance, counter }
    }

    fn inc(&self) {
        self.counter.increment(1);
    }

    fn total(&self) -> u64 {
        self.instance.read("requests_total", &[]) as u64
    }
}

pub struct Gauge {
    instance: Instance,
    gauge: metrics::Gauge,
}

impl faces::Gauge for Gauge {
    const NAME: &'static str = NAME;

    fn new() -> Self {
        let instance = Instance::new(PrometheusBuilder::new());
        let key = Key::from_name("level");
        let gauge = instance.recorder.register_gauge(&key, &METADATA);
        Self { instance, gauge }
    }

    fn set(&self, value: f64) {
        self.gauge.set(value);
    }

    fn value(&self) -> f64 {
        self.instance.read("level", &[])
    }
}

pub struct Histogram {
    instance: Instance,
    histogram: metrics::Histogram,
}

impl faces::Histogram for Histogram {
    const NAME: &'static str = NAME;
    type Recorder = metrics::Histogram;

    fn new() -> Self {
        let instance = Instance::classic();
        let histogram = instance.histogram(&Key::from_name("seconds"));
        Self {
            instance,
            histogram,
        }
    }

    fn recorder(&self) -> Self::Recorder {
        self.histogram.clone()
    }

    fn upkeep(&mut self) {
        self.instance.handle.run_upkeep();
    }

    fn read(&mut self) -> Reading {
        Reading {
            count: self.instance.read("seconds_count", &[]) as u64,
            buckets: self.instance.read("seconds_bucket", &[("le", "+Inf")]) as u64,
            sum: Some(self.instance.read("seconds_sum", &[])),
            ..Reading::default()
        }
    }
}

impl faces::Recorder for metrics::Histogram {
    fn record(&mut self, sample: Sample) {
        metrics::Histogram::record(self, sample.seconds);
    }
}

/// Quantiles of its default summary, in seconds.
pub fn quantiles(samples: &[Sample], quantiles: &[f64]) -> Vec<f64> {
    let builder = PrometheusBuilder::new().set_quantiles(quantiles);
    let instance = Instance::new(builder.expect("the quantiles are not empty"));
    let histogram = instance.histogram(&Key::from_name("seconds"));
    for chunk in samples.chunks(10_000) {
        chunk
            .iter()
            .for_each(|sample| histogram.record(sample.seconds));
        instance.handle.run_upkeep();
    }
    let at = |q: &f64| instance.read("seconds", &[("quantile", &q.to_string())]);
    quantiles.iter().map(at).collect()
}

pub struct Timer {
    instance: Instance,
    outcomes: [metrics::Histogram; 2],
}

impl faces::Timer for Timer {
    const NAME: &'static str = NAME;

    fn new() -> Self {
        let instance = Instance::classic();
        let outcomes = ["success", "error"].map(|outcome| {
            let labels = vec![Label::new("outcome", outcome)];
            instance.histogram(&Key::from_parts("seconds", labels))
        });
        Self { instance, outcomes }
    }

    fn time(&self, work: impl FnOnce() -> Result<(), ()>) {
        let start = Instant::now();
        let outcome = usize::from(work().is_err());
        self.outcomes[outcome].record(start.elapsed());
    }

    fn upkeep(&self) {
        self.instance.handle.run_upkeep();
    }

    fn counts(&self) -> (u64, u64) {
        let count = |outcome| self.instance.read("seconds_count", &[("outcome", outcome)]) as u64;
        (count("success"), count("error"))
    }
}

/// Borrowed text must become owned before it can be looked up.
fn key(name: &'static str, labels: [&str; 2]) -> Key {
    let [route, status] = labels.map(str::to_owned);
    let labels = vec![Label::new(LABELS[0], route), Label::new(LABELS[1], status)];
    Key::from_parts(name, labels)
}

pub struct Family(Instance);

impl faces::Family for Family {
    const NAME: &'static str = NAME;

    fn new(_: Option<usize>) -> Self {
        Self(Instance::new(PrometheusBuilder::new()))
    }

    fn inc(&self, labels: [&str; 2]) {
        self.0.counter(&key("requests_total", labels)).increment(1);
    }

    fn total(&self, [route, status]: [&str; 2]) -> u64 {
        let labels = [(LABELS[0], route), (LABELS[1], status)];
        self.0.read("requests_total", &labels) as u64
    }

    fn sum(&self) -> u64 {
        self.0.read("requests_total", &[]) as u64
    }
}

pub struct Page {
    instance: Instance,
    text: Vec<u8>,
}

impl Page {
    fn of(instance: Instance) -> Self {
        Self {
            instance,
            text: Vec::new(),
        }
    }
}

impl faces::Page for Page {
    const NAME: &'static str = NAME;

    fn of_counters(sets: &[LabelSet]) -> Self {
        let instance = Instance::new(PrometheusBuilder::new());
        for (place, [route, status]) in sets.iter().enumerate() {
            let counter = instance.counter(&key("requests_total", [route, status]));
            counter.increment(place as u64 + 1);
        }
        Self::of(instance)
    }

    fn of_histograms(sets: &[LabelSet], samples: &[Sample], buckets: BucketChoice) -> Self {
        let instance = match buckets {
            BucketChoice::Default => Instance::new(PrometheusBuilder::new()),
            BucketChoice::Classic => Instance::classic(),
        };
        for [route, status] in sets {
            let histogram = instance.histogram(&key("seconds", [route, status]));
            samples
                .iter()
                .for_each(|sample| histogram.record(sample.seconds));
        }
        instance.handle.run_upkeep();
        Self::of(instance)
    }

    fn encode(&mut self) -> &[u8] {
        self.text.clear();
        let written = self.instance.handle.render_to_write(&mut self.text);
        written.expect("writing to memory does not fail");
        &self.text
    }
}
