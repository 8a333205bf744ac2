//! [`PoolAdvice`] and the thresholds that call for it.

use std::fmt;

use super::{milliseconds, percent};
use crate::level::Severity;
use crate::size::{SizeFormula, SizeRange};
use crate::usage::PoolUsage;

/// What to change about a pool. Its text is the advice; the figures are its evidence.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(tag = "kind", rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum PoolAdvice {
    /// Acquisitions failed because every connection was taken.
    Exhausted {
        /// How many.
        exhaustions: u64,
    },
    /// Too few acquisitions to say anything about ratios and means.
    InsufficientData {
        /// Acquisitions seen.
        acquisitions: u64,
        /// Acquisitions needed.
        needed: u64,
    },
    /// Nearly all of the pool is lent out.
    HighUtilisation {
        /// What part of it.
        ratio: f64,
        /// What it should be at most.
        threshold: f64,
    },
    /// Most of the pool lies idle.
    LowUtilisation {
        /// What part of it is lent out.
        ratio: f64,
        /// What it should be at least.
        threshold: f64,
    },
    /// A connection is long in coming.
    HighWait {
        /// The mean wait.
        seconds: f64,
        /// What it should be at most.
        threshold: f64,
    },
    /// Many connections fail.
    HighErrors {
        /// Errors by acquisitions.
        ratio: f64,
        /// What it should be at most.
        threshold: f64,
        /// How many errors there were.
        errors: u64,
    },
    /// Another size would fit the load better.
    SuggestedSize {
        /// The configured maximum.
        max: u32,
        /// What fits.
        suggested: SizeRange,
    },
}

impl PoolAdvice {
    /// How much it matters.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        match self {
            Self::Exhausted { .. } => Severity::Critical,
            Self::HighUtilisation { .. } | Self::HighWait { .. } | Self::HighErrors { .. } => {
                Severity::Warning
            }
            _ => Severity::Info,
        }
    }
}

impl fmt::Display for PoolAdvice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Exhausted { exhaustions } => write!(
                f,
                "raise the maximum now: the pool was exhausted {exhaustions} times"
            ),
            Self::InsufficientData {
                acquisitions,
                needed,
            } => write!(
                f,
                "no further advice yet: {acquisitions} acquisitions, {needed} are needed"
            ),
            Self::HighUtilisation { ratio, threshold } => write!(
                f,
                "raise the maximum: {} of the pool is lent out, more than {}",
                percent(ratio),
                percent(threshold)
            ),
            Self::LowUtilisation { ratio, threshold } => write!(
                f,
                "lower the minimum: {} of the pool is lent out, less than {}",
                percent(ratio),
                percent(threshold)
            ),
            Self::HighWait { seconds, threshold } => write!(
                f,
                "raise the maximum or hold connections for less time: the wait is {}, more than {}",
                milliseconds(seconds),
                milliseconds(threshold)
            ),
            Self::HighErrors {
                ratio,
                threshold,
                errors,
            } => write!(
                f,
                "look at the other end: {errors} errors, {} of acquisitions, more than {}",
                percent(ratio),
                percent(threshold)
            ),
            Self::SuggestedSize { max, suggested } => write!(
                f,
                "set the minimum to {} and the maximum to {}; the maximum is {max}",
                suggested.min(),
                suggested.max()
            ),
        }
    }
}

/// What calls for advice about a pool. A threshold is passed when a figure is beyond it, not when
/// it is equal.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields, default)
)]
pub struct PoolThresholds {
    /// Acquisitions needed before anything is said about ratios and means.
    pub min_samples: u64,
    /// The utilisation should not be above this fraction.
    pub max_utilisation: f64,
    /// The utilisation should not be below this fraction.
    pub min_utilisation: f64,
    /// The mean wait should not be longer than this.
    pub max_wait_seconds: f64,
    /// Errors by acquisitions should not be above this.
    pub max_error_ratio: f64,
    /// How another size is found.
    pub size: SizeFormula,
}

impl Default for PoolThresholds {
    fn default() -> Self {
        Self {
            min_samples: 100,
            max_utilisation: 0.9,
            min_utilisation: 0.2,
            max_wait_seconds: 0.100,
            max_error_ratio: 0.05,
            size: SizeFormula::default(),
        }
    }
}

impl PoolThresholds {
    /// What to change about a pool; empty when it is optimal.
    ///
    /// Exhaustion is reported from the first one on; everything else needs
    /// [`min_samples`](Self::min_samples) acquisitions. A size is suggested when the pool's maximum
    /// is known and another one fits better.
    #[must_use]
    pub fn advise(&self, pool: &PoolUsage) -> Vec<PoolAdvice> {
        let exhaustions = pool.exhaustions;
        let exhausted = (exhaustions > 0).then_some(PoolAdvice::Exhausted { exhaustions });
        let acquisitions = pool.acquisitions();
        if acquisitions < self.min_samples {
            let unsure = PoolAdvice::InsufficientData {
                acquisitions,
                needed: self.min_samples,
            };
            return exhausted.into_iter().chain([unsure]).collect();
        }
        let rest = [
            self.utilisation(pool),
            self.wait(pool),
            self.errors(pool),
            self.suggestion(pool),
        ];
        [exhausted].into_iter().chain(rest).flatten().collect()
    }

    fn utilisation(&self, pool: &PoolUsage) -> Option<PoolAdvice> {
        let ratio = pool.utilisation();
        if ratio > self.max_utilisation {
            return Some(PoolAdvice::HighUtilisation {
                ratio,
                threshold: self.max_utilisation,
            });
        }
        (ratio < self.min_utilisation).then_some(PoolAdvice::LowUtilisation {
            ratio,
            threshold: self.min_utilisation,
        })
    }

    fn wait(&self, pool: &PoolUsage) -> Option<PoolAdvice> {
        let wait = pool.wait_seconds;
        let long = wait.filter(|seconds| *seconds > self.max_wait_seconds);
        long.map(|seconds| PoolAdvice::HighWait {
            seconds,
            threshold: self.max_wait_seconds,
        })
    }

    fn errors(&self, pool: &PoolUsage) -> Option<PoolAdvice> {
        let ratio = pool.error_ratio();
        (ratio > self.max_error_ratio).then_some(PoolAdvice::HighErrors {
            ratio,
            threshold: self.max_error_ratio,
            errors: pool.errors,
        })
    }

    fn suggestion(&self, pool: &PoolUsage) -> Option<PoolAdvice> {
        let max = pool.max?;
        let min = pool.min.unwrap_or(1);
        let suggested = self.size.suggest(pool.utilisation(), min, max);
        (suggested.max() != max).then_some(PoolAdvice::SuggestedSize { max, suggested })
    }
}
