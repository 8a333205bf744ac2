//! [`Config`]: the settings of a cache that are data, for configuration files.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::adaptive_ttl::AdaptiveTtl;
use crate::builder::CacheBuilder;
use crate::policy::EvictionPolicy;

/// The settings of a cache as a file says them. What is left out stays as the builder has it.
///
/// Unknown keys are errors. Durations are text: `"250ms"`, `"30s"`, `"1h30m"`.
///
/// ```
/// use brolly_ttl_cache::{Cache, Config};
///
/// let config: Config = serde_json::from_str(
///     r#"{ "max_capacity": 500, "time_to_live": "1m30s", "eviction_policy": "adaptive" }"#,
/// )?;
/// let cache: Cache<String, String> = Cache::builder().config(&config).build()?;
/// assert_eq!(cache.stats().max_entries, Some(500));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Config {
    /// See [`CacheBuilder::max_capacity`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_capacity: Option<u64>,
    /// See [`CacheBuilder::max_weight`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_weight: Option<u64>,
    /// See [`CacheBuilder::time_to_live`] and [`CacheBuilder::no_time_to_live`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_to_live: Option<TimeToLive>,
    /// See [`CacheBuilder::time_to_idle`].
    #[serde(
        with = "crate::duration::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub time_to_idle: Option<Duration>,
    /// See [`CacheBuilder::ttl_jitter`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_jitter: Option<f64>,
    /// See [`CacheBuilder::adaptive_ttl`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adaptive_ttl: Option<AdaptiveTtl>,
    /// See [`CacheBuilder::eviction_policy`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eviction_policy: Option<EvictionPolicy>,
    /// See [`CacheBuilder::shards`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shards: Option<usize>,
    /// See [`CacheBuilder::enabled`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// See [`CacheBuilder::refresh_after`].
    #[serde(
        with = "crate::duration::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub refresh_after: Option<Duration>,
    /// See [`CacheBuilder::refresh_early`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_early: Option<f64>,
    /// See [`CacheBuilder::stale_while_revalidate`].
    #[serde(
        with = "crate::duration::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub stale_while_revalidate: Option<Duration>,
    /// See [`CacheBuilder::stale_if_error`].
    #[serde(
        with = "crate::duration::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub stale_if_error: Option<Duration>,
    /// See [`CacheBuilder::cache_errors_for`].
    #[serde(
        with = "crate::duration::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub cache_errors_for: Option<Duration>,
    /// See [`CacheBuilder::load_timeout`].
    #[serde(
        with = "crate::duration::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub load_timeout: Option<Duration>,
    /// See [`CacheBuilder::max_concurrent_loads`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_concurrent_loads: Option<usize>,
}

/// How long entries live, as a file says it: a duration, or `"never"` if they do not expire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeToLive {
    /// They live for so long.
    For(Duration),
    /// Nothing ends them but eviction.
    Never,
}

impl fmt::Display for TimeToLive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::For(duration) => f.write_str(&crate::duration::text(*duration)),
            Self::Never => f.write_str("never"),
        }
    }
}

impl Serialize for TimeToLive {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeToLive {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        if text == "never" {
            return Ok(Self::Never);
        }
        let wrong = || {
            de::Error::custom(format!(
                "{text:?} is neither \"never\" nor a duration such as \"30s\""
            ))
        };
        crate::duration::parse(&text)
            .map(Self::For)
            .ok_or_else(wrong)
    }
}

impl<K, V, S> CacheBuilder<K, V, S> {
    /// Takes over what the configuration says; what it leaves out stays as it is. Checked by
    /// [`build`](Self::build), like everything else.
    #[cfg_attr(docsrs, doc(cfg(feature = "serde")))]
    #[must_use]
    pub fn config(self, config: &Config) -> Self {
        // Taken apart, so that a new field cannot be forgotten.
        let Config {
            max_capacity,
            max_weight,
            time_to_live,
            time_to_idle,
            ttl_jitter,
            adaptive_ttl,
            eviction_policy,
            shards,
            enabled,
            refresh_after,
            refresh_early,
            stale_while_revalidate,
            stale_if_error,
            cache_errors_for,
            load_timeout,
            max_concurrent_loads,
        } = *config;
        let builder = match time_to_live {
            Some(TimeToLive::For(duration)) => self.time_to_live(duration),
            Some(TimeToLive::Never) => self.no_time_to_live(),
            None => self,
        };
        builder
            .given(max_capacity, Self::max_capacity)
            .given(max_weight, Self::max_weight)
            .given(time_to_idle, Self::time_to_idle)
            .given(ttl_jitter, Self::ttl_jitter)
            .given(adaptive_ttl, Self::adaptive_ttl)
            .given(eviction_policy, Self::eviction_policy)
            .given(shards, Self::shards)
            .given(enabled, Self::enabled)
            .given(refresh_after, Self::refresh_after)
            .given(refresh_early, Self::refresh_early)
            .given(stale_while_revalidate, Self::stale_while_revalidate)
            .given(stale_if_error, Self::stale_if_error)
            .given(cache_errors_for, Self::cache_errors_for)
            .given(load_timeout, Self::load_timeout)
            .given(max_concurrent_loads, Self::max_concurrent_loads)
    }

    fn given<T>(self, value: Option<T>, set: impl FnOnce(Self, T) -> Self) -> Self {
        match value {
            Some(value) => set(self, value),
            None => self,
        }
    }
}
