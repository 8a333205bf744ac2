//! What can go wrong, one enum for each surface.

use std::time::Duration;

use thiserror::Error;

use crate::kind::Kind;
use crate::snapshot::GaugeMerge;
use crate::unit::Unit;

/// Why buckets were refused.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum BucketsError {
    /// There are no bounds.
    #[error("a histogram needs at least one bound")]
    Empty,
    /// There are more bounds than a histogram may have.
    #[error("{count} bounds are more than the {max} allowed")]
    TooMany {
        /// How many were given.
        count: usize,
        /// How many are allowed.
        max: usize,
    },
    /// A bound is negative, not a finite number, or too large.
    #[error("bound {value} at position {position} is not within 0 and {max}")]
    OutOfRange {
        /// Its position, from 0.
        position: usize,
        /// The bound.
        value: f64,
        /// The largest bound that the unit allows.
        max: f64,
    },
    /// A bound is not above the one before it by a step of the unit's resolution.
    #[error("bound {value} at position {position} is not above the one before it, {before}")]
    NotIncreasing {
        /// Its position, from 0.
        position: usize,
        /// The bound.
        value: f64,
        /// The bound before it.
        before: f64,
    },
}

/// A fraction was asked for that is not within 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[error("quantile {q} is not within 0 and 1")]
pub struct QuantileError {
    /// What was asked for.
    pub q: f64,
}

/// Windows were asked for that cannot be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("windows of {length:?} do not hold between 1 and {max} intervals of {interval:?}")]
pub struct WindowsError {
    /// The interval asked for.
    pub interval: Duration,
    /// The length asked for.
    pub length: Duration,
    /// How many intervals the length may hold.
    pub max: u32,
}

/// A metric of two snapshots that cannot be merged.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("cannot merge the metric `{metric}`")]
pub struct SnapshotMergeError {
    /// Its name.
    pub metric: String,
    /// Why not.
    pub source: MergeError,
}

/// Why two metrics cannot be one.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum MergeError {
    /// They are of different kinds.
    #[error("cannot merge a {theirs} into a {ours}")]
    Kinds {
        /// The kind of the one merged into.
        ours: Kind,
        /// The kind of the other.
        theirs: Kind,
    },
    /// They have different names and would still be the same on a page.
    #[error("it would be exposed as `{exposed}`, which belongs to `{owner}`")]
    Names {
        /// The name on the page that both would use.
        exposed: String,
        /// The metric merged into that uses it.
        owner: String,
    },
    /// They have different labels.
    #[error("cannot merge series with the labels {theirs:?} into series with {ours:?}")]
    Labels {
        /// The labels of the one merged into.
        ours: Vec<String>,
        /// The labels of the other.
        theirs: Vec<String>,
    },
    /// They are gauges with different rules for merging.
    #[error("cannot merge a gauge with the rule {theirs:?} into one with {ours:?}")]
    GaugeRules {
        /// The rule of the one merged into.
        ours: GaugeMerge,
        /// The rule of the other.
        theirs: GaugeMerge,
    },
    /// They measure in different units.
    #[error("cannot merge values in {theirs:?} into values in {ours:?}")]
    Units {
        /// The unit of the one merged into.
        ours: Unit,
        /// The unit of the other.
        theirs: Unit,
    },
    /// They group their values differently.
    #[error("cannot merge histograms whose buckets differ")]
    Buckets,
}

/// Why a metric was not registered. Nothing has changed then.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// The name is not one that can be exposed.
    #[error(
        "`{name}` is not a metric name: it must match [a-zA-Z_:][a-zA-Z0-9_:.]* and have at most {max} bytes"
    )]
    InvalidName {
        /// The name.
        name: String,
        /// The longest name allowed.
        max: usize,
    },
    /// The name was registered before.
    #[error("the metric `{name}` is registered already")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// Another metric is exposed under a name that this one would use too.
    #[error("the metric `{name}` would be exposed as `{exposed}`, which belongs to `{owner}`")]
    NameClash {
        /// The name.
        name: String,
        /// The name in the exposition that both would use.
        exposed: String,
        /// The metric that uses it.
        owner: String,
    },
    /// The name is that of a metric of another kind.
    #[error("the metric `{name}` is a {registered}, not a {requested}")]
    KindMismatch {
        /// The name.
        name: String,
        /// The kind it was registered with.
        registered: Kind,
        /// The kind asked for.
        requested: Kind,
    },
    /// The name is that of a metric with other labels.
    #[error("the metric `{name}` has the labels {registered:?}, not {requested:?}")]
    LabelMismatch {
        /// The name.
        name: String,
        /// The labels it was registered with.
        registered: Vec<String>,
        /// The labels asked for.
        requested: Vec<String>,
    },
    /// The name is that of a metric with another unit, other buckets, another window or another
    /// rule for merging.
    #[error("the metric `{name}` is registered with another {what}")]
    DefinitionMismatch {
        /// The name.
        name: String,
        /// What differs.
        what: &'static str,
    },
    /// A label's name is not one that can be exposed.
    #[error(
        "`{label}` of the metric `{name}` is not a label name: it must match [a-zA-Z_][a-zA-Z0-9_]* and have at most {max} bytes"
    )]
    InvalidLabel {
        /// The metric.
        name: String,
        /// The label.
        label: String,
        /// The longest label name allowed.
        max: usize,
    },
    /// A label's name belongs to the exposition formats.
    #[error("the label `{label}` of the metric `{name}` is reserved")]
    ReservedLabel {
        /// The metric.
        name: String,
        /// The label.
        label: String,
    },
    /// A label is named twice.
    #[error("the label `{label}` of the metric `{name}` is named twice")]
    DuplicateLabel {
        /// The metric.
        name: String,
        /// The label.
        label: String,
    },
    /// The metric has more labels than allowed.
    #[error("the metric `{name}` has {count} labels, more than the {max} allowed")]
    TooManyLabels {
        /// The metric.
        name: String,
        /// How many were given.
        count: usize,
        /// How many are allowed.
        max: usize,
    },
    /// The registry is full.
    #[error("the metric `{name}` is one more than the {max} that the registry takes")]
    TooManyMetrics {
        /// The metric.
        name: String,
        /// How many metrics the registry takes.
        max: usize,
    },
    /// The registry calls as many functions before a page as it takes.
    #[error("the registry has {max} collectors already, which is all it takes")]
    TooManyCollectors {
        /// How many it takes.
        max: usize,
    },
    /// A setting is out of its range.
    #[error("{field} of the metric `{name}` is {value}; allowed is {allowed}")]
    OutOfRange {
        /// The metric.
        name: String,
        /// The setting.
        field: &'static str,
        /// What was given.
        value: usize,
        /// What is allowed.
        allowed: &'static str,
    },
    /// The buckets of a histogram are not valid.
    #[error("the buckets of the metric `{name}` are not valid")]
    Buckets {
        /// The metric.
        name: String,
        /// What is wrong with them.
        source: BucketsError,
    },
}
