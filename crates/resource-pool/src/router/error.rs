//! Why a router picks nobody, and why it does not take or know a target.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use crate::router::target::Target;

/// Why there is no lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PickError {
    /// There is no target, or none that will do.
    #[error(
        "no target: {known} known, of which {ejected} left out for failing, {suspended} suspended; \
         the others do not meet what is asked for"
    )]
    NoTargets {
        /// How many targets there are.
        known: usize,
        /// How many are left out because they failed, or on trial.
        ejected: usize,
        /// How many are suspended.
        suspended: usize,
        /// When the first of those left out is tried again, if any is.
        retry_after: Option<Duration>,
    },
    /// The id that was asked for is not known, and nobody else would do.
    #[error("the target asked for is not known")]
    Unknown,
    /// The target that was asked for, or whose key it is, is left out, suspended or not allowed, and
    /// nobody else would do.
    #[error("the target asked for is not available")]
    Unavailable,
}

/// Why something cannot be done with a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TargetError {
    /// No target has this id.
    #[error("no target has this id")]
    Unknown,
    /// There is a target of this id already.
    #[error("there is a target of this id already")]
    Duplicate,
    /// There are as many targets as there may be.
    #[error("there are {max} targets already, which is the limit")]
    TooMany {
        /// How many there may be.
        max: usize,
    },
    /// There would be too many different tags.
    #[error("more than {max} different tags")]
    TooManyTags {
        /// How many there may be.
        max: usize,
    },
    /// The weight is out of its range.
    #[error("weight is {weight}, allowed is 1 to {max}")]
    Weight {
        /// What was given.
        weight: u32,
        /// The most it may be.
        max: u32,
    },
}

/// A target that the router would not take; it comes back.
#[non_exhaustive]
pub struct AddTargetError<K, T> {
    /// What was not taken.
    pub target: Target<K, T>,
    /// Why.
    pub reason: TargetError,
}

impl<K, T> fmt::Debug for AddTargetError<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AddTargetError")
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

impl<K, T> fmt::Display for AddTargetError<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the router does not take the target")
    }
}

impl<K, T> std::error::Error for AddTargetError<K, T> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.reason)
    }
}
