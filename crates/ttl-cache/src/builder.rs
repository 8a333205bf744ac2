//! [`CacheBuilder`]: how a cache is to be, checked once when it is built.

use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::time::Duration;

use brolly_sync::{Clock, NEVER, NanoClock, Spawn, ThreadTimer, Timer, saturating_nanos};

use crate::adaptive_ttl::{AdaptiveTtl, Controller, Grouping};
use crate::budget::{Room, UNBOUNDED};
use crate::cache::Cache;
use crate::error::ConfigError;
use crate::hasher::RandomState;
use crate::inner::{ExpireWith, Inner, Rules, Weigher};
use crate::limits::{Limits, MemSize, weigh_bytes};
use crate::load::{LoadRules, Loads};
use crate::policy::{AnyPolicy, EvictionPolicy, Touch};
use crate::removal::{Deliveries, Listener, RemovalCause};
use crate::shard::Layout;
use crate::store::Plain;

/// How a cache is to be.
pub struct CacheBuilder<K, V, S = RandomState> {
    max_capacity: Option<u64>,
    max_weight: Option<u64>,
    weigher: Option<Weigher<K, V>>,
    time_to_live: Option<Duration>,
    time_to_idle: Option<Duration>,
    expire_with: Option<ExpireWith<K, V>>,
    ttl_jitter: f64,
    eviction_policy: EvictionPolicy,
    eviction_listener: Option<Listener<K, V>>,
    shards: Option<usize>,
    hasher: S,
    mix: bool,
    clock: Option<Arc<dyn Clock>>,
    enabled: bool,
    plain: bool,
    loads: LoadRules,
    limits: Option<Limits>,
    adaptive_ttl: Option<AdaptiveTtl>,
    adaptive_ttl_groups: Option<Grouping<K>>,
}

/// Entries that a shard has room for at least, unless the number of shards is given.
const SHARD_ENTRIES: u64 = 2048;
const MAX_SHARDS: usize = 1 << 16;

impl<K, V> CacheBuilder<K, V> {
    pub(crate) fn new() -> Self {
        Self {
            max_capacity: None,
            max_weight: None,
            weigher: None,
            time_to_live: Some(Duration::from_secs(300)),
            time_to_idle: None,
            expire_with: None,
            ttl_jitter: 0.0,
            eviction_policy: EvictionPolicy::default(),
            eviction_listener: None,
            shards: None,
            hasher: RandomState::default(),
            mix: false,
            clock: None,
            enabled: true,
            plain: false,
            loads: LoadRules::default(),
            limits: None,
            adaptive_ttl: None,
            adaptive_ttl_groups: None,
        }
    }
}

impl<K, V, S> CacheBuilder<K, V, S> {
    /// How many entries there may be. By default 1,000; no bound if only
    /// [`max_weight`](Self::max_weight) is set.
    #[must_use]
    pub fn max_capacity(mut self, entries: u64) -> Self {
        self.max_capacity = Some(entries);
        self
    }

    /// No bound on the number of entries.
    #[must_use]
    pub fn unbounded_capacity(self) -> Self {
        self.max_capacity(UNBOUNDED)
    }

    /// How heavy all entries may be together, as the [`weigher`](Self::weigher) weighs them.
    #[must_use]
    pub fn max_weight(mut self, weight: u64) -> Self {
        self.max_weight = Some(weight);
        self
    }

    /// Tells what an entry weighs, in bytes or whatever the bound is in. Asked once for each write,
    /// without a lock. Zero is allowed.
    #[must_use]
    pub fn weigher(mut self, weigher: impl Fn(&K, &V) -> u64 + Send + Sync + 'static) -> Self {
        self.weigher = Some(Box::new(weigher));
        self
    }

    /// How much there may be whatever else is set: the bounds are these or those that are given,
    /// whichever is less. Entries are weighed in bytes, unless a [`weigher`](Self::weigher) is set.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self
    where
        K: MemSize + 'static,
        V: MemSize + 'static,
    {
        self.limits = Some(limits);
        if self.weigher.is_none() {
            self.weigher = Some(Box::new(weigh_bytes::<K, V>));
        }
        self
    }

    /// How long an entry lives after it was written. By default 300 seconds.
    #[must_use]
    pub fn time_to_live(mut self, duration: Duration) -> Self {
        self.time_to_live = Some(duration);
        self
    }

    /// Entries live until they are evicted, unless something else ends them.
    #[must_use]
    pub fn no_time_to_live(mut self) -> Self {
        self.time_to_live = None;
        self
    }

