//! What a library must offer to take part in an axis: one small trait for each face of a metric.

use super::data::{LabelSet, Sample};

/// A counter that is written through one handle.
pub trait Counter: Sync {
    const NAME: &'static str;

    fn new() -> Self;

    fn inc(&self);

    fn total(&self) -> u64;
}

/// A gauge that is written through one handle.
pub trait Gauge {
    const NAME: &'static str;

    fn new() -> Self;

    fn set(&self, value: f64);

    fn value(&self) -> f64;
}

/// A distribution.
pub trait Histogram {
    const NAME: &'static str;
    /// What one thread records through.
    type Recorder: Recorder;

    fn new() -> Self;

    fn recorder(&self) -> Self::Recorder;

    /// What the library asks to be called from time to time so that it stays bounded.
    fn upkeep(&mut self) {}

    /// What it holds. Every recorder is either gone or goes on recording.
    fn read(&mut self) -> Reading;
}

pub trait Recorder: Send {
    fn record(&mut self, sample: Sample);
}

/// A snapshot of a distribution, reduced to what an axis asks about. Seconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading {
    /// The count, as the library tells it.
    pub count: u64,
    /// The sum of its buckets.
    pub buckets: u64,
    pub sum: Option<f64>,
    pub min: Option<f64>,
    pub max: Option<f64>,
}

/// A timer that keeps successes and errors apart.
pub trait Timer {
    const NAME: &'static str;

    fn new() -> Self;

    fn time(&self, work: impl FnOnce() -> Result<(), ()>);

    /// What the library asks to be called from time to time so that it stays bounded.
    fn upkeep(&self) {}

    /// Successes and errors.
    fn counts(&self) -> (u64, u64);
}

/// A family of counters with two labels, looked up with borrowed text.
pub trait Family {
    const NAME: &'static str;

    /// Room for at least `series` series, if the library has a limit and `series` is given; with
    /// its own limit otherwise.
    fn new(series: Option<usize>) -> Self;

    fn inc(&self, labels: [&str; 2]);

    fn total(&self, labels: [&str; 2]) -> u64;

    /// Over all series.
    fn sum(&self) -> u64;
}

/// A page of text as Prometheus scrapes it.
pub trait Page {
    const NAME: &'static str;

    /// A family of counters; the series at a place is counted up once more than that place.
    fn of_counters(sets: &[LabelSet]) -> Self;

    /// A family of histograms with all of these samples in each series.
    fn of_histograms(sets: &[LabelSet], samples: &[Sample], buckets: BucketChoice) -> Self;

    /// The page, in memory that is used again.
    fn encode(&mut self) -> &[u8];
}

/// How a histogram groups its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BucketChoice {
    /// The library's default.
    Default,
    /// [`CLASSIC`](super::data::CLASSIC) for everybody.
    Classic,
}
