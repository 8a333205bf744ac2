//! [`Conventions`]: under which names caches, pools and resources are found in a snapshot.

/// Under which names caches, pools and resources are found in a snapshot.
///
/// A series says by a label which cache, pool or resource it is about; one without that label is
/// about the one called `default`. Series that differ in other labels only are added up. A metric
/// of another kind than the one said below is not looked at. Whatever is missing counts as not
/// measured.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields, default)
)]
pub struct Conventions {
    /// The label that names a cache: `cache`.
    pub cache_label: String,
    /// Counter: `<prefix>_cache_hits_total`.
    pub cache_hits: String,
    /// Counter: `<prefix>_cache_misses_total`.
    pub cache_misses: String,
    /// Counter: `<prefix>_cache_evictions_total`.
    pub cache_evictions: String,
    /// Counter: `<prefix>_cache_sets_total`.
    pub cache_sets: String,
    /// Gauge: `<prefix>_cache_memory_bytes`.
    pub cache_memory: String,
    /// Histogram or summary, in seconds: `<prefix>_cache_access_seconds`.
    pub cache_access: String,
    /// Gauge that the report makes: `<prefix>_cache_score`.
    pub cache_score: String,
    /// The label that names a pool: `pool`.
    pub pool_label: String,
    /// Gauge: `<prefix>_pool_active`.
    pub pool_active: String,
    /// Gauge: `<prefix>_pool_idle`.
    pub pool_idle: String,
    /// Gauge, as configured: `<prefix>_pool_min`.
    pub pool_min: String,
    /// Gauge, as configured: `<prefix>_pool_max`.
    pub pool_max: String,
    /// Counter: `<prefix>_pool_hits_total`.
    pub pool_hits: String,
    /// Counter: `<prefix>_pool_misses_total`.
    pub pool_misses: String,
    /// Counter: `<prefix>_pool_errors_total`.
    pub pool_errors: String,
    /// Counter: `<prefix>_pool_exhaustions_total`.
    pub pool_exhaustions: String,
    /// Histogram or summary, in seconds: `<prefix>_pool_wait_seconds`.
    pub pool_wait: String,
    /// Histogram or summary, in seconds: `<prefix>_pool_hold_seconds`.
    pub pool_hold: String,
    /// Gauge that the report makes: `<prefix>_pool_score`.
    pub pool_score: String,
    /// The label that names a kind of resources: `resource`.
    pub resource_label: String,
    /// Gauge: `<prefix>_resource_active`.
    pub resource_active: String,
    /// Gauge: `<prefix>_resource_max`.
    pub resource_max: String,
    /// Gauge: `<prefix>_resource_leaks`.
    pub resource_leaks: String,
}

impl Conventions {
    /// The names with this prefix.
    #[must_use]
    pub fn with_prefix(prefix: &str) -> Self {
        let name = |rest: &str| format!("{prefix}_{rest}");
        Self {
            cache_label: "cache".to_owned(),
            cache_hits: name("cache_hits_total"),
            cache_misses: name("cache_misses_total"),
            cache_evictions: name("cache_evictions_total"),
            cache_sets: name("cache_sets_total"),
            cache_memory: name("cache_memory_bytes"),
            cache_access: name("cache_access_seconds"),
            cache_score: name("cache_score"),
            pool_label: "pool".to_owned(),
            pool_active: name("pool_active"),
            pool_idle: name("pool_idle"),
            pool_min: name("pool_min"),
            pool_max: name("pool_max"),
            pool_hits: name("pool_hits_total"),
            pool_misses: name("pool_misses_total"),
            pool_errors: name("pool_errors_total"),
            pool_exhaustions: name("pool_exhaustions_total"),
            pool_wait: name("pool_wait_seconds"),
            pool_hold: name("pool_hold_seconds"),
            pool_score: name("pool_score"),
            resource_label: "resource".to_owned(),
            resource_active: name("resource_active"),
            resource_max: name("resource_max"),
            resource_leaks: name("resource_leaks"),
        }
    }
}

impl Default for Conventions {
    /// The names with the prefix `brolly`.
    fn default() -> Self {
        Self::with_prefix("brolly")
    }
}
