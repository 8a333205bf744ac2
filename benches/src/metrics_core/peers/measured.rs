//! `measured`.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use ::measured::metric::histogram::Thresholds;
use ::measured::text::BufferedTextEncoder;
use ::measured::{CounterVec, FloatGauge, HistogramVec, LabelGroup, MetricGroup};
use paracord::ParaCord;

use crate::metrics_core::data::{self, CLASSIC, LabelSet, Sample};
use crate::metrics_core::faces::{self, BucketChoice, Reading};

const NAME: &str = "measured";
const BUCKETS: usize = CLASSIC.len();

pub struct Counter(::measured::Counter);

impl faces::Counter for Counter {
    const NAME: &'static str = NAME;

    fn new() -> Self {
        Self(::measured::Counter::new())
    }

    fn inc(&self) {
        self.0.inc();
    }

    fn total(&self) -> u64 {
        self.0.get_metric().count.load(Relaxed)
    }
}

pub struct Gauge(FloatGauge);

impl faces::Gauge for Gauge {
    const NAME: &'static str = NAME;

    fn new() -> Self {
        Self(FloatGauge::new())
    }

    fn set(&self, value: f64) {
        self.0.get_metric().set(value);
    }

    fn value(&self) -> f64 {
        self.0.get_metric().count.get()
    }
}

type Classic = ::measured::Histogram<BUCKETS>;

fn new_histogram() -> Classic {
    Classic::with_metadata(Thresholds::with_buckets(CLASSIC))
}

fn read(histogram: &Classic) -> Reading {
    // As its encoder does: the write lock keeps recorders out.
    let guard = histogram.get_metric();
    let state = guard.inner.write();
    let mut buckets = state.inf.load(Relaxed);
    for bucket in &state.buckets {
        buckets += bucket.load(Relaxed);
    }
    Reading {
        // It has no other count.
        count: buckets,
        buckets,
        sum: Some(state.sum.get()),
        ..Reading::default()
    }
}

pub struct Histogram(Arc<Classic>);

impl faces::Histogram for Histogram {
    const NAME: &'static str = NAME;
    type Recorder = Arc<Classic>;

    fn new() -> Self {
        Self(Arc::new(new_histogram()))
    }

    fn recorder(&self) -> Self::Recorder {
        Arc::clone(&self.0)
    }

    fn read(&mut self) -> Reading {
        read(&self.0)
    }
}

impl faces::Recorder for Arc<Classic> {
    fn record(&mut self, sample: Sample) {
        self.observe(sample.seconds);
    }
}

pub struct Timer([Classic; 2]);

impl faces::Timer for Timer {
    const NAME: &'static str = NAME;

    fn new() -> Self {
        Self([(); 2].map(|()| new_histogram()))
    }

    fn time(&self, work: impl FnOnce() -> Result<(), ()>) {
        let start = Instant::now();
        let outcome = usize::from(work().is_err());
        self.0[outcome].get_metric().observe_duration_since(start);
    }

    fn counts(&self) -> (u64, u64) {
        let [success, error] = &self.0;
        (read(success).count, read(error).count)
    }
}

#[derive(Clone, Copy, PartialEq, Debug, LabelGroup)]
#[label(set = LabelsSet)]
struct Labels<'a> {
    #[label(dynamic_with = ParaCord)]
    route: &'a str,
    #[label(dynamic_with = ParaCord)]
    status: &'a str,
}

impl<'a> Labels<'a> {
    fn of([route, status]: [&'a str; 2]) -> Self {
        Self { route, status }
    }

    fn of_set([route, status]: &'a LabelSet) -> Self {
        Self { route, status }
    }
}

fn interned() -> LabelsSet {
    LabelsSet {
        route: ParaCord::default(),
        status: ParaCord::default(),
    }
}

#[derive(MetricGroup)]
struct Counters {
    /// Requests
    requests_total: CounterVec<LabelsSet>,
}

#[derive(MetricGroup)]
struct Histograms {
    /// Seconds
    seconds: HistogramVec<LabelsSet, BUCKETS>,
}

fn counters() -> Counters {
    Counters {
        requests_total: CounterVec::with_label_set(interned()),
    }
}

fn encode(group: &impl MetricGroup<BufferedTextEncoder>) -> Vec<u8> {
    let mut encoder = BufferedTextEncoder::new();
    let Ok(()) = group.collect_group_into(&mut encoder);
    encoder.finish().to_vec()
}

pub struct Family(Counters);

impl faces::Family for Family {
    const NAME: &'static str = NAME;

    fn new(_: Option<usize>) -> Self {
        Self(counters())
    }

    fn inc(&self, labels: [&str; 2]) {
        self.0.requests_total.inc(Labels::of(labels));
    }

    fn total(&self, labels: [&str; 2]) -> u64 {
        let id = self.0.requests_total.with_labels(Labels::of(labels));
        self.0.requests_total.get_metric(id).count.load(Relaxed)
    }

    fn sum(&self) -> u64 {
        let lines = data::parse(&encode(&self.0)).unwrap_or_default();
        lines.iter().map(|(.., value)| *value as u64).sum()
    }
}

enum Group {
    Counters(Counters),
    Histograms(Histograms),
}

pub struct Page {
    group: Group,
    encoder: BufferedTextEncoder,
    text: bytes::Bytes,
}

impl Page {
    fn of(group: Group) -> Self {
        Self {
            group,
            encoder: BufferedTextEncoder::new(),
            text: bytes::Bytes::new(),
        }
    }
}

impl faces::Page for Page {
    const NAME: &'static str = NAME;

    fn of_counters(sets: &[LabelSet]) -> Self {
        let counters = counters();
        for (place, set) in sets.iter().enumerate() {
            let family = &counters.requests_total;
            family.inc_by(Labels::of_set(set), place as u64 + 1);
        }
        Self::of(Group::Counters(counters))
    }

    fn of_histograms(sets: &[LabelSet], samples: &[Sample], _: BucketChoice) -> Self {
        let thresholds = Thresholds::with_buckets(CLASSIC);
        let seconds = HistogramVec::with_label_set_and_metadata(interned(), thresholds);
        for set in sets {
            for sample in samples {
                seconds.observe(Labels::of_set(set), sample.seconds);
            }
        }
        Self::of(Group::Histograms(Histograms { seconds }))
    }

    fn encode(&mut self) -> &[u8] {
        let Ok(()) = match &self.group {
            Group::Counters(counters) => counters.collect_group_into(&mut self.encoder),
            Group::Histograms(histograms) => histograms.collect_group_into(&mut self.encoder),
        };
        self.text = self.encoder.finish();
        &self.text
    }
}
