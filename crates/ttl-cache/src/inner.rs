//! [`Inner`]: the shards of a cache and what they share. Everything public goes through here.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use brolly_sync::{NEVER, NanoClock, saturating_nanos};

use crate::adaptive_ttl::Controller;
use crate::budget::{Budget, Hand, Room, UNBOUNDED};
use crate::error::Refusal;
use crate::load::Loads;
use crate::maintain::Bells;
use crate::primitive::{AtomicU64, Mutex, lock};
use crate::readers::{Lookup, Readers, ReadersId};
use crate::removal::{Deliveries, RemovalCause, Removed, drop_payload};
use crate::shard::{Layout, Retired, Shard, State, Write, Writing};
use crate::store::Glance;
use crate::watch::{Claim, Watch};
use std::sync::atomic::Ordering::Relaxed;

pub(crate) type Weigher<K, V> = Box<dyn Fn(&K, &V) -> u64 + Send + Sync>;
pub(crate) type ExpireWith<K, V> = Box<dyn Fn(&K, &V) -> Option<Duration> + Send + Sync>;

/// What a cache was told, beside its shards' layout.
pub(crate) struct Rules<K, V> {
    pub(crate) weigher: Option<Weigher<K, V>>,
    pub(crate) expire_with: Option<ExpireWith<K, V>>,
    /// Nanoseconds, or `NEVER`.
    pub(crate) time_to_live: u64,
    /// The share of a time to live that may be taken off at random.
    pub(crate) jitter: f64,
    pub(crate) adaptive: Option<Controller<K>>,
    /// None of the others but the time to live says anything.
    pub(crate) simple: bool,
}

/// One unit of maintenance holds a lock for so many steps at most.
pub(crate) const MAINTAIN_STEPS: usize = 128;

pub(crate) struct Inner<K, V, S> {
    shards: Box<[Shard<K, V>]>,
    shard_mask: usize,
    pub(crate) layout: Layout,
    readers: Arc<Readers>,
    hasher: S,
    /// The hasher is not ours, and may be a weak one.
    mix: bool,
    pub(crate) clock: NanoClock,
    enabled: AtomicBool,
    /// It is on, and nobody takes notes of lookups.
    plainly: AtomicBool,
    /// And lookups take no lock: then the id of the readers.
    glances: AtomicU64,
    /// Writes need no more than their key's shard: nothing is weighed, idle, or told.
    brief: bool,
    pub(crate) rules: Rules<K, V>,
    pub(crate) deliveries: Deliveries<K, V>,
    pub(crate) loads: Loads,
    pub(crate) budget: Budget,
    max_entries: AtomicU64,
    max_weight: AtomicU64,
    /// Held while the bounds are changed.
    pub(crate) resizing: Mutex<()>,
    /// Held by the one who gathers the room of entries in several shards.
    pub(crate) gathering: Mutex<()>,
    pub(crate) maintainers: Bells,
    graveyard: Mutex<Vec<Retired<K, V>>>,
    pub(crate) bypassed: AtomicU64,
    pub(crate) rejected: AtomicU64,
    pub(crate) maintenance_rounds: AtomicU64,
    /// The shard at which the next maintenance begins, so that small budgets reach them all.
    maintenance_from: AtomicU64,
}

/// Whether a look counts as a lookup, and as a use for the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    Count,
    Peek,
}

/// What is known of a key.
#[derive(Debug)]
pub(crate) enum Found<V> {
    /// A live value, how long ago it was written, and in how many nanoseconds it ends (zero and
    /// never unless `Layout::aged`).
    Fresh { value: V, age: Duration, left: u64 },
    /// A value past its time to live that is still kept, and how long it is past it.
    Stale { value: V, since: Duration },
    /// Nothing.
    Missing,
}

/// When a write applies.
pub(crate) enum Condition<'a, K, V> {
    Always,
    /// Only if there is no live value.
    IfAbsent,
    /// Only if the watched key was not written.
    IfUnwritten(&'a Watch),
    /// Only if a load is listed whose key was not written. It ends by being stored.
    IfLoading(&'a Claim<K, V>),
}

impl<K, V> Clone for Condition<'_, K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for Condition<'_, K, V> {}

/// What came of a write.
#[derive(Debug)]
pub(crate) enum Written<K, V> {
    /// It is in; the live value that was there before.
    Done(Option<V>),
    /// It became too heavy while its room was sought, since the bound was lowered.
    Refused(K, V, Refusal),
    /// The condition did not hold. The entry, and the live value that is there instead, if the
    /// condition was about that.
    Not(K, V, Option<V>),
}

/// How an entry is to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) weight: u64,
    /// Nanoseconds from now, or `NEVER`.
    pub(crate) time_to_live: u64,
}

