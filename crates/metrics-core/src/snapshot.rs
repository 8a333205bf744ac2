//! [`Snapshot`]: what a registry held at one moment, as plain data.

pub(crate) mod buckets;
pub(crate) mod histogram;
pub(crate) mod log_linear;

mod merge;

use std::time::SystemTime;

use crate::snapshot::histogram::HistogramSnapshot;
use crate::unit::Unit;

/// Every metric of a registry at one moment, as plain data.
///
/// Families are sorted by name, series by their label values.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// When it was taken, by the wall clock.
    pub timestamp: SystemTime,
    /// Counters: totals since the start or the last reset; those of seconds in nanoseconds.
    pub counters: Vec<FamilySnapshot<u64>>,
    /// Gauges: values that go up and down.
    pub gauges: Vec<FamilySnapshot<GaugeSnapshot>>,
    /// Histograms: distributions.
    pub histograms: Vec<FamilySnapshot<HistogramSnapshot>>,
    /// Summaries: the last samples of a name.
    pub summaries: Vec<FamilySnapshot<SummarySnapshot>>,
}

impl Snapshot {
    /// A snapshot without metrics.
    #[must_use]
    pub fn empty(timestamp: SystemTime) -> Self {
        Self {
            timestamp,
            counters: Vec::new(),
            gauges: Vec::new(),
            histograms: Vec::new(),
            summaries: Vec::new(),
        }
    }

    /// The counter family of this name.
    #[must_use]
    pub fn counter(&self, name: &str) -> Option<&FamilySnapshot<u64>> {
        find(&self.counters, name)
    }

    /// The gauge family of this name.
    #[must_use]
    pub fn gauge(&self, name: &str) -> Option<&FamilySnapshot<GaugeSnapshot>> {
        find(&self.gauges, name)
    }

    /// The histogram family of this name.
    #[must_use]
    pub fn histogram(&self, name: &str) -> Option<&FamilySnapshot<HistogramSnapshot>> {
        find(&self.histograms, name)
    }

    /// The summary family of this name.
    #[must_use]
    pub fn summary(&self, name: &str) -> Option<&FamilySnapshot<SummarySnapshot>> {
        find(&self.summaries, name)
    }
}

fn find<'a, T>(families: &'a [FamilySnapshot<T>], name: &str) -> Option<&'a FamilySnapshot<T>> {
    let at = families.binary_search_by(|family| family.name.as_str().cmp(name));
    at.ok().map(|at| &families[at])
}

/// One metric name with all its series.
#[derive(Clone, Debug, PartialEq)]
pub struct FamilySnapshot<T> {
    /// The name as it was registered; it may hold dots.
    pub name: String,
    /// What it means.
    pub help: String,
    /// What its values are counted in.
    pub unit: Unit,
    /// The names of its labels, sorted; empty for a metric without labels.
    pub label_names: Vec<String>,
    /// Its series, sorted by label values.
    pub series: Vec<SeriesSnapshot<T>>,
}

impl<T> FamilySnapshot<T> {
    /// The value of the series with these label values, in the order of
    /// [`label_names`](Self::label_names).
    #[must_use]
    pub fn get(&self, label_values: &[&str]) -> Option<&T> {
        let series = self.series.iter();
        let mut found = series.filter(|series| series.label_values == label_values);
        found.next().map(|series| &series.value)
    }
}

/// One combination of label values, and what was recorded for it.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesSnapshot<T> {
    /// One value for each label name of the family.
    pub label_values: Vec<String>,
    /// What was recorded.
    pub value: T,
}

/// The value of a gauge, and what becomes of it when snapshots of several processes are merged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GaugeSnapshot {
    /// The value. Whole numbers beyond 2^53 are rounded.
    pub value: f64,
    /// The rule for merging.
    pub merge: GaugeMerge,
    /// When it was read, where that is not the time of the snapshot: merging keeps it, so that
    /// [`GaugeMerge::Latest`] gives the same answer in any order.
    pub as_of: Option<SystemTime>,
}

impl GaugeSnapshot {
    /// A value read when the snapshot was taken.
    #[must_use]
    pub const fn new(value: f64, merge: GaugeMerge) -> Self {
        Self {
            value,
            merge,
            as_of: None,
        }
    }
}

/// What the gauge of several processes together is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum GaugeMerge {
    /// The sum of all: queue lengths, connections, bytes in use.
    #[default]
    Sum,
    /// The largest.
    Max,
    /// The smallest.
    Min,
    /// That of the newest snapshot.
    Latest,
}

/// What the last samples of a name say. `None` where there is nothing to say it of.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SummarySnapshot {
    /// Samples ever recorded.
    pub count: u64,
    /// Samples that the figures below are made of: the last ones, not older than the maximum age.
    pub window_count: u64,
    /// The smallest of the window.
    pub min: Option<f64>,
    /// The largest of the window.
    pub max: Option<f64>,
    /// The mean of the window.
    pub avg: Option<f64>,
    /// The last sample recorded.
    pub latest: Option<f64>,
    /// The median of the window. A merged summary has none: percentiles cannot be merged.
    pub p50: Option<f64>,
    /// The 95th percentile of the window; none after merging.
    pub p95: Option<f64>,
    /// The 99th percentile of the window; none after merging.
    pub p99: Option<f64>,
    /// Samples refused because they were not finite numbers.
    pub rejected: u64,
    /// When it was read, where that is not the time of the snapshot; kept by merging.
    pub as_of: Option<SystemTime>,
}
