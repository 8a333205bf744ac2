//! What can go wrong, one enum for each surface.

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