impl<K, V, S> Inner<K, V, S> {
    /// # Safety
    ///
    /// If `layout.plain` is set, `K` and `V` are plain data.
    #[allow(
        clippy::too_many_arguments,
        reason = "called by the builder alone, once"
    )]
    pub(crate) unsafe fn new(
        layout: Layout,
        shards: usize,
        bounds: Room,
        hasher: S,
        mix: bool,
        clock: NanoClock,
        enabled: bool,
        rules: Rules<K, V>,
        deliveries: Deliveries<K, V>,
        loads: Loads,
    ) -> Self {
        debug_assert!(shards.is_power_of_two());
        let share = share_of(bounds.entries, shards);
        let readers = Arc::new(Readers::new());
        let plainly = enabled && rules.adaptive.is_none();
        let glances = glancing(&readers, plainly && layout.glances);
        Self {
            // SAFETY: by contract.
            shards: (0..shards)
                .map(|_| unsafe { Shard::new(layout, share, Arc::clone(&readers)) })
                .collect(),
            shard_mask: shards - 1,
            layout,
            readers,
            hasher,
            mix,
            clock,
            enabled: AtomicBool::new(enabled),
            plainly: AtomicBool::new(plainly),
            glances: AtomicU64::new(glances.number()),
            brief: rules.simple
                && !layout.weighted
                && !layout.aged
                && layout.idle.is_none()
                && !deliveries.listens(),
            rules,
            deliveries,
            loads,
            budget: Budget::new(bounds),
            max_entries: AtomicU64::new(bounds.entries),
            max_weight: AtomicU64::new(bounds.weight),
            resizing: Mutex::new(()),
            gathering: Mutex::new(()),
            maintainers: Bells::default(),
            graveyard: Mutex::new(Vec::new()),
            bypassed: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            maintenance_rounds: AtomicU64::new(0),
            maintenance_from: AtomicU64::new(0),
        }
    }

    #[inline(always)]
    pub(crate) fn is_enabled(&self) -> bool {
        self.enabled.load(Relaxed)
    }

    pub(crate) fn set_enabled(&self, enabled: bool) {
        self.enabled.store(enabled, Relaxed);
        let plainly = enabled && self.rules.adaptive.is_none();
        self.plainly.store(plainly, Relaxed);
        let glances = glancing(&self.readers, plainly && self.layout.glances);
        self.glances.store(glances.number(), Relaxed);
    }

    pub(crate) fn shards(&self) -> &[Shard<K, V>] {
        &self.shards
    }

    #[inline(always)]
    pub(crate) fn shard(&self, hash: u64) -> &Shard<K, V> {
        &self.shards[(hash >> 48) as usize & self.shard_mask]
    }

    pub(crate) fn bounds(&self) -> Room {
        Room {
            entries: self.max_entries.load(Relaxed),
            weight: self.max_weight.load(Relaxed),
        }
    }

    pub(crate) fn lookups(&self) -> (u64, u64) {
        self.readers.counts()
    }

    /// Ends a writing access. Outside of the lock, memory is freed, and those are told who are to be
    /// told.
    #[inline]
    pub(crate) fn leave(&self, shard: Writing<'_, K, V>, mut removed: Removed<K, V>) {
        self.leave_keeping(shard, &mut removed);
        self.deliveries.deliver(removed);
    }

    /// Ends a writing access with more to come before anybody is told. `_removed` shows that it is
    /// kept elsewhere: nothing is dropped under the lock.
    #[inline]
    pub(crate) fn leave_keeping(&self, mut shard: Writing<'_, K, V>, _removed: &mut Removed<K, V>) {
        if shard.has_retired() {
            let retired = shard.take_retired();
            drop(shard);
            self.bury(retired);
        }
    }

    /// Frees memory that no reader looks at any more, now or later.
    #[cold]
    fn bury(&self, retired: Vec<Retired<K, V>>) {
        lock(&self.graveyard).extend(retired);
        self.free_retired();
    }

    /// Frees memory that was retired, unless some reader is still inside a lookup.
    pub(crate) fn free_retired(&self) {
        let retired = std::mem::take(&mut *lock(&self.graveyard));
        if !retired.is_empty() && !self.readers.have_left() {
            lock(&self.graveyard).extend(retired);
        }
    }
}

/// The readers whose lookups take no lock.
fn glancing(readers: &Readers, glances: bool) -> ReadersId {
    if glances {
        readers.id()
    } else {
        ReadersId::NONE
    }
}

fn share_of(entries: u64, shards: usize) -> u64 {
    if entries >= UNBOUNDED {
        u64::MAX
    } else {
        entries.div_ceil(shards as u64)
    }
}

