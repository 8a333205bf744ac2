//! [`HealthRules`]: when a cache, a pool or resources are not well.

use std::fmt;

use crate::level::Level;
use crate::score::{CacheWeights, Score};
use crate::usage::{CacheUsage, PoolUsage, ResourceUsage};

/// What is wrong with something. Its text says it with the figures.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(tag = "kind", rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Ailment {
    /// Too few lookups hit.
    LowHitRatio {
        /// Hits by lookups.
        ratio: f64,
        /// What it should be at least.
        threshold: f64,
    },
    /// The score is too low.
    LowScore {
        /// The score.
        score: Score,
        /// What it should be at least.
        threshold: f64,
    },
    /// There were too many errors within the window.
    Errors {
        /// How many.
        count: u64,
        /// What it should be at most.
        threshold: u64,
    },
    /// The pool was exhausted within the window.
    Exhaustions {
        /// How often.
        count: u64,
        /// What it should be at most.
        threshold: u64,
    },
    /// Resources are in use for longer than they should be.
    Leaks {
        /// How many.
        count: u64,
        /// What it should be at most.
        threshold: u64,
    },
    /// Nearly all of the resources are in use.
    HighUtilisation {
        /// What part of them, within 0..=1.
        ratio: f64,
        /// What it should be at most.
        threshold: f64,
    },
}

impl fmt::Display for Ailment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LowHitRatio { ratio, threshold } => write!(
                f,
                "hit ratio {:.1} % is below {:.1} %",
                ratio * 100.0,
                threshold * 100.0
            ),
            Self::LowScore { score, threshold } => {
                write!(f, "score {score} is below {threshold}")
            }
            Self::Errors { count, threshold } => {
                write!(f, "{count} errors within the window, more than {threshold}")
            }
            Self::Exhaustions { count, threshold } => write!(
                f,
                "exhausted {count} times within the window, more than {threshold}"
            ),
            Self::Leaks { count, threshold } => {
                write!(f, "{count} resources leaked, more than {threshold}")
            }
            Self::HighUtilisation { ratio, threshold } => write!(
                f,
                "utilisation {:.1} % is above {:.1} %",
                ratio * 100.0,
                threshold * 100.0
            ),
        }
    }
}

/// When a cache, a pool or resources are not well.
///
/// The rules judge what happened within the usage they are given. Give them the usage of a window
/// (a difference of snapshots, or counts of [`EventWindow`](crate::EventWindow)s), not totals since
/// the start: then they recover when the window has passed.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields, default)
)]
pub struct HealthRules {
    /// A cache whose hit ratio is below this is degraded.
    pub min_hit_ratio: f64,
    /// A cache whose score is below this is degraded.
    pub min_cache_score: f64,
    /// How the score is made.
    pub cache_weights: CacheWeights,
    /// A pool with more errors than this is degraded.
    pub max_errors: u64,
    /// A pool that was exhausted more often than this is degraded.
    pub max_exhaustions: u64,
    /// Resources of which more than this fraction is in use are degraded.
    pub max_utilisation: f64,
    /// Resources of which more than this many leaked are degraded.
    pub max_leaks: u64,
}

impl Default for HealthRules {
    fn default() -> Self {
        Self {
            min_hit_ratio: 0.5,
            min_cache_score: 50.0,
            cache_weights: CacheWeights::default(),
            max_errors: 10,
            max_exhaustions: 0,
            max_utilisation: 0.9,
            max_leaks: 0,
        }
    }
}

impl HealthRules {
    /// How well a cache is, and why not; unknown when it was never looked into.
    #[must_use]
    pub fn cache(&self, cache: &CacheUsage) -> (Level, Vec<Ailment>) {
        let Some(ratio) = cache.hit_ratio() else {
            return (Level::Unknown, Vec::new());
        };
        let low_ratio = (ratio < self.min_hit_ratio).then_some(Ailment::LowHitRatio {
            ratio,
            threshold: self.min_hit_ratio,
        });
        let score = self.cache_weights.score(cache);
        let score = score.filter(|score| score.value() < self.min_cache_score);
        let low_score = score.map(|score| Ailment::LowScore {
            score,
            threshold: self.min_cache_score,
        });
        verdict([low_ratio, low_score])
    }

    /// How well a pool is, and why not; unknown when nothing was ever acquired and nothing went
    /// wrong.
    #[must_use]
    pub fn pool(&self, pool: &PoolUsage) -> (Level, Vec<Ailment>) {
        if !pool.is_used() && pool.errors == 0 && pool.exhaustions == 0 {
            return (Level::Unknown, Vec::new());
        }
        let errors = (pool.errors > self.max_errors).then_some(Ailment::Errors {
            count: pool.errors,
            threshold: self.max_errors,
        });
        let is_exhausted = pool.exhaustions > self.max_exhaustions;
        let exhaustions = is_exhausted.then_some(Ailment::Exhaustions {
            count: pool.exhaustions,
            threshold: self.max_exhaustions,
        });
        verdict([errors, exhaustions])
    }

    /// How well resources are, and why not; unknown when neither the leaks are known nor what part
    /// of the resources is in use.
    #[must_use]
    pub fn resource(&self, resource: &ResourceUsage) -> (Level, Vec<Ailment>) {
        let utilisation = resource.utilisation();
        if utilisation.is_none() && resource.leaks.is_none() {
            return (Level::Unknown, Vec::new());
        }
        let high = utilisation.filter(|ratio| *ratio > self.max_utilisation);
        let high = high.map(|ratio| Ailment::HighUtilisation {
            ratio,
            threshold: self.max_utilisation,
        });
        let leaks = resource.leaks.filter(|leaks| *leaks > self.max_leaks);
        let leaks = leaks.map(|count| Ailment::Leaks {
            count,
            threshold: self.max_leaks,
        });
        verdict([high, leaks])
    }
}

fn verdict(ailments: impl IntoIterator<Item = Option<Ailment>>) -> (Level, Vec<Ailment>) {
    let ailments: Vec<Ailment> = ailments.into_iter().flatten().collect();
    match ailments.is_empty() {
        true => (Level::Healthy, ailments),
        false => (Level::Degraded, ailments),
    }
}
