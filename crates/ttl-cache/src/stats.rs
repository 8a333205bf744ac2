//! [`Stats`]: what a cache did so far, and what it holds.

/// What a cache did since it was made, and what it holds now. Of this cache alone.
///
/// Counts are exact: each lookup is counted once, as a hit or as a miss.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Stats {
    /// Live entries now.
    pub entries: u64,
    /// How many entries there may be; `None` if only their weight is bounded.
    pub max_entries: Option<u64>,
    /// The weight of all entries now. Without a weigher, each weighs one.
    pub weight: u64,
    /// How heavy all entries may be; `None` without such a bound.
    pub max_weight: Option<u64>,
    /// How long an entry lives unless something else is said of it; `None` if it does not expire.
    #[cfg_attr(feature = "serde", serde(with = "crate::duration::option"))]
    pub time_to_live: Option<std::time::Duration>,
    /// Entries that have expired and are still in memory now.
    pub expired_entries: u64,
    /// Lookups that found a live entry.
    pub hits: u64,
    /// Lookups that did not.
    pub misses: u64,
    /// Lookups while the cache was switched off; neither hits nor misses.
    pub bypassed: u64,
    /// Writes of a value.
    #[cfg_attr(feature = "serde", serde(alias = "sets"))]
    pub inserts: u64,
    /// Those of them that replaced a live value.
    pub replaced: u64,
    /// Entries that had to make room.
    pub evictions: u64,
    /// Entries whose time was over.
    pub expirations: u64,
    /// Entries that were removed, cleared or invalidated.
    pub removals: u64,
    /// Entries that were refused.
    pub rejections: u64,
    /// Panics of the eviction listener.
    pub listener_panics: u64,
    /// Rounds of maintenance that left nothing to do.
    pub maintenance_rounds: u64,
    /// `hits / (hits + misses)`; `None` before the first lookup.
    pub hit_rate: Option<f64>,
    /// `misses / (hits + misses)`; `None` before the first lookup.
    pub miss_rate: Option<f64>,
    /// `evictions / inserts`; `None` before the first insert.
    pub eviction_rate: Option<f64>,
    /// What an [adaptive time to live](crate::CacheBuilder::adaptive_ttl) decided; `None` without.
    pub adaptive_ttl: Option<crate::adaptive_ttl::AdaptiveTtlStats>,
    /// What loading did.
    pub loads: crate::load::LoadStats,
}

pub(crate) fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// What a cache did between two [`Stats`] of it.
///
/// ```
/// use brolly_ttl_cache::{Cache, StatsWindow};
///
/// let cache: Cache<u32, u32> = Cache::new(10);
/// let _ = cache.get(&1);
/// let before = cache.stats();
/// cache.insert(1, 1);
/// let _ = cache.get(&1);
/// assert_eq!(StatsWindow::between(&before, &cache.stats()).hit_rate, Some(1.0));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct StatsWindow {
    /// Lookups that found a live entry.
    pub hits: u64,
    /// Lookups that did not.
    pub misses: u64,
    /// Writes of a value.
    pub inserts: u64,
    /// Entries that had to make room.
    pub evictions: u64,
    /// Entries whose time was over.
    pub expirations: u64,
    /// `hits / (hits + misses)`; `None` if nobody looked.
    pub hit_rate: Option<f64>,
    /// `misses / (hits + misses)`; `None` if nobody looked.
    pub miss_rate: Option<f64>,
    /// `evictions / inserts`, one at most; `None` if nobody wrote.
    pub eviction_rate: Option<f64>,
}

impl StatsWindow {
    /// What happened after `before` and up to `after`; nothing, if they are the wrong way round.
    #[must_use]
    pub fn between(before: &Stats, after: &Stats) -> Self {
        let hits = after.hits.saturating_sub(before.hits);
        let misses = after.misses.saturating_sub(before.misses);
        let inserts = after.inserts.saturating_sub(before.inserts);
        let evictions = after.evictions.saturating_sub(before.evictions);
        let lookups = hits.saturating_add(misses);
        Self {
            hits,
            misses,
            inserts,
            evictions,
            expirations: after.expirations.saturating_sub(before.expirations),
            hit_rate: ratio(hits, lookups),
            miss_rate: ratio(misses, lookups),
            eviction_rate: ratio(evictions, inserts).map(|rate| rate.min(1.0)),
        }
    }
}