impl<K, V, S> Inner<K, V, S>
where
    K: Hash + Eq,
    S: BuildHasher,
{
    #[inline(always)]
    pub(crate) fn hash<Q>(&self, key: &Q) -> u64
    where
        Q: Hash + ?Sized,
    {
        let hash = self.hasher.hash_one(key);
        if self.mix {
            // The finish of SplitMix64 (Steele, Lea, Flood 2014): any bit changes all others.
            let hash = (hash ^ (hash >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            hash ^ (hash >> 31)
        } else {
            hash
        }
    }

    /// The live value of a key; counted, and noted as a use.
    ///
    /// The way of most lookups is short and calls nothing; all others begin anew in functions of
    /// their own.
    #[inline]
    pub(crate) fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        V: Clone,
    {
        let readers = ReadersId::from_number(self.glances.load(Relaxed));
        // SAFETY: no readers, or those of this cache.
        let Some(lookup) = (unsafe { Readers::begin_again(readers) }) else {
            return self.get_elsewise(key);
        };
        let hash = self.hash(key);
        let shard = self.shard(hash);
        // SAFETY: `glances` is set for plain data only, which was promised to `new`. Memory is freed
        // once `Readers::have_left`, and this lookup ends after its last use of the mark.
        match unsafe { shard.find(hash as u32, key) } {
            Glance::Hit(value, NEVER, mark) => {
                shard.touch(&self.layout, mark);
                lookup.hit();
                Some(value)
            }
            Glance::Hit(value, deadline, mark) => {
                self.end_timed(shard, lookup, value, deadline, mark)
            }
            Glance::Miss => {
                lookup.miss();
                None
            }
            Glance::Unclear => {
                drop(lookup);
                self.get_patiently(key)
            }
        }
    }

    /// Tells the controller of times to live of a lookup, if there is one.
    #[inline]
    fn note(&self, hash: u64, hit: bool) {
        if let Some(adaptive) = &self.rules.adaptive {
            adaptive.saw(hash, hit, self.clock.now());
        }
    }

    /// Ends a lookup that found an entry which ends at some time.
    #[inline(never)]
    fn end_timed(
        &self,
        shard: &Shard<K, V>,
        lookup: Lookup<'_>,
        value: V,
        deadline: u64,
        mark: &AtomicU64,
    ) -> Option<V> {
        if self.clock.is_past(deadline) {
            lookup.miss();
            return None;
        }
        shard.touch(&self.layout, mark);
        lookup.hit();
        Some(value)
    }

    /// As `get`, where lookups take a lock, and in a thread that was at another cache.
    #[inline(never)]
    fn get_elsewise<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        V: Clone,
    {
        if ReadersId::from_number(self.glances.load(Relaxed)) == self.readers.id() {
            self.get_patiently(key)
        } else {
            self.get_shared(key)
        }
    }

    /// As `get`, when a short look was not enough.
    #[inline(never)]
    fn get_patiently<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        V: Clone,
    {
        let hash = self.hash(key);
        let shard = self.shard(hash);
        if let Some(lookup) = self.readers.begin() {
            // SAFETY: called by `get` alone, for whose reasons this is sound too.
            match unsafe { shard.find_patiently(hash as u32, key) } {
                Glance::Hit(value, deadline, mark) => {
                    return self.end_timed(shard, lookup, value, deadline, mark);
                }
                Glance::Miss => {
                    lookup.miss();
                    return None;
                }
                // Who waits for a lock must not keep memory from being freed.
                Glance::Unclear => drop(lookup),
            }
        }
        self.get_locked(shard, hash, key)
    }

    /// As `get`, for data that is not plain, and in a thread that has no counts of its own yet.
    #[inline(never)]
    fn get_shared<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        V: Clone,
    {
        if !self.plainly.load(Relaxed) {
            return self.get_noted(key);
        }
        let hash = self.hash(key);
        let shard = self.shard(hash);
        let Some(lookup) = self.readers.begin() else {
            return self.get_locked(shard, hash, key);
        };
        // SAFETY: shards are made with the readers of their cache.
        let Some(state) = (unsafe { shard.state.glance(&lookup) }) else {
            // Who waits for a lock must not keep its holder waiting.
            drop(lookup);
            return self.get_locked(shard, hash, key);
        };
        let value = self.look_in(state, shard, hash, key, Look::Count, |value| value.clone());
        if value.is_some() {
            lookup.hit();
        } else {
            lookup.miss();
        }
        value
    }

    /// As `get`, in a cache that is off or takes notes of lookups.
    #[cold]
    fn get_noted<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        V: Clone,
    {
        if !self.is_enabled() {
            self.bypassed.fetch_add(1, Relaxed);
            return None;
        }
        let hash = self.hash(key);
        let value = self.get_locked(self.shard(hash), hash, key);
        self.note(hash, value.is_some());
        value
    }

    #[inline(never)]
    fn get_locked<Q>(&self, shard: &Shard<K, V>, hash: u64, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        V: Clone,
    {
        let state = shard.read();
        let value = self.look_in(&state, shard, hash, key, Look::Count, |value| value.clone());
        drop(state);
        self.count(value.is_some());
        value
    }

    /// Counts a lookup.
    #[inline]
    fn count(&self, hit: bool) {
        match self.readers.begin() {
            Some(lookup) if hit => lookup.hit(),
            Some(lookup) => lookup.miss(),
            None => self.readers.count_shared(hit),
        }
    }

    /// Looks at a live entry.
    #[inline(always)]
    fn look_in<Q, R>(
        &self,
        state: &State<K, V>,
        shard: &Shard<K, V>,
        hash: u64,
        key: &Q,
        look: Look,
        then: impl FnOnce(&V) -> R,
    ) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let entry = state.find_entry(hash as u32, key)?;
        if self.clock.is_past(entry.deadline) {
            return None;
        }
        if look == Look::Count {
            shard.touch(&self.layout, entry.mark);
            if self.layout.idle.is_some() {
                state.put_off(entry.slot, self.clock.now());
            }
        }
        Some(then(entry.value))
    }

    /// The live value of a key, without a trace.
    pub(crate) fn peek<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        V: Clone,
    {
        if !self.is_enabled() {
            return None;
        }
        let hash = self.hash(key);
        let shard = self.shard(hash);
        self.look_in(&shard.read(), shard, hash, key, Look::Peek, |value| {
            value.clone()
        })
    }

    pub(crate) fn contains<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        if !self.is_enabled() {
            return false;
        }
        let hash = self.hash(key);
        let shard = self.shard(hash);
        self.look_in(&shard.read(), shard, hash, key, Look::Peek, |_| ())
            .is_some()
    }

    /// What is known of a key, values past their time to live included while they are kept.
    pub(crate) fn find<Q>(&self, hash: u64, key: &Q, look: Look) -> Found<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        V: Clone,
    {
        if !self.is_enabled() {
            return Found::Missing;
        }
        let shard = self.shard(hash);
        let found = self.find_locked(shard, hash, key, look);
        if look == Look::Count {
            let hit = matches!(found, Found::Fresh { .. });
            self.count(hit);
            self.note(hash, hit);
        }
        found
    }

    fn find_locked<Q>(&self, shard: &Shard<K, V>, hash: u64, key: &Q, look: Look) -> Found<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        V: Clone,
    {
        self.find_in(&shard.read(), shard, hash, key, look)
    }

    /// As `find_locked`, under a lock that is held.
    pub(crate) fn find_in<Q>(
        &self,
        state: &State<K, V>,
        shard: &Shard<K, V>,
        hash: u64,
        key: &Q,
        look: Look,
    ) -> Found<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        V: Clone,
    {
        let Some(entry) = state.find_entry(hash as u32, key) else {
            return Found::Missing;
        };
        let (slot, value, deadline) = (entry.slot, entry.value, entry.deadline);
        if self.clock.is_past(deadline) {
            let since = self.clock.now().saturating_sub(deadline);
            if since >= self.layout.keep {
                return Found::Missing;
            }
            return Found::Stale {
                value: value.clone(),
                since: Duration::from_nanos(since),
            };
        }
        if look == Look::Count {
            shard.touch(&self.layout, entry.mark);
            if self.layout.idle.is_some() {
                state.put_off(slot, self.clock.now());
            }
        }
        let (mut age, mut left) = (0, NEVER);
        if self.layout.aged {
            let now = self.clock.now();
            age = now.saturating_sub(state.written(slot));
            if deadline != NEVER {
                left = deadline.saturating_sub(now);
            }
        }
        Found::Fresh {
            value: value.clone(),
            age: Duration::from_nanos(age),
            left,
        }
    }

    /// Watches a key: from now on writes and removals of it are noted.
    pub(crate) fn watch(&self, hash: u64) -> Watch {
        let watch = Watch::default();
        let mut shard = self.shard(hash).write();
        shard.watches.add(hash as u32, &watch, 0);
        watch
    }

    /// Ends a watch before its last handle goes.
    pub(crate) fn unwatch(&self, hash: u64, watch: &Watch) {
        self.shard(hash).write().watches.remove(hash as u32, watch);
    }

    /// Stores a loaded value unless its key was written since the load was listed. Whether it was
    /// not written, as far as this came to look.
    pub(crate) fn insert_loaded(&self, key: K, hash: u64, value: V, claim: &Claim<K, V>) -> bool
    where
        V: Clone,
    {
        if !self.is_enabled() {
            return true;
        }
        let brief = self.write_briefly(key, value, hash, Condition::IfLoading(claim));
        let Err((key, value)) = brief else {
            return true;
        };
        match self.terms(&key, &value, hash, None) {
            Ok(terms) => match self.write(key, value, hash, terms, Condition::IfLoading(claim)) {
                Written::Done(_) => {}
                Written::Not(..) => return false,
                Written::Refused(key, value, _) => self.reject(key, value),
            },
            Err(_) => self.reject(key, value),
        }
        true
    }

    /// What an entry weighs and how long it lives, by the cache's rules.
    #[inline]
    pub(crate) fn terms(
        &self,
        key: &K,
        value: &V,
        hash: u64,
        ttl: Option<Duration>,
    ) -> Result<Terms, Refusal> {
        if self.rules.simple && ttl.is_none() {
            return Ok(Terms {
                weight: 0,
                time_to_live: self.rules.time_to_live,
            });
        }
        self.terms_by_rules(key, value, hash, ttl)
    }

    #[inline(never)]
    fn terms_by_rules(
        &self,
        key: &K,
        value: &V,
        hash: u64,
        ttl: Option<Duration>,
    ) -> Result<Terms, Refusal> {
        let rules = &self.rules;
        let weight = match &rules.weigher {
            Some(weigher) => contained("weigher", || weigher(key, value))?,
            None => 0,
        };
        let mut time_to_live = rules.time_to_live;
        if let Some(ttl) = ttl {
            if ttl.is_zero() {
                return Err(Refusal::TimeToLive { value: ttl });
            }
            time_to_live = saturating_nanos(ttl);
        } else if let Some(expire_with) = &rules.expire_with
            && let Some(ttl) = contained("expire_with", || expire_with(key, value))?
        {
            time_to_live = saturating_nanos(ttl);
        } else if let Some(adaptive) = &rules.adaptive {
            let group = contained("adaptive_ttl_groups", || adaptive.group(key, hash))?;
            time_to_live = adaptive.write(group, hash, time_to_live, self.clock.now());
        }
        if rules.jitter > 0.0 && time_to_live != NEVER {
            time_to_live = self.jittered(time_to_live, hash);
        }
        let max_weight = self.max_weight.load(Relaxed);
        if weight > max_weight {
            return Err(Refusal::TooHeavy { weight, max_weight });
        }
        Ok(Terms {
            weight,
            time_to_live,
        })
    }

    fn jittered(&self, time_to_live: u64, hash: u64) -> u64 {
        let Some(most) = time_to_live.checked_sub(1) else {
            return 0;
        };
        let mixed = (hash ^ self.clock.now()).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let random = (mixed >> 11) as f64 / (1_u64 << 53) as f64;
        let off = time_to_live as f64 * self.rules.jitter * random;
        time_to_live - (off as u64).min(most)
    }

    /// Tells the listener of an entry that never entered.
    pub(crate) fn reject(&self, key: K, value: V) {
        self.rejected.fetch_add(1, Relaxed);
        let mut removed = self.deliveries.removed();
        removed.push(key, value, RemovalCause::Rejected);
        self.deliveries.deliver(removed);
    }

    /// Writes an entry by the cache's rules, in the short way of most writes: nothing is due in the
    /// shard, and there is room, or an entry that can go for it. The live value that was there; or
    /// the entry, if it has to be written the long way, of which this has done nothing.
    #[inline]
    pub(crate) fn write_briefly(
        &self,
        key: K,
        value: V,
        hash: u64,
        condition: Condition<'_, K, V>,
    ) -> Result<Option<V>, (K, V)> {
        if !self.brief {
            return Err((key, value));
        }
        let shard = self.shard(hash);
        let hash = hash as u32;
        shard.published.prefetch(hash);
        let mut shard = shard.write();
        let now = self.now_for(self.rules.time_to_live, &shard);
        if shard.may_be_due(now) || !condition.is_unwritten(hash, &shard.watches) {
            return Err((key, value));
        }
        let deadline = now.saturating_add(self.rules.time_to_live);
        // A clock may panic: not once room was taken.
        let ended = condition.ends_at(now, &self.clock);
        // What was not there when a load was listed is not there while it is unwritten.
        let searched = !condition.is_absent();
        let present = searched.then(|| shard.find_entry(hash, &key)).flatten();
        if let Some((slot, before)) = present.map(|entry| (entry.slot, entry.deadline)) {
            if before != NEVER && self.clock.is_past_at(before, now) {
                return Err((key, value));
            }
            condition.end(hash, &mut shard.watches, ended);
            let old = shard.overwrite(slot, value, hash, before, deadline);
            // Without the lock, the destructor of the key runs.
            drop(shard);
            return Ok(Some(old));
        }
        shard.prefetch_victim();
        shard.prefetch(hash);
        if self.budget.take_one() {
            condition.end(hash, &mut shard.watches, ended);
            shard.insert(Write {
                key,
                value,
                hash,
                weight: 0,
                now,
                deadline,
            });
            if shard.has_retired() {
                self.leave(shard, self.deliveries.removed());
            }
            return Ok(None);
        }
        let swapped = shard.swap(key, value, hash, deadline);
        if swapped.is_ok() {
            condition.end(hash, &mut shard.watches, ended);
        }
        drop(shard);
        // Without the lock, the victim's destructor runs.
        swapped.map(|_victim| None)
    }

    /// Writes an entry. Takes its room first, from the budget, from its own shard, or from another.
    pub(crate) fn write(
        &self,
        key: K,
        value: V,
        hash: u64,
        terms: Terms,
        condition: Condition<'_, K, V>,
    ) -> Written<K, V>
    where
        V: Clone,
    {
        self.write_tagged(key, value, hash, terms, condition, &[])
    }

    /// As [`write`](Self::write), and tags the entry.
    #[inline]
    pub(crate) fn write_tagged(
        &self,
        key: K,
        value: V,
        hash: u64,
        terms: Terms,
        condition: Condition<'_, K, V>,
        tags: &[Arc<str>],
    ) -> Written<K, V>
    where
        V: Clone,
    {
        let mut hand = Hand::empty(&self.budget);
        let mut removed = self.deliveries.removed();
        self.shard(hash).published.prefetch(hash as u32);
        // Taken if the room of this shard's entries is not enough.
        let mut gathering = None;
        loop {
            let mut shard = self.shard(hash).write();
            shard.prefetch(hash as u32);
            let now = self.now_for(terms.time_to_live, &shard);
            if !condition.is_unwritten(hash as u32, &shard.watches) {
                self.leave(shard, removed);
                return Written::Not(key, value, None);
            }
            shard.tidy(now, &mut hand.room, &mut removed);
            let mut present = shard.find(hash as u32, &key);
            if let Some(slot) = present {
                let deadline = shard.slab.deadline(slot);
                if deadline != NEVER && self.clock.is_past_at(deadline, now) {
                    let (key, value, freed) = shard.remove(slot, RemovalCause::Expired);
                    hand.room = hand.room.plus(freed);
                    removed.push(key, value, RemovalCause::Expired);
                    present = None;
                }
            }
            if let (Some(slot), Condition::IfAbsent) = (present, condition) {
                let there = shard.slab.get(slot).map(|(_, value, _)| value.clone());
                self.leave(shard, removed);
                return Written::Not(key, value, there);
            }
            let needed = match present {
                Some(slot) => Room {
                    entries: 0,
                    weight: terms.weight.saturating_sub(shard.weight_of(slot)),
                },
                None => Room::one(terms.weight),
            };
            if !shard.secure(needed, &mut hand, present, now, &mut removed) {
                self.leave_keeping(shard, &mut removed);
                let (weight, max_weight) = (terms.weight, self.max_weight.load(Relaxed));
                if weight > max_weight {
                    drop(hand);
                    self.deliveries.deliver(removed);
                    return Written::Refused(key, value, Refusal::TooHeavy { weight, max_weight });
                }
                if gathering.is_none() {
                    // One at a time: two that each wait for what the other has gathered would wait
                    // for ever. So nobody holds any room while waiting for the turn.
                    drop(std::mem::replace(&mut hand, Hand::empty(&self.budget)));
                    gathering = Some(lock(&self.gathering));
                }
                self.evict_elsewhere(needed, &mut hand, hash, &mut removed);
                continue;
            }
            let ended = condition.ends_at(now, &self.clock);
            condition.end(hash as u32, &mut shard.watches, ended);
            hand.room = hand.room.less(needed);
            let write = Write {
                key,
                value,
                hash: hash as u32,
                weight: terms.weight,
                now,
                deadline: now.saturating_add(terms.time_to_live),
            };
            let mut old = None;
            let slot = if let Some(slot) = present {
                hand.room.weight += shard.weight_of(slot).saturating_sub(terms.weight);
                old = Some(shard.replace(slot, write));
                slot
            } else {
                shard.insert(write)
            };
            if !tags.is_empty() {
                shard.tags.get_or_insert_default().set(slot, tags);
            }
            self.leave_keeping(shard, &mut removed);
            drop(hand);
            drop(gathering);
            let previous = self.settle(old, &mut removed);
            self.deliveries.deliver(removed);
            return Written::Done(previous);
        }
    }

    /// The time for a write: read only if something can end.
    #[inline]
    pub(crate) fn now_for(&self, time_to_live: u64, shard: &Writing<'_, K, V>) -> u64 {
        if let Some(idle) = self.layout.idle {
            self.clock.start_of(time_to_live.min(idle))
        } else if time_to_live != NEVER {
            self.clock.start_of(time_to_live)
        } else if self.layout.aged || shard.next_due().is_some() {
            self.clock.coarse()
        } else {
            0
        }
    }

    /// Shares a replaced value among those who want it: the caller, and the listener. Without a lock.
    fn settle(&self, old: Option<(K, V)>, removed: &mut Removed<K, V>) -> Option<V>
    where
        V: Clone,
    {
        let (key, value) = old?;
        if self.deliveries.listens() {
            removed.push(key, value.clone(), RemovalCause::Replaced);
        }
        Some(value)
    }

    /// Makes `hand` cover `needed` with the room of entries in all shards, one lock at a time.
    #[cold]
    pub(crate) fn evict_elsewhere(
        &self,
        needed: Room,
        hand: &mut Hand<'_>,
        hash: u64,
        removed: &mut Removed<K, V>,
    ) {
        let own = (hash >> 48) as usize & self.shard_mask;
        let now = self.clock.coarse();
        for step in 1..=self.shards.len() {
            if hand.room.covers(needed) {
                return;
            }
            let at = (own + step) & self.shard_mask;
            let mut shard = self.shards[at].write();
            let _ = shard.secure(needed, hand, None, now, removed);
            self.leave_keeping(shard, removed);
        }
        // Others have taken what there was and are about to use it.
        std::thread::yield_now();
    }

    /// Takes a live entry out if `applies` still says so, which is asked under the lock; an expired
    /// one is taken out anyway, and not given back.
    pub(crate) fn remove<Q>(&self, key: &Q, applies: impl FnOnce() -> bool) -> Option<(K, V)>
    where
        K: Borrow<Q> + Clone,
        Q: Hash + Eq + ?Sized,
        V: Clone,
    {
        let hash = self.hash(key);
        let mut shard = self.shard(hash).write();
        let mut removed = self.deliveries.removed();
        let mut hand = Hand::empty(&self.budget);
        let mut found = None;
        match shard.find(hash as u32, key) {
            Some(slot) => {
                if self.clock.is_past(shard.slab.deadline(slot)) {
                    shard.watches.wrote(hash as u32);
                    let (key, value, freed) = shard.remove(slot, RemovalCause::Expired);
                    removed.push(key, value, RemovalCause::Expired);
                    hand.room = freed;
                } else if applies() {
                    let (key, value, freed) = shard.remove(slot, RemovalCause::Explicit);
                    hand.room = freed;
                    found = Some((key, value));
                }
            }
            // A load of this key must not bring back what the caller wants gone.
            None => shard.watches.wrote(hash as u32),
        }
        drop(hand);
        self.leave_keeping(shard, &mut removed);
        // Cloned without the lock: a clone that panics drops the entry here.
        if let Some((key, value)) = &found
            && self.deliveries.listens()
        {
            removed.push(key.clone(), value.clone(), RemovalCause::Explicit);
        }
        self.deliveries.deliver(removed);
        found
    }

    /// Takes all entries out. Returns how many of them were live.
    pub(crate) fn clear(&self) -> u64 {
        let mut live = 0;
        for shard in &self.shards {
            let mut from = Some(0);
            shard.write().watches.wrote_all();
            // Entries that come in meanwhile may go as well: they did not wait for the end.
            while let Some(at) = from {
                let mut removed = self.deliveries.removed();
                let mut hand = Hand::empty(&self.budget);
                let mut writing = shard.write();
                let now = self.clock.now();
                from = None;
                for _ in 0..MAINTAIN_STEPS {
                    let Some(seen) = writing.next(at) else { break };
                    let (slot, deadline) = (seen.slot, seen.deadline);
                    let expired = deadline <= now;
                    let cause = if expired {
                        RemovalCause::Expired
                    } else {
                        RemovalCause::Explicit
                    };
                    let (key, value, freed) = writing.remove(slot, cause);
                    removed.push(key, value, cause);
                    hand.room = hand.room.plus(freed);
                    live += u64::from(!expired);
                    from = Some(slot + 1);
                }
                drop(hand);
                self.leave(writing, removed);
            }
        }
        live
    }

    /// Live entries.
    pub(crate) fn len(&self) -> u64 {
        let now = self.clock.now();
        let mut live = 0;
        for shard in &self.shards {
            if shard.read().may_be_due(now) {
                self.reclaim(shard, now, usize::MAX);
            }
            let state = shard.read();
            live += if self.layout.keep > 0 || self.layout.idle.is_some() {
                // Entries that are kept beyond their time are not told apart but by looking.
                state.entries().filter(|seen| seen.deadline > now).count() as u64
            } else {
                state.slab.len() as u64
            };
        }
        // Entries move between shards while the sum is taken, the bound holds at every instant.
        live.min(self.bounds().entries)
    }

    /// The weight of all entries; without a weigher, their number.
    pub(crate) fn weight(&self) -> u64 {
        if !self.layout.weighted {
            return self.len();
        }
        let weight = self.shards.iter().map(|shard| shard.read().weight);
        weight.sum::<u64>().min(self.bounds().weight)
    }

    /// Takes out what is due in a shard, in steps that each hold the lock for a short time only.
    /// Returns how many entries went and what is left of the budget.
    fn reclaim(&self, shard: &Shard<K, V>, now: u64, mut budget: usize) -> (u64, usize) {
        let mut gone = 0;
        while budget > 0 {
            let steps = budget.min(MAINTAIN_STEPS);
            let mut removed = self.deliveries.removed();
            let mut hand = Hand::empty(&self.budget);
            let mut writing = shard.write();
            let before = writing.counts.expired;
            let left = writing.reclaim(now, steps, &mut hand.room, &mut removed);
            gone += writing.counts.expired - before;
            drop(hand);
            self.leave(writing, removed);
            budget -= steps - left;
            if left > 0 {
                break;
            }
        }
        (gone, budget)
    }

    /// One round of maintenance over all shards. Returns how many entries went, and whether
    /// something is still due.
    pub(crate) fn maintain(&self, mut budget: usize) -> (u64, bool) {
        let now = self.clock.now();
        let mut gone = 0;
        let first = self.maintenance_from.load(Relaxed) as usize;
        for step in 0..self.shards.len() {
            let at = (first + step) & self.shard_mask;
            let shard = &self.shards[at];
            if shard.read().may_be_due(now) {
                let (went, left) = self.reclaim(shard, now, budget);
                gone += went;
                budget = left;
                if budget == 0 {
                    self.maintenance_from.store(at as u64 + 1, Relaxed);
                    break;
                }
            }
        }
        self.free_retired();
        let due = |shard: &Shard<K, V>| shard.read().may_be_due(now);
        let more = budget == 0 && self.shards.iter().any(due);
        if !more {
            self.maintenance_rounds.fetch_add(1, Relaxed);
        }
        (gone, more)
    }

    /// When something is due at the earliest.
    pub(crate) fn next_due(&self) -> Option<u64> {
        self.shards
            .iter()
            .filter_map(|shard| shard.read().next_due())
            .min()
    }

    /// Changes the bounds. When this returns, the entries are within the new ones.
    pub(crate) fn set_bounds(&self, change: impl FnOnce(&mut Room)) {
        let mut removed = self.deliveries.removed();
        let resizing = lock(&self.resizing);
        let before = self.bounds();
        let mut after = before;
        change(&mut after);
        let surplus = before.less(after);
        if surplus != Room::NONE {
            // What is free goes first, then what entries use.
            let mut hand = Hand::empty(&self.budget);
            let _gathering = lock(&self.gathering);
            while !hand.room.covers(surplus) {
                self.evict_elsewhere(surplus, &mut hand, 0, &mut removed);
            }
            // What is beyond the new bounds does not go back.
            hand.room = hand.room.less(surplus);
        }
        self.budget.give(after.less(before));
        self.max_entries.store(after.entries, Relaxed);
        self.max_weight.store(after.weight, Relaxed);
        let share = share_of(after.entries, self.shards.len());
        for shard in &self.shards {
            shard.write().set_share(share);
        }
        drop(resizing);
        self.deliveries.deliver(removed);
    }

    /// Evicts so many entries, or all. Returns how many went.
    pub(crate) fn evict(&self, mut entries: u64) -> u64 {
        let shards = self.shards.len() as u64;
        let mut gone = 0;
        while entries > 0 {
            let before = gone;
            for shard in &self.shards {
                let mut removed = self.deliveries.removed();
                let mut hand = Hand::empty(&self.budget);
                let mut writing = shard.write();
                // From all shards alike, a few at a time.
                for _ in 0..entries.div_ceil(shards).min(MAINTAIN_STEPS as u64) {
                    let Some(freed) = writing.evict(None, &mut removed) else {
                        break;
                    };
                    hand.room = hand.room.plus(freed);
                    gone += 1;
                    entries -= 1;
                    if entries == 0 {
                        break;
                    }
                }
                drop(hand);
                self.leave(writing, removed);
                if entries == 0 {
                    break;
                }
            }
            if gone == before {
                break;
            }
        }
        gone
    }

    /// Removes the entries for which `goes` says so; it is asked without a lock. Returns how many
    /// went.
    pub(crate) fn remove_if(&self, mut goes: impl FnMut(&K, &V) -> bool) -> u64
    where
        K: Clone,
        V: Clone,
    {
        let mut gone = 0;
        for shard in &self.shards {
            let mut from = Some(0);
            while let Some(at) = from {
                let (batch, next) = self.watched_batch(shard, at);
                from = next;
                let Some((watch, entries)) = batch else {
                    continue;
                };
                let chosen = |(number, (key, value, hash)): (usize, (K, V, u32))| {
                    goes(&key, &value).then_some((number as u32, key, hash))
                };
                let chosen: Vec<_> = entries.into_iter().enumerate().filter_map(chosen).collect();
                if chosen.is_empty() {
                    continue;
                }
                let mut removed = self.deliveries.removed();
                let mut hand = Hand::empty(&self.budget);
                let mut writing = shard.write();
                // Who wrote it meanwhile wrote a value that was not asked about. Looked at before
                // the first removal, which writes keys with the same hash.
                let unwritten = chosen.iter().filter(|(number, ..)| !watch.wrote(*number));
                let unwritten: Vec<_> = unwritten.collect();
                for (_, key, hash) in unwritten {
                    if let Some(slot) = writing.find(*hash, key) {
                        let (key, value, freed) = writing.remove(slot, RemovalCause::Explicit);
                        removed.push(key, value, RemovalCause::Explicit);
                        hand.room = hand.room.plus(freed);
                        gone += 1;
                    }
                }
                drop(hand);
                self.leave(writing, removed);
            }
        }
        gone
    }

    /// Up to 64 live entries of a shard from a slot on, watched; and where to go on.
    #[allow(
        clippy::type_complexity,
        reason = "one caller, which takes it apart at once"
    )]
    fn watched_batch(
        &self,
        shard: &Shard<K, V>,
        mut from: u32,
    ) -> (Option<(Watch, Vec<(K, V, u32)>)>, Option<u32>)
    where
        K: Clone,
        V: Clone,
    {
        let watch = Watch::default();
        let mut entries = Vec::new();
        let mut writing = shard.write();
        let now = self.clock.now();
        while entries.len() < 64 {
            let Some(seen) = writing.next(from) else {
                drop(writing);
                return ((!entries.is_empty()).then_some((watch, entries)), None);
            };
            let (slot, deadline) = (seen.slot, seen.deadline);
            from = slot + 1;
            if deadline > now {
                let (key, value) = (seen.key.clone(), seen.value.clone());
                let hash = writing.hash(slot);
                writing.watches.add(hash, &watch, entries.len() as u32);
                entries.push((key, value, hash));
            }
        }
        drop(writing);
        (Some((watch, entries)), Some(from))
    }

    /// Up to `at_most` live entries of a shard from a slot on, and where to go on.
    pub(crate) fn batch(
        &self,
        shard: usize,
        mut from: u32,
        at_most: usize,
    ) -> (Vec<(K, V)>, Option<u32>)
    where
        K: Clone,
        V: Clone,
    {
        let state = self.shards[shard].read();
        let now = self.clock.now();
        let mut entries = Vec::new();
        while let Some(seen) = state.next(from) {
            if entries.len() == at_most {
                return (entries, Some(from));
            }
            from = seen.slot + 1;
            if seen.deadline > now {
                entries.push((seen.key.clone(), seen.value.clone()));
            }
        }
        (entries, None)
    }
}

/// Runs a callback of the user; a panic becomes a refusal.
fn contained<R>(callback: &'static str, run: impl FnOnce() -> R) -> Result<R, Refusal> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|payload| {
        drop_payload(payload);
        Refusal::CallbackPanicked { callback }
    })
}

impl<K, V, S> std::fmt::Debug for Inner<K, V, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner")
            .field("layout", &self.layout)
            .field("shards", &self.shards.len())
            .finish_non_exhaustive()
    }
}
