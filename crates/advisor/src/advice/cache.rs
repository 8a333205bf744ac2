//! [`CacheAdvice`] and the thresholds that call for it.

use std::fmt;

use super::{megabytes, milliseconds, percent};
use crate::level::Severity;
use crate::score::MEGABYTE;
use crate::usage::CacheUsage;

/// What to change about a cache. Its text is the advice; the figures are its evidence.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(tag = "kind", rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum CacheAdvice {
    /// Too few lookups to say anything.
    InsufficientData {
        /// Lookups seen.
        lookups: u64,
        /// Lookups needed.
        needed: u64,
    },
    /// Too few lookups find something.
    LowHitRate {
        /// Hits by lookups.
        ratio: f64,
        /// What it should be at least.
        threshold: f64,
        /// Lookups that this is made of.
        lookups: u64,
    },
    /// Entries are evicted soon after they were put in.
    HighEviction {
        /// Evictions by sets.
        ratio: f64,
        /// What it should be at most.
        threshold: f64,
        /// Sets that this is made of.
        sets: u64,
    },
    /// The cache takes much memory.
    HighMemory {
        /// Bytes in use.
        bytes: f64,
        /// What it should be at most.
        threshold: f64,
    },
    /// Looking something up takes long.
    SlowAccess {
        /// The mean time of an access.
        seconds: f64,
        /// What it should be at most.
        threshold: f64,
    },
}

impl CacheAdvice {
    /// How much it matters.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        match self {
            Self::InsufficientData { .. } => Severity::Info,
            _ => Severity::Warning,
        }
    }
}

impl fmt::Display for CacheAdvice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::InsufficientData { lookups, needed } => {
                write!(f, "no advice yet: {lookups} lookups, {needed} are needed")
            }
            Self::LowHitRate {
                ratio,
                threshold,
                lookups,
            } => write!(
                f,
                "raise the time to live or the capacity: {} of {lookups} lookups hit, less than {}",
                percent(ratio),
                percent(threshold)
            ),
            Self::HighEviction {
                ratio,
                threshold,
                sets,
            } => write!(
                f,
                "raise the capacity: {} of {sets} sets evicted an entry, more than {}",
                percent(ratio),
                percent(threshold)
            ),
            Self::HighMemory { bytes, threshold } => write!(
                f,
                "lower the capacity or the time to live: {} in use, more than {}",
                megabytes(bytes),
                megabytes(threshold)
            ),
            Self::SlowAccess { seconds, threshold } => write!(
                f,
                "look for contention: an access takes {}, more than {}",
                milliseconds(seconds),
                milliseconds(threshold)
            ),
        }
    }
}

/// What calls for advice about a cache. A threshold is passed when a figure is beyond it, not when
/// it is equal.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields, default)
)]
pub struct CacheThresholds {
    /// Lookups needed before anything is said.
    pub min_samples: u64,
    /// The hit ratio should not be below this.
    pub min_hit_ratio: f64,
    /// Evictions by sets should not be above this.
    pub max_eviction_ratio: f64,
    /// Memory should not be above this.
    pub max_memory_bytes: f64,
    /// The mean access should not take longer than this.
    pub max_access_seconds: f64,
}

impl Default for CacheThresholds {
    fn default() -> Self {
        Self {
            min_samples: 100,
            min_hit_ratio: 0.5,
            max_eviction_ratio: 0.3,
            max_memory_bytes: 80.0 * MEGABYTE,
            max_access_seconds: 0.010,
        }
    }
}

impl CacheThresholds {
    /// What to change about a cache; empty when it is optimal.
    ///
    /// Below [`min_samples`](Self::min_samples) lookups the only answer is
    /// [`InsufficientData`](CacheAdvice::InsufficientData).
    #[must_use]
    pub fn advise(&self, cache: &CacheUsage) -> Vec<CacheAdvice> {
        let lookups = cache.lookups();
        let needed = self.min_samples;
        if lookups < needed {
            return vec![CacheAdvice::InsufficientData { lookups, needed }];
        }
        let hits = cache
            .hit_ratio()
            .filter(|ratio| *ratio < self.min_hit_ratio);
        let hits = hits.map(|ratio| CacheAdvice::LowHitRate {
            ratio,
            threshold: self.min_hit_ratio,
            lookups,
        });
        let evictions = cache.eviction_ratio();
        let evictions = evictions.filter(|ratio| *ratio > self.max_eviction_ratio);
        let evictions = evictions.map(|ratio| CacheAdvice::HighEviction {
            ratio,
            threshold: self.max_eviction_ratio,
            sets: cache.sets.unwrap_or_default(),
        });
        let memory = cache.memory_bytes;
        let memory = memory.filter(|bytes| *bytes > self.max_memory_bytes);
        let memory = memory.map(|bytes| CacheAdvice::HighMemory {
            bytes,
            threshold: self.max_memory_bytes,
        });
        let access = cache.access_seconds;
        let access = access.filter(|seconds| *seconds > self.max_access_seconds);
        let access = access.map(|seconds| CacheAdvice::SlowAccess {
            seconds,
            threshold: self.max_access_seconds,
        });
        [hits, evictions, memory, access]
            .into_iter()
            .flatten()
            .collect()
    }
}