    /// How long an entry lives after it was last read or written. By default this ends nothing.
    ///
    /// With it, lookups read the clock and write when their entry ends now, and
    /// [`optimistic_reads`](Self::optimistic_reads) changes nothing.
    #[must_use]
    pub fn time_to_idle(mut self, duration: Duration) -> Self {
        self.time_to_idle = Some(duration);
        self
    }

    /// Tells how long an entry lives, when it is written; `None` for the cache's own time to live.
    /// Zero ends it at once. Called without a lock.
    #[must_use]
    pub fn expire_with(
        mut self,
        expire_with: impl Fn(&K, &V) -> Option<Duration> + Send + Sync + 'static,
    ) -> Self {
        self.expire_with = Some(Box::new(expire_with));
        self
    }

    /// The share of each time to live that may be taken off at random, so that what was written
    /// together does not expire together: at least zero, less than one. By default zero.
    #[must_use]
    pub fn ttl_jitter(mut self, share: f64) -> Self {
        self.ttl_jitter = share;
        self
    }

    /// Times to live adapt, within bounds, to how soon keys are asked for again; see [`AdaptiveTtl`].
    /// They begin at the cache's own. Those that an entry is given, or that
    /// [`expire_with`](Self::expire_with) tells, stay as they are.
    ///
    /// Every lookup then takes the shard's lock and one more. Takes about 200 KiB, whatever the
    /// cache holds.
    #[must_use]
    pub fn adaptive_ttl(mut self, settings: AdaptiveTtl) -> Self {
        self.adaptive_ttl = Some(settings);
        self
    }

    /// Which keys share an [adaptive time to live](Self::adaptive_ttl): those with the same number,
    /// modulo 64. By default it goes by hash. Called without a lock.
    #[must_use]
    pub fn adaptive_ttl_groups(
        mut self,
        group: impl Fn(&K) -> u64 + Send + Sync + 'static,
    ) -> Self {
        self.adaptive_ttl_groups = Some(Box::new(group));
        self
    }

    /// Which entry goes when there is no room. By default the least recently used one.
    #[must_use]
    pub fn eviction_policy(mut self, policy: EvictionPolicy) -> Self {
        self.eviction_policy = policy;
        self
    }

    /// Called once with each entry that leaves the cache, and why. On the thread that made it
    /// leave, without a lock. A panic in it is counted and goes no further.
    #[must_use]
    pub fn eviction_listener(
        mut self,
        listener: impl Fn(K, V, RemovalCause) + Send + Sync + 'static,
    ) -> Self {
        self.eviction_listener = Some(Box::new(listener));
        self
    }

    /// Into how many parts the keys are divided, each with a lock of its own: a power of two, up to
    /// 65,536. By default as many as serve this machine's cores, and one for small caches, which
    /// makes their order of eviction exact.
    #[must_use]
    pub fn shards(mut self, shards: usize) -> Self {
        self.shards = Some(shards);
        self
    }

    /// Another hasher. Weak ones do: what they say is mixed once more.
    #[must_use]
    pub fn hasher<S2>(self, hasher: S2) -> CacheBuilder<K, V, S2> {
        CacheBuilder {
            max_capacity: self.max_capacity,
            max_weight: self.max_weight,
            weigher: self.weigher,
            time_to_live: self.time_to_live,
            time_to_idle: self.time_to_idle,
            expire_with: self.expire_with,
            ttl_jitter: self.ttl_jitter,
            eviction_policy: self.eviction_policy,
            eviction_listener: self.eviction_listener,
            shards: self.shards,
            hasher,
            mix: true,
            clock: self.clock,
            enabled: self.enabled,
            plain: self.plain,
            loads: self.loads,
            limits: self.limits,
            adaptive_ttl: self.adaptive_ttl,
            adaptive_ttl_groups: self.adaptive_ttl_groups,
        }
    }

    /// Where the time comes from: a [`ManualClock`](brolly_sync::ManualClock) lets a test decide.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// What load timeouts wait with. By default a thread of the process.
    #[must_use]
    pub fn timer(mut self, timer: impl Timer + 'static) -> Self {
        self.loads.timer = Some(Arc::new(timer));
        self
    }

    /// Runs loads that nobody waits for: refreshes, and loads whose callers have left.
    #[must_use]
    pub fn spawner(mut self, spawner: impl Spawn + 'static) -> Self {
        self.loads.spawner = Some(Arc::new(spawner));
        self
    }

