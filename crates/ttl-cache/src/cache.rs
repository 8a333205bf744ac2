//! [`Cache`]: the handle that users hold.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use brolly_sync::NEVER;

use crate::adaptive_ttl::Controller;
use crate::budget::UNBOUNDED;
use crate::builder::CacheBuilder;
use crate::error::{ConfigError, InsertError};
use crate::hasher::RandomState;
use crate::inner::{Condition, Inner, Terms, Written};
use crate::iter::{Iter, Keys};
use crate::load::Counted;
use crate::policy::EvictionPolicy;
use crate::stats::{Stats, ratio};

/// A concurrent, bounded cache with expiry.
///
/// A handle: clones share one cache. All methods take `&self` and may be called from any thread.
///
/// The code of `K`'s `Hash`, `Eq` and `Clone`, of `V`'s `Clone` and of the clock runs under the lock
/// of a shard and must not call into the same cache. Everything else that a user hands in (listeners,
/// weighers, loaders, predicates, destructors) runs without a lock, and may.
pub struct Cache<K, V, S = RandomState> {
    pub(crate) inner: Arc<Inner<K, V, S>>,
}

impl<K, V> Cache<K, V> {
    /// A builder with the defaults: 1,000 entries that live for 300 seconds, least recently used
    /// ones evicted first.
    #[must_use]
    pub fn builder() -> CacheBuilder<K, V> {
        CacheBuilder::new()
    }
}

impl<K, V> Cache<K, V>
where
    K: Hash + Eq,
{
    /// A cache for so many entries, with the builder's other defaults. Zero is raised to one.
    #[must_use]
    pub fn new(max_capacity: u64) -> Self {
        let builder = Self::builder().max_capacity(max_capacity.clamp(1, UNBOUNDED));
        builder.build().expect("the defaults are valid")
    }
}

