//! `brolly-metrics-core`.

use brolly_metrics_core::{Family as OwnFamily, Format, HistogramSnapshot, Registry, Unit};

use super::data::{CLASSIC, LABELS, LabelSet, Sample};
use super::faces::{self, BucketChoice, Reading};

const NAME: &str = "ours";
const VALID: &str = "the bench's own names are valid";

pub struct Counter(brolly_metrics_core::Counter);

impl faces::Counter for Counter {
    const NAME: &'static str = NAME;

    fn new() -> Self {
        let counter = Registry::new().counter("requests_total").register();
        Self(counter.expect(VALID))
    }

    fn inc(&self) {
        self.0.inc();
    }

    fn total(&self) -> u64 {
        self.0.value()
    }
}

pub struct Gauge(brolly_metrics_core::Gauge);

impl faces::Gauge for Gauge {
    const NAME: &'static str = NAME;

    fn new() -> Self {
        Self(Registry::new().gauge("level").register().expect(VALID))
    }

    fn set(&self, value: f64) {
        self.0.set(value);
    }

    fn value(&self) -> f64 {
        self.0.value()
    }
}

fn new_histogram() -> brolly_metrics_core::Histogram {
    let registry = Registry::new();
    let histogram = registry.histogram("seconds").unit(Unit::Seconds);
    histogram.register().expect(VALID)
}

fn read(snapshot: &HistogramSnapshot) -> Reading {
    Reading {
        count: snapshot.count(),
        // The count is made of them: there is no second figure.
        buckets: snapshot.count(),
        sum: Some(snapshot.sum()),
        min: snapshot.min(),
        max: snapshot.max(),
    }
}

/// With default buckets, recorded in seconds.
pub struct Histogram(brolly_metrics_core::Histogram);

impl faces::Histogram for Histogram {
    const NAME: &'static str = NAME;
    type Recorder = Seconds;

    fn new() -> Self {
        Self(new_histogram())
    }

    fn recorder(&self) -> Seconds {
        Seconds(self.0.clone())
    }

    fn read(&mut self) -> Reading {
        read(&self.0.snapshot())
    }
}

pub struct Seconds(brolly_metrics_core::Histogram);

impl faces::Recorder for Seconds {
    fn record(&mut self, sample: Sample) {
        self.0.observe(sample.seconds);
    }
}

/// With default buckets, recorded in nanoseconds.
pub struct HistogramOfSteps(brolly_metrics_core::Histogram);

impl faces::Histogram for HistogramOfSteps {
    const NAME: &'static str = NAME;
    type Recorder = Steps;

    fn new() -> Self {
        Self(new_histogram())
    }

    fn recorder(&self) -> Steps {
        Steps(self.0.clone())
    }

    fn read(&mut self) -> Reading {
        read(&self.0.snapshot())
    }
}

pub struct Steps(brolly_metrics_core::Histogram);

impl faces::Recorder for Steps {
    fn record(&mut self, sample: Sample) {
        self.0.record_raw(sample.nanos);
    }
}

/// Quantiles with default buckets, in seconds.
pub fn quantiles(samples: &[Sample], quantiles: &[f64]) -> Vec<f64> {
    let histogram = new_histogram();
    for sample in samples {
        histogram.observe(sample.seconds);
    }
    let snapshot = histogram.snapshot();
    let at = |q: &f64| snapshot.quantile(*q).ok().flatten().unwrap_or(f64::NAN);
    quantiles.iter().map(at).collect()
}

pub struct Timer {
    registry: Registry,
    timer: brolly_metrics_core::Timer,
}

impl faces::Timer for Timer {
    const NAME: &'static str = NAME;

    fn new() -> Self {
        let registry = Registry::new();
        let timer = registry.timer("seconds").register().expect(VALID);
        Self { registry, timer }
    }

    fn time(&self, work: impl FnOnce() -> Result<(), ()>) {
        let guard = self.timer.start();
        match work() {
            Ok(()) => guard.success(),
            Err(()) => guard.error(),
        }
    }

    fn counts(&self) -> (u64, u64) {
        let snapshot = self.registry.snapshot();
        let count = |outcome| {
            let family = snapshot.histogram("seconds")?;
            family.get(&[outcome]).map(HistogramSnapshot::count)
        };
        (
            count("success").unwrap_or_default(),
            count("error").unwrap_or_default(),
        )
    }
}

pub struct Family {
    registry: Registry,
    family: OwnFamily<brolly_metrics_core::Counter, 2>,
}

impl faces::Family for Family {
    const NAME: &'static str = NAME;

    fn new(series: Option<usize>) -> Self {
        let registry = match series {
            Some(series) => Registry::builder().max_series(series).build(),
            None => Registry::new(),
        };
        let family = registry.counter("requests_total").labels(LABELS);
        let family = family.register().expect(VALID);
        Self { registry, family }
    }

    fn inc(&self, labels: [&str; 2]) {
        self.family.with(labels, |counter| counter.inc());
    }

    fn total(&self, labels: [&str; 2]) -> u64 {
        self.family.get(labels).value()
    }

    fn sum(&self) -> u64 {
        let snapshot = self.registry.snapshot();
        let family = snapshot.counter("requests_total");
        family.map_or(0, |it| it.series.iter().map(|series| series.value).sum())
    }
}

pub struct Page {
    registry: Registry,
    text: Vec<u8>,
}

impl Page {
    fn with_room_for(sets: &[LabelSet]) -> Self {
        Self {
            registry: Registry::builder().max_series(sets.len()).build(),
            text: Vec::new(),
        }
    }
}

impl faces::Page for Page {
    const NAME: &'static str = NAME;

    fn of_counters(sets: &[LabelSet]) -> Self {
        let page = Self::with_room_for(sets);
        let family = page.registry.counter("requests_total").labels(LABELS);
        let family = family.register().expect(VALID);
        for (place, [route, status]) in sets.iter().enumerate() {
            family.get([route, status]).add(place as u64 + 1);
        }
        page
    }

    fn of_histograms(sets: &[LabelSet], samples: &[Sample], buckets: BucketChoice) -> Self {
        let page = Self::with_room_for(sets);
        let definition = page.registry.histogram("seconds").unit(Unit::Seconds);
        let definition = match buckets {
            BucketChoice::Default => definition,
            BucketChoice::Classic => definition.bounds(&CLASSIC),
        };
        let family = definition.labels(LABELS).register().expect(VALID);
        for [route, status] in sets {
            let series = family.get([route, status]);
            samples.iter().for_each(|it| series.observe(it.seconds));
        }
        page
    }

    fn encode(&mut self) -> &[u8] {
        self.text.clear();
        self.registry.encode_into(Format::Text, &mut self.text);
        &self.text
    }
}
