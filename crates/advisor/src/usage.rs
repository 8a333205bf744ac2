//! What one cache, pool or set of resources did within some time: the input of scores, advice and
//! health.
//!
//! `None` means "not measured", which is not the same as zero: what is not measured neither earns
//! nor costs anything.

use crate::numbers::{amount, fraction, share};

/// What a cache did within some time. One value for each cache: figures of several caches are
/// never added up here.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct CacheUsage {
    /// Lookups that found something.
    pub hits: u64,
    /// Lookups that found nothing.
    pub misses: u64,
    /// Entries that had to make room for others.
    pub evictions: Option<u64>,
    /// Entries put in.
    pub sets: Option<u64>,
    /// Bytes in use now.
    pub memory_bytes: Option<f64>,
    /// Mean time of an access, in seconds.
    pub access_seconds: Option<f64>,
}

impl CacheUsage {
    /// How often it was looked into.
    #[must_use]
    pub fn lookups(&self) -> u64 {
        self.hits.saturating_add(self.misses)
    }

    /// Hits by lookups, within 0..=1; none without lookups.
    #[must_use]
    pub fn hit_ratio(&self) -> Option<f64> {
        share(self.hits as f64, self.hits as f64 + self.misses as f64)
    }

    /// Evictions by sets, within 0..=1; none when they are not measured. Nothing evicted is 0 even
    /// when nothing was set.
    #[must_use]
    pub fn eviction_ratio(&self) -> Option<f64> {
        match (self.evictions?, self.sets?) {
            (0, _) => Some(0.0),
            (_, 0) => Some(1.0),
            (evictions, sets) => share(evictions as f64, sets as f64),
        }
    }
}

/// What a pool did within some time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct PoolUsage {
    /// Connections lent out now.
    pub active: u64,
    /// Connections open and free now.
    pub idle: u64,
    /// The least number of connections kept, as configured.
    pub min: Option<u32>,
    /// The greatest number of connections allowed, as configured.
    pub max: Option<u32>,
    /// Acquisitions served by an open connection.
    pub hits: u64,
    /// Acquisitions for which a connection had to be opened.
    pub misses: u64,
    /// Connections that failed.
    pub errors: u64,
    /// Acquisitions that gave up because every connection was taken.
    pub exhaustions: u64,
    /// Mean time waited for a connection, in seconds.
    pub wait_seconds: Option<f64>,
    /// Mean time that a connection was held, in seconds.
    pub hold_seconds: Option<f64>,
    /// The utilisation over a longer time, as a fraction, where somebody has smoothed it; see
    /// [`SizeSmoother`](crate::SizeSmoother).
    pub mean_utilisation: Option<f64>,
}

impl PoolUsage {
    /// How often a connection was acquired.
    #[must_use]
    pub fn acquisitions(&self) -> u64 {
        self.hits.saturating_add(self.misses)
    }

    /// How much of the pool is lent out, within 0..=1: the smoothed figure where there is one, else
    /// that of this moment. Of the configured maximum; where that is not known, of the open
    /// connections. 0 for a pool without any.
    #[must_use]
    pub fn utilisation(&self) -> f64 {
        if let Some(mean) = self.mean_utilisation
            && mean.is_finite()
        {
            return fraction(mean);
        }
        let open = self.active as f64 + self.idle as f64;
        let capacity = match self.max {
            Some(max) => f64::from(max),
            None => open,
        };
        share(self.active as f64, capacity).unwrap_or(0.0)
    }

    /// Errors by acquisitions, within 0..=1; 0 when there was none.
    #[must_use]
    pub fn error_ratio(&self) -> f64 {
        share(self.errors as f64, self.hits as f64 + self.misses as f64).unwrap_or(0.0)
    }

    /// Whether anything at all was acquired or is lent out.
    #[must_use]
    pub fn is_used(&self) -> bool {
        self.acquisitions() > 0 || self.active > 0
    }
}

/// How many resources of a kind are in use.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ResourceUsage {
    /// In use now.
    pub active: Option<f64>,
    /// How many there may be.
    pub max: Option<f64>,
    /// In use for longer than they should be.
    pub leaks: Option<u64>,
}

impl ResourceUsage {
    /// How much of what there may be is in use, within 0..=1; none when either is not known. With a
    /// maximum of zero: 0 when nothing is in use, else 1.
    #[must_use]
    pub fn utilisation(&self) -> Option<f64> {
        let (active, max) = (amount(self.active?), amount(self.max?));
        match (active > 0.0, max > 0.0) {
            (_, true) => share(active, max),
            (true, false) => Some(1.0),
            (false, false) => Some(0.0),
        }
    }
}
