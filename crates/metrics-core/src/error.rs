//! What can go wrong, one enum for each surface.

use thiserror::Error;

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

/// Why two snapshots cannot be one.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum MergeError {
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
