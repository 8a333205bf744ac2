//! `opentelemetry` with `opentelemetry_sdk`: instruments bound to their attributes, and a reader
//! that collects when it is asked, so that no thread of an exporter disturbs anybody.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use ::opentelemetry::KeyValue;
use ::opentelemetry::metrics::{self, BoundCounter, BoundGauge, BoundHistogram, MeterProvider};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics};
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{
    Instrument, InstrumentKind, ManualReader, Pipeline, SdkMeterProvider, Stream, Temporality,
};

use crate::metrics_core::data::{CLASSIC, LABELS, LabelSet, Sample};
use crate::metrics_core::faces::{self, BucketChoice, Reading};

const NAME: &str = "opentelemetry";

#[derive(Clone, Debug)]
struct Reader(Arc<ManualReader>);

impl MetricReader for Reader {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }

    fn collect(&self, metrics: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(metrics)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.0.temporality(kind)
    }
}

struct Instance {
    provider: SdkMeterProvider,
    reader: Reader,
    collected: ResourceMetrics,
}

impl Instance {
    fn new(series: Option<usize>) -> Self {
        let reader = Reader(Arc::new(ManualReader::builder().build()));
        let mut provider = SdkMeterProvider::builder().with_reader(reader.clone());
        if let Some(series) = series {
            provider = provider.with_view(move |_: &Instrument| {
                // One is kept for what overflows.
                let stream = Stream::builder().with_cardinality_limit(series + 1);
                stream.build().ok()
            });
        }
        Self {
            provider: provider.build(),
            reader,
            collected: ResourceMetrics::default(),
        }
    }

    fn meter(&self) -> metrics::Meter {
        self.provider.meter("benches")
    }

    fn histogram(&self) -> metrics::Histogram<f64> {
        let meter = self.meter();
        let builder = meter.f64_histogram("seconds");
        builder.with_boundaries(CLASSIC.to_vec()).build()
    }

    fn collect(&mut self) -> impl Iterator<Item = &AggregatedMetrics> {
        let collected = self.reader.collect(&mut self.collected);
        collected.expect("the provider is alive");
        let scopes = self.collected.scope_metrics();
        scopes.flat_map(|scope| scope.metrics()).map(|it| it.data())
    }

    /// The sum of the counters that have these attributes.
    fn total(&mut self, attributes: &[KeyValue]) -> u64 {
        let mut total = 0;
        for data in self.collect() {
            if let AggregatedMetrics::U64(MetricData::Sum(sum)) = data {
                for point in sum.data_points() {
                    let has = |it| point.attributes().any(|own| own == it);
                    if attributes.iter().all(has) {
                        total += point.value();
                    }
                }
            }
        }
        total
    }
}

pub struct Counter {
    instance: std::sync::Mutex<Instance>,
    counter: BoundCounter<u64>,
}

impl faces::Counter for Counter {
    const NAME: &'static str = NAME;

    fn new() -> Self {
        let instance = Instance::new(None);
        let counter = instance.meter().u64_counter("requests").build();
        Self {
            counter: counter.bind(&[]),
            instance: instance.into(),
        }
    }

    fn inc(&self) {
        self.counter.add(1);
    }

    fn total(&self) -> u64 {
        self.instance.lock().expect("nobody panics").total(&[])
    }
}

pub struct Gauge {
    instance: std::cell::RefCell<Instance>,
    gauge: BoundGauge<f64>,
}

impl faces::Gauge for Gauge {
    const NAME: &'static str = NAME;

    fn new() -> Self {
        let instance = Instance::new(None);
        let gauge = instance.meter().f64_gauge("level").build();
        Self {
            gauge: gauge.bind(&[]),
            instance: instance.into(),
        }
    }

    fn set(&self, value: f64) {
        self.gauge.record(value);
    }

    fn value(&self) -> f64 {
        let mut value = f64::NAN;
        for data in self.instance.borrow_mut().collect() {
            if let AggregatedMetrics::F64(MetricData::Gauge(gauge)) = data {
                value = gauge.data_points().next().map_or(value, |it| it.value());
            }
        }
        value
    }
}

pub struct Histogram {
    instance: Instance,
    histogram: metrics::Histogram<f64>,
}

