//! [`Score`]: one number from 0 to 100 for how well a cache or a pool serves.

use std::fmt;

use crate::numbers::{amount, fraction};
use crate::usage::{CacheUsage, PoolUsage};

/// A megabyte here is a million bytes.
pub(crate) const MEGABYTE: f64 = 1e6;

/// How well something serves, from 0 to 100.
#[doc(alias = "efficiency_score")]
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(transparent))]
pub struct Score(f64);

impl Score {
    /// The number, within 0..=100.
    #[must_use]
    pub fn value(self) -> f64 {
        self.0
    }

    /// The number in a word.
    #[must_use]
    pub fn band(self) -> Band {
        match self.0 {
            score if score >= 80.0 => Band::Excellent,
            score if score >= 60.0 => Band::Good,
            score if score >= 40.0 => Band::Fair,
            _ => Band::Poor,
        }
    }

    /// The mean of some parts, each within 0..=1 and with its weight, as a score. What was not
    /// measured is left out. None when nothing is left.
    fn of(parts: &[(f64, Option<f64>)]) -> Option<Self> {
        let measured = parts.iter().filter_map(|(weight, part)| {
            // Within these bounds neither the sum of weights nor its inverse overflows.
            let weight = if *weight > 1e-100 {
                weight.min(1e100)
            } else {
                0.0
            };
            Some((weight, fraction((*part)?)))
        });
        let sums = measured.fold((0.0, 0.0), |(sum, weights), (weight, part)| {
            (sum + weight * part, weights + weight)
        });
        let (sum, weights) = sums;
        (weights > 0.0).then(|| Self((sum * (100.0 / weights)).clamp(0.0, 100.0)))
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1}/100", self.0)
    }
}

/// A score in a word; the better one is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
pub enum Band {
    /// Below 40.
    Poor,
    /// From 40.
    Fair,
    /// From 60.
    Good,
    /// From 80.
    Excellent,
}

impl fmt::Display for Band {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Poor => "poor",
            Self::Fair => "fair",
            Self::Good => "good",
            Self::Excellent => "excellent",
        })
    }
}

/// What the score of a cache is made of.
///
/// With the defaults: `60 × hit ratio + 20 × (1 − eviction ratio) + 20` points for memory, which
/// shrink from 50 MB on by one for every 5 MB. Weights that do not add up to 100 are scaled, and so
/// are the remaining ones when something was not measured.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields, default)
)]
pub struct CacheWeights {
    /// Points for a hit ratio of 1.
    pub hits: f64,
    /// Points for no evictions.
    pub evictions: f64,
    /// Points for little memory.
    pub memory: f64,
    /// Up to how many bytes memory costs no points.
    pub memory_free_bytes: f64,
    /// From how many bytes on memory has cost all its points.
    pub memory_full_bytes: f64,
}

impl Default for CacheWeights {
    fn default() -> Self {
        Self {
            hits: 60.0,
            evictions: 20.0,
            memory: 20.0,
            memory_free_bytes: 50.0 * MEGABYTE,
            memory_full_bytes: 150.0 * MEGABYTE,
        }
    }
}

impl CacheWeights {
    /// The score of a cache; none when it was never looked into.
    #[must_use]
    pub fn score(&self, cache: &CacheUsage) -> Option<Score> {
        let hits = cache.hit_ratio()?;
        let memory = cache.memory_bytes.filter(|bytes| !bytes.is_nan());
        Score::of(&[
            (self.hits, Some(hits)),
            (
                self.evictions,
                cache.eviction_ratio().map(|ratio| 1.0 - ratio),
            ),
            (
                self.memory,
                memory.map(|bytes| self.memory_part(amount(bytes))),
            ),
        ])
    }

    fn memory_part(&self, bytes: f64) -> f64 {
        let free = amount(self.memory_free_bytes);
        let full = amount(self.memory_full_bytes);
        if bytes < free {
            return 1.0;
        }
        if bytes >= full {
            return 0.0;
        }
        1.0 - (bytes - free) / (full - free)
    }
}

/// What the score of a pool is made of.
///
/// With the defaults: `40 × utilisation / 0.8` (no more than 40), `30` points for no wait, which
/// shrink by one for every 10 ms of mean wait, and `30 × (1 − error ratio)`. Weights are scaled as
/// those of [`CacheWeights`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields, default)
)]
pub struct PoolWeights {
    /// Points for a pool that is used well.
    pub utilisation: f64,
    /// Points for not having to wait.
    pub wait: f64,
    /// Points for no errors.
    pub errors: f64,
    /// The utilisation, as a fraction, from which all its points are given.
    pub good_utilisation: f64,
    /// The mean wait, in seconds, that costs all its points.
    pub full_wait_seconds: f64,
}

impl Default for PoolWeights {
    fn default() -> Self {
        Self {
            utilisation: 40.0,
            wait: 30.0,
            errors: 30.0,
            good_utilisation: 0.8,
            full_wait_seconds: 0.3,
        }
    }
}

impl PoolWeights {
    /// The score of a pool; none when it was never used.
    #[must_use]
    pub fn score(&self, pool: &PoolUsage) -> Option<Score> {
        if !pool.is_used() {
            return None;
        }
        let good = amount(self.good_utilisation).max(f64::MIN_POSITIVE);
        let full_wait = amount(self.full_wait_seconds).max(f64::MIN_POSITIVE);
        let wait = pool.wait_seconds.filter(|seconds| !seconds.is_nan());
        Score::of(&[
            (self.utilisation, Some(pool.utilisation() / good)),
            (
                self.wait,
                wait.map(|seconds| 1.0 - amount(seconds) / full_wait),
            ),
            (self.errors, Some(1.0 - pool.error_ratio())),
        ])
    }
}