    /// Whether the cache is on; see [`Cache::set_enabled`]. By default it is.
    #[must_use]
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }

    /// A value at least this old is still served, and loaded anew behind it. Needs a
    /// [`spawner`](Self::spawner).
    #[must_use]
    pub fn refresh_after(mut self, age: Duration) -> Self {
        self.loads.refresh_after = Some(age);
        self
    }

    /// A value is still served, and loaded anew behind it, by chance before its time to live is over:
    /// the likelier the nearer its end, and the longer the loads of this cache take. So no crowd
    /// finds it ended. Needs a [`spawner`](Self::spawner).
    ///
    /// A lookup that comes `r` before the end loads with the probability `exp(-r / (eagerness * d))`,
    /// where `d` is the mean time of recent loads ("optimal probabilistic cache stampede prevention",
    /// Vattani and others, VLDB 2015). An `eagerness` of 1 is right for most; more loads earlier.
    #[doc(alias = "xfetch")]
    #[must_use]
    pub fn refresh_early(mut self, eagerness: f64) -> Self {
        self.loads.refresh_early = Some(eagerness);
        self
    }

    /// For so long past its time to live a value is served by the methods that load, while it is
    /// loaded anew. [`Cache::get`] never returns it.
    #[must_use]
    pub fn stale_while_revalidate(mut self, duration: Duration) -> Self {
        self.loads.stale_while_revalidate = Some(duration);
        self
    }

    /// For so long past its time to live a value is served by the methods that load, if its load
    /// fails. [`Cache::get`] never returns it.
    #[must_use]
    pub fn stale_if_error(mut self, duration: Duration) -> Self {
        self.loads.stale_if_error = Some(duration);
        self
    }

    /// For so long the error of a load is given to later callers, instead of loading again.
    #[doc(alias = "negative caching")]
    #[must_use]
    pub fn cache_errors_for(mut self, duration: Duration) -> Self {
        self.loads.cache_errors_for = Some(duration);
        self
    }

    /// How long a load may take.
    #[must_use]
    pub fn load_timeout(mut self, duration: Duration) -> Self {
        self.loads.load_timeout = Some(duration);
        self
    }

    /// How many loads may run at once, of all keys together. Further ones wait in line.
    #[must_use]
    pub fn max_concurrent_loads(mut self, loads: usize) -> Self {
        self.loads.max_concurrent_loads = Some(loads);
        self
    }

    /// Lookups take no lock: they copy the entry, and copy it again should somebody have written
    /// meanwhile. For keys and values that are plain data.
    #[must_use]
    pub fn optimistic_reads(mut self) -> Self
    where
        K: Plain,
        V: Plain,
    {
        self.plain = true;
        self
    }

    /// Builds the cache.
    ///
    /// # Errors
    ///
    /// A setting is out of its range.
    pub fn build(self) -> Result<Cache<K, V, S>, ConfigError>
    where
        K: Hash + Eq,
        S: BuildHasher,
    {
        let default = if self.max_weight.is_some() {
            UNBOUNDED
        } else {
            1_000
        };
        let mut bounds = Room {
            entries: bound("max_capacity", self.max_capacity.unwrap_or(default))?,
            weight: bound("max_weight", self.max_weight.unwrap_or(UNBOUNDED))?,
        };
        if let Some(limits) = self.limits {
            bounds.entries = bounds
                .entries
                .min(bound("max_entries", limits.max_entries)?);
            bounds.weight = bounds.weight.min(bound("max_bytes", limits.max_bytes)?);
        }
        if self.max_weight.is_some() && self.weigher.is_none() {
            return Err(ConfigError::new(
                "max_weight",
                bounds.weight,
                "together with a weigher",
            ));
        }
        let positive = |field, duration: Option<Duration>| match duration {
            Some(duration) if duration.is_zero() => {
                Err(ConfigError::new(field, "0s", "more than zero"))
            }
            other => Ok(other),
        };
        let time_to_live = positive("time_to_live", self.time_to_live)?;
        let idle = positive("time_to_idle", self.time_to_idle)?;
        if !(0.0..1.0).contains(&self.ttl_jitter) {
            return Err(ConfigError::new(
                "ttl_jitter",
                self.ttl_jitter,
                "at least 0 and less than 1",
            ));
        }
        let mut loads = self.loads;
        positive("refresh_after", loads.refresh_after)?;
        positive("stale_while_revalidate", loads.stale_while_revalidate)?;
        positive("stale_if_error", loads.stale_if_error)?;
        positive("cache_errors_for", loads.cache_errors_for)?;
        positive("load_timeout", loads.load_timeout)?;
        if loads.max_concurrent_loads == Some(0) {
            return Err(ConfigError::new("max_concurrent_loads", 0, "at least 1"));
        }
        if let Some(eagerness) = loads.refresh_early
            && !(eagerness > 0.0 && eagerness.is_finite())
        {
            let allowed = "more than 0, and finite";
            return Err(ConfigError::new("refresh_early", eagerness, allowed));
        }
        let ahead = [
            ("refresh_after", loads.refresh_after.is_some()),
            ("refresh_early", loads.refresh_early.is_some()),
        ];
        if let Some((field, _)) = ahead.into_iter().find(|(_, set)| *set)
            && loads.spawner.is_none()
        {
            return Err(ConfigError::new(
                field,
                "set",
                "together with a spawner, which runs the loads that nobody waits for",
            ));
        }
        if loads.load_timeout.is_some() && loads.timer.is_none() {
            loads.timer = Some(Arc::new(ThreadTimer::new()));
        }
        let shards = match self.shards {
            None => default_shards(bounds.entries),
            Some(shards) if shards.is_power_of_two() && shards <= MAX_SHARDS => shards,
            Some(shards) => {
                return Err(ConfigError::new(
                    "shards",
                    shards,
                    "a power of two from 1 to 65,536",
                ));
            }
        };
        let keep = loads.stale_while_revalidate.max(loads.stale_if_error);
        let touch = match AnyPolicy::touch(self.eviction_policy) {
            // Within one shard the order of reads is kept exactly.
            Touch::Stamp if shards == 1 => Touch::StampEach,
            touch => touch,
        };
        let layout = Layout {
            policy: self.eviction_policy,
            touch,
            stamps: touch == Touch::Stamp,
            plain: self.plain,
            glances: self.plain && idle.is_none(),
            weighted: self.weigher.is_some(),
            idle: idle.map(saturating_nanos),
            aged: ahead.into_iter().any(|(_, set)| set),
            keep: keep.map_or(0, saturating_nanos),
            first_slots: usize::try_from(bounds.entries / shards as u64).unwrap_or(usize::MAX),
        };
        let groups = self.adaptive_ttl_groups;
        let adaptive = self
            .adaptive_ttl
            .map(|adaptive| Controller::new(adaptive, groups));
        let adaptive = adaptive.transpose()?;
        let simple = self.weigher.is_none()
            && self.expire_with.is_none()
            && self.adaptive_ttl.is_none()
            && self.ttl_jitter == 0.0;
        let rules = Rules {
            simple,
            weigher: self.weigher,
            expire_with: self.expire_with,
            time_to_live: time_to_live.map_or(NEVER, saturating_nanos),
            jitter: self.ttl_jitter,
            adaptive,
        };
        let clock = self.clock.map_or_else(NanoClock::system, NanoClock::new);
        let deliveries = Deliveries::new(self.eviction_listener);
        // SAFETY: `plain` is only ever set by `optimistic_reads`, which asks for plain data.
        let inner = unsafe {
            Inner::new(
                layout,
                shards,
                bounds,
                self.hasher,
                self.mix,
                clock,
                self.enabled,
                rules,
                deliveries,
                Loads::new(loads),
            )
        };
        Ok(Cache {
            inner: Arc::new(inner),
        })
    }
}