impl<K, V, S> Cache<K, V, S>
where
    K: Hash + Eq,
    S: BuildHasher,
{
    /// The live value of a key. Counts as a hit or a miss, and as a use of the entry.
    ///
    /// Never an expired value, whether anybody has cleaned up or not; and reading never extends a
    /// time to live (it does extend a time to idle).
    #[inline]
    #[must_use]
    pub fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        V: Clone,
    {
        self.inner.get(key)
    }

    /// The live value of a key, without being counted and without being a use of the entry.
    #[must_use]
    pub fn peek<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        V: Clone,
    {
        self.inner.peek(key)
    }

    /// Whether a key has a live value. Not counted, and not a use of the entry.
    #[must_use]
    pub fn contains_key<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.inner.contains(key)
    }

    /// Writes a value. Returns the live value that was there.
    ///
    /// The time to live begins anew. At most as much is evicted as is needed, never the new entry.
    /// An entry that the cache cannot take, as it alone is too heavy or its weigher panics, is not
    /// stored, what was there goes, since it is outdated, and the listener is told
    /// [`Rejected`](crate::RemovalCause::Rejected). [`try_insert`](Self::try_insert) gives such an
    /// entry back.
    #[doc(alias = "set")]
    #[doc(alias = "put")]
    pub fn insert(&self, key: K, value: V) -> Option<V>
    where
        K: Clone,
        V: Clone,
    {
        match self.try_insert(key, value) {
            Ok(previous) => previous,
            Err(error) => {
                let previous = self.remove(&error.key);
                self.inner.reject(error.key, error.value);
                previous
            }
        }
    }

    /// Writes a value. Returns the live value that was there.
    ///
    /// # Errors
    ///
    /// The entry is too heavy, or a callback panicked: the cache is unchanged, and the entry is
    /// given back.
    pub fn try_insert(&self, key: K, value: V) -> Result<Option<V>, InsertError<K, V>>
    where
        V: Clone,
    {
        self.insert_for(key, value, None)
    }

    /// Writes a value that lives for `time_to_live`, whatever the cache's own says. Returns the
    /// live value that was there.
    ///
    /// # Errors
    ///
    /// A time to live of zero, and those of [`try_insert`](Self::try_insert): the cache is
    /// unchanged, and the entry is given back.
    pub fn insert_with_ttl(
        &self,
        key: K,
        value: V,
        time_to_live: Duration,
    ) -> Result<Option<V>, InsertError<K, V>>
    where
        V: Clone,
    {
        self.insert_for(key, value, Some(time_to_live))
    }

    fn insert_for(
        &self,
        key: K,
        value: V,
        ttl: Option<Duration>,
    ) -> Result<Option<V>, InsertError<K, V>>
    where
        V: Clone,
    {
        if !self.inner.is_enabled() {
            return Ok(None);
        }
        let hash = self.inner.hash(&key);
        match ttl {
            None => match self
                .inner
                .write_briefly(key, value, hash, Condition::Always)
            {
                Ok(previous) => Ok(previous),
                Err((key, value)) => self.insert_at_length(key, value, hash, None),
            },
            ttl => self.insert_at_length(key, value, hash, ttl),
        }
    }

    #[inline(never)]
    fn insert_at_length(
        &self,
        key: K,
        value: V,
        hash: u64,
        ttl: Option<Duration>,
    ) -> Result<Option<V>, InsertError<K, V>>
    where
        V: Clone,
    {
        let (key, value, terms) = self.terms(key, value, hash, ttl)?;
        match self.inner.write(key, value, hash, terms, Condition::Always) {
            Written::Done(previous) => Ok(previous),
            Written::Refused(key, value, reason) => Err(InsertError { key, value, reason }),
            Written::Not(..) => unreachable!("there was no condition"),
        }
    }

    fn terms(
        &self,
        key: K,
        value: V,
        hash: u64,
        ttl: Option<Duration>,
    ) -> Result<(K, V, Terms), InsertError<K, V>> {
        match self.inner.terms(&key, &value, hash, ttl) {
            Ok(terms) => Ok((key, value, terms)),
            Err(reason) => Err(InsertError { key, value, reason }),
        }
    }

    /// Takes a key out. Returns its live value.
    ///
    /// A load of the key that is in progress will not bring it back.
    #[doc(alias = "delete")]
    pub fn remove<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q> + Clone,
        Q: Hash + Eq + ?Sized,
        V: Clone,
    {
        self.inner.remove(key, || true).map(|(_, value)| value)
    }

    /// Takes a key out, as [`remove`](Self::remove) does, for those who do not want its value.
    pub fn invalidate<Q>(&self, key: &Q)
    where
        K: Borrow<Q> + Clone,
        Q: Hash + Eq + ?Sized,
        V: Clone,
    {
        drop(self.remove(key));
    }

    /// Takes all entries out. Returns how many live ones there were.
    ///
    /// Entries whose insertion begins after this has returned stay; of those that come in meanwhile,
    /// some may go.
    #[doc(alias = "invalidate_all")]
    pub fn clear(&self) -> u64 {
        self.inner.clear()
    }

    /// Keeps the live entries for which `keeps` returns `true`. Returns how many went.
    ///
    /// `keeps` is called without a lock, with copies of the entries.
    pub fn retain(&self, mut keeps: impl FnMut(&K, &V) -> bool) -> u64
    where
        K: Clone,
        V: Clone,
    {
        self.inner.remove_if(|key, value| !keeps(key, value))
    }

    /// How many live entries there are; those that have expired never count.
    ///
    /// Takes out what has expired first. Beyond that it looks at each shard once, or at each entry
    /// if there is a time to idle or if expired values are kept for loads.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.inner.len()
    }

    /// Whether there is no live entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What all entries weigh together; without a weigher, how many there are.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.inner.weight()
    }

    /// The live entries, copied a few at a time; see [`Iter`].
    #[must_use]
    pub fn iter(&self) -> Iter<K, V, S>
    where
        K: Clone,
        V: Clone,
    {
        Iter::new(Arc::clone(&self.inner))
    }

    /// The keys of the live entries, as [`iter`](Self::iter).
    #[must_use]
    pub fn keys(&self) -> Keys<K, V, S>
    where
        K: Clone,
        V: Clone,
    {
        Keys::new(self.iter())
    }

    /// Changes how many entries there may be. When this returns, there are not more.
    ///
    /// # Errors
    ///
    /// Zero.
    pub fn set_max_capacity(&self, max_capacity: u64) -> Result<(), ConfigError> {
        let entries = crate::builder::bound("max_capacity", max_capacity)?;
        self.inner.set_bounds(|bounds| bounds.entries = entries);
        Ok(())
    }

    /// Changes how heavy all entries may be. When this returns, they are not heavier.
    ///
    /// # Errors
    ///
    /// Zero, or a cache without a weigher.
    pub fn set_max_weight(&self, max_weight: u64) -> Result<(), ConfigError> {
        let weight = crate::builder::bound("max_weight", max_weight)?;
        if !self.inner.layout.weighted {
            return Err(ConfigError::new(
                "max_weight",
                max_weight,
                "a cache with a weigher",
            ));
        }
        self.inner.set_bounds(|bounds| bounds.weight = weight);
        Ok(())
    }

    /// Switches the cache on or off. Switched off, it finds nothing, stores nothing, and counts
    /// lookups as bypassed; what it holds stays.
    pub fn set_enabled(&self, enabled: bool) {
        self.inner.set_enabled(enabled);
    }

    /// Whether the cache is on.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.inner.is_enabled()
    }

    /// Which entry goes when there is no room.
    #[must_use]
    pub fn policy(&self) -> EvictionPolicy {
        self.inner.layout.policy
    }

    /// How long an entry lives unless something else is said of it; `None` if it does not expire.
    #[must_use]
    pub fn time_to_live(&self) -> Option<Duration> {
        let nanos = self.inner.rules.time_to_live;
        (nanos != NEVER).then(|| Duration::from_nanos(nanos))
    }

    /// How many entries there may be; `None` if only their weight is bounded.
    #[must_use]
    pub fn max_capacity(&self) -> Option<u64> {
        Some(self.inner.bounds().entries).filter(|bound| *bound < UNBOUNDED)
    }

    /// How heavy all entries may be; `None` without such a bound.
    #[must_use]
    pub fn max_weight(&self) -> Option<u64> {
        Some(self.inner.bounds().weight).filter(|bound| *bound < UNBOUNDED)
    }

    /// How many entries each shard holds, expired ones included.
    #[must_use]
    pub fn shard_sizes(&self) -> Vec<u64> {
        let shards = self.inner.shards().iter();
        shards.map(|shard| shard.read().slab.len() as u64).collect()
    }

    /// What the cache did so far, and what it holds.
    ///
    /// Adds up the counts of all shards and threads; not for the hot path.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let inner = &self.inner;
        let (hits, misses) = inner.lookups();
        let now = inner.clock.now();
        let mut stats = Stats {
            hits,
            misses,
            bypassed: inner.bypassed.load(Relaxed),
            rejections: inner.rejected.load(Relaxed),
            listener_panics: inner.deliveries.panics(),
            maintenance_rounds: inner.maintenance_rounds.load(Relaxed),
            hit_rate: ratio(hits, hits + misses),
            miss_rate: ratio(misses, hits + misses),
            ..Stats::default()
        };
        let mut loads = Counted::default();
        for shard in inner.shards() {
            let state = shard.read();
            let all = state.slab.len() as u64;
            let expired =
                if state.may_be_due(now) || inner.layout.keep > 0 || inner.layout.idle.is_some() {
                    state.entries().filter(|seen| seen.deadline <= now).count() as u64
                } else {
                    0
                };
            stats.entries += all - expired;
            stats.expired_entries += expired;
            stats.weight += if inner.layout.weighted {
                state.weight
            } else {
                all
            };
            stats.inserts += state.counts.inserts;
            stats.replaced += state.counts.replaced;
            stats.evictions += state.counts.evicted;
            stats.expirations += state.counts.expired;
            stats.removals += state.counts.removed;
            loads = loads.plus(state.watches.loads.counted);
        }
        stats.loads = inner.loads.stats(loads);
        stats.adaptive_ttl = inner.rules.adaptive.as_ref().map(Controller::stats);
        stats.eviction_rate = ratio(stats.evictions, stats.inserts);
        // Entries move between shards while the sums are taken; the bounds hold at every instant.
        let bounds = inner.bounds();
        stats.entries = stats.entries.min(bounds.entries);
        stats.weight = stats.weight.min(bounds.weight);
        stats.time_to_live = self.time_to_live();
        stats.max_entries = self.max_capacity();
        stats.max_weight = self.max_weight();
        stats
    }
}

impl<K, V, S> Clone for Cache<K, V, S> {
    /// Another handle to the same cache.
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<K, V, S> fmt::Debug for Cache<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("policy", &self.inner.layout.policy)
            .field("shards", &self.inner.shards().len())
            .finish_non_exhaustive()
    }
}