impl faces::Histogram for Histogram {
    const NAME: &'static str = NAME;
    type Recorder = BoundHistogram<f64>;

    fn new() -> Self {
        let instance = Instance::new(None);
        Self {
            histogram: instance.histogram(),
            instance,
        }
    }

    fn recorder(&self) -> Self::Recorder {
        self.histogram.bind(&[])
    }

    fn read(&mut self) -> Reading {
        let mut reading = Reading::default();
        for data in self.instance.collect() {
            if let AggregatedMetrics::F64(MetricData::Histogram(histogram)) = data {
                for point in histogram.data_points() {
                    reading = Reading {
                        count: point.count(),
                        buckets: point.bucket_counts().sum(),
                        sum: Some(point.sum()),
                        min: point.min(),
                        max: point.max(),
                    };
                }
            }
        }
        reading
    }
}

impl faces::Recorder for BoundHistogram<f64> {
    fn record(&mut self, sample: Sample) {
        BoundHistogram::record(self, sample.seconds);
    }
}

pub struct Timer {
    instance: std::cell::RefCell<Instance>,
    outcomes: [BoundHistogram<f64>; 2],
}

impl faces::Timer for Timer {
    const NAME: &'static str = NAME;

    fn new() -> Self {
        let instance = Instance::new(None);
        let histogram = instance.histogram();
        Self {
            outcomes: ["success", "error"]
                .map(|it| histogram.bind(&[KeyValue::new("outcome", it)])),
            instance: instance.into(),
        }
    }

    fn time(&self, work: impl FnOnce() -> Result<(), ()>) {
        let start = Instant::now();
        let outcome = usize::from(work().is_err());
        self.outcomes[outcome].record(start.elapsed().as_secs_f64());
    }

    fn counts(&self) -> (u64, u64) {
        let mut counts = (0, 0);
        for data in self.instance.borrow_mut().collect() {
            if let AggregatedMetrics::F64(MetricData::Histogram(histogram)) = data {
                for point in histogram.data_points() {
                    match point.attributes().any(|it| it.value.as_str() == "error") {
                        true => counts.1 = point.count(),
                        false => counts.0 = point.count(),
                    }
                }
            }
        }
        counts
    }
}

/// Borrowed text must become owned before it can be looked up.
fn attributes(labels: [&str; 2]) -> [KeyValue; 2] {
    let [route, status] = labels.map(str::to_owned);
    [
        KeyValue::new(LABELS[0], route),
        KeyValue::new(LABELS[1], status),
    ]
}

pub struct Family {
    instance: std::cell::RefCell<Instance>,
    counter: metrics::Counter<u64>,
}

impl faces::Family for Family {
    const NAME: &'static str = NAME;

    fn new(series: Option<usize>) -> Self {
        let instance = Instance::new(series);
        Self {
            counter: instance.meter().u64_counter("requests").build(),
            instance: instance.into(),
        }
    }

    fn inc(&self, labels: [&str; 2]) {
        self.counter.add(1, &attributes(labels));
    }

    fn total(&self, labels: [&str; 2]) -> u64 {
        self.instance.borrow_mut().total(&attributes(labels))
    }

    fn sum(&self) -> u64 {
        self.instance.borrow_mut().total(&[])
    }
}

/// It has no text format of its own: this serves the axis of memory alone.
pub struct Page {
    _instance: Instance,
}

impl faces::Page for Page {
    const NAME: &'static str = NAME;

    fn of_counters(_: &[LabelSet]) -> Self {
        unreachable!("it takes no part in this axis")
    }

    fn of_histograms(sets: &[LabelSet], samples: &[Sample], _: BucketChoice) -> Self {
        // Its memory is set aside for the limit, so a limit that is just large enough is its best.
        let instance = Instance::new(Some(sets.len()));
        let histogram = instance.histogram();
        for [route, status] in sets {
            let attributes = attributes([route, status]);
            for sample in samples {
                histogram.record(sample.seconds, &attributes);
            }
        }
        Self {
            _instance: instance,
        }
    }

    fn encode(&mut self) -> &[u8] {
        unreachable!("it takes no part in this axis")
    }
}