/// Checks a bound.
pub(crate) fn bound(field: &'static str, value: u64) -> Result<u64, ConfigError> {
    if value == 0 {
        return Err(ConfigError::new(field, value, "at least 1"));
    }
    Ok(value.min(UNBOUNDED))
}

/// Eight for each core, as far as each has entries enough that its order is like the whole cache's.
fn default_shards(entries: u64) -> usize {
    let cores = std::thread::available_parallelism().map_or(4, usize::from);
    let wanted = (cores * 8).next_power_of_two();
    let sensible = usize::try_from(entries / SHARD_ENTRIES)
        .unwrap_or(usize::MAX)
        .max(1);
    let sensible = 1 << sensible.ilog2();
    wanted.min(sensible).min(MAX_SHARDS)
}

impl<K, V, S> fmt::Debug for CacheBuilder<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheBuilder")
            .field("max_capacity", &self.max_capacity)
            .field("max_weight", &self.max_weight)
            .field("weigher", &self.weigher.is_some())
            .field("time_to_live", &self.time_to_live)
            .field("time_to_idle", &self.time_to_idle)
            .field("expire_with", &self.expire_with.is_some())
            .field("ttl_jitter", &self.ttl_jitter)
            .field("eviction_policy", &self.eviction_policy)
            .field("eviction_listener", &self.eviction_listener.is_some())
            .field("shards", &self.shards)
            .field("enabled", &self.enabled)
            .field("optimistic_reads", &self.plain)
            .field("loads", &self.loads)
            .field("limits", &self.limits)
            .field("adaptive_ttl", &self.adaptive_ttl)
            .finish_non_exhaustive()
    }
}
