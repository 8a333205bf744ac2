//! [`Shard`]: a part of the keys under one lock, and everything that happens under it.

use std::borrow::Borrow;
use std::hash::Hash;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use brolly_sync::NEVER;

use crate::budget::{Hand, Room};
use crate::order::{SlotVec, Step, Wheel, expected};
use crate::policy::{AnyPolicy, EvictionPolicy, Marks, Policy, STEP, Touch, with_policy};
use crate::primitive::{AtomicU32, AtomicU64};
use crate::readers::Readers;
use crate::removal::{RemovalCause, Removed};
use crate::store::{
    Biased, Chunk, Entry, Glance, Index, Published, Reading, Sequence, Slab, Table, biased,
};
use crate::tags::Tags;
use crate::watch::Watches;

/// What all shards of a cache have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    pub(crate) policy: EvictionPolicy,
    pub(crate) touch: Touch,
    /// `touch` is a stamp: asked first, and without a jump for each of its kinds.
    pub(crate) stamps: bool,
    /// Keys and values are plain data, which may be read without a lock.
    pub(crate) plain: bool,
    /// Lookups do so: they are plain, and no time to idle has to be put off.
    pub(crate) glances: bool,
    pub(crate) weighted: bool,
    /// Time to idle, in nanoseconds.
    pub(crate) idle: Option<u64>,
    /// Whether anybody asks for the age of entries.
    pub(crate) aged: bool,
    /// How long an entry is kept beyond its deadline, unseen but by loads.
    pub(crate) keep: u64,
    /// How many slots come first.
    pub(crate) first_slots: usize,
}

/// Memory that readers without a lock may still look at.
pub(crate) enum Retired<K, V> {
    Index { _index: Index },
    Table { _table: Table<K, V> },
    Chunk { _chunk: Chunk<K, V> },
}

/// Tables are shrunk when so many slots are left at most.
const SHRINK: u32 = 8192;

/// How many units of reclaiming are done before something live is evicted.
const EXPIRED_FIRST: usize = 64;

/// How many units of reclaiming each write does.
const TIDY: usize = 4;

/// In this order, so that what each write changes lies together, behind what hardly ever changes: a
/// write after one of another processor has to wait for few cache lines.
#[repr(C, align(128))]
pub(crate) struct Shard<K, V> {
    pub(crate) published: Published<K, V>,
    /// Vouches for what is published, and for the memory there.
    sequence: Sequence,
    /// The shard's clock. Stepped by writers only.
    stamp: AtomicU64,
    pub(crate) state: Biased<State<K, V>>,
    /// Whether a load may be listed. A hint: written under the lock and without.
    pub(crate) loading: AtomicU32,
    /// Reads since the clock was stepped, where their order is kept. Written by readers, without
    /// care: reads at the same time may be counted as one.
    reads: Apart<AtomicU64>,
}

#[repr(align(128))]
struct Apart<T>(T);

/// What is behind the lock. In the order in which a shard is: first what each write changes.
#[repr(C)]
pub(crate) struct State<K, V> {
    pub(crate) counts: Counts,
    /// A guess which slot goes next, with its hash. Kept here so that what its eviction needs can be
    /// fetched at once, and not one after the other, after a write of another processor.
    next_victim: (u32, u32),
    index: Index,
    policy: AnyPolicy,
    hashes: SlotVec<u32>,
    pub(crate) slab: Slab<K, V>,
    layout: Layout,
    pub(crate) watches: Watches<K, V>,
    /// The tags of entries; none until one is tagged.
    pub(crate) tags: Option<Box<Tags>>,
    retired: Vec<Retired<K, V>>,
    wheel: Wheel,
    weights: SlotVec<u64>,
    /// When each entry was written, if `Layout::aged`.
    written: SlotVec<u64>,
    /// When each entry ends however often it is read, if there is a time to idle.
    ends: SlotVec<u64>,
    pub(crate) weight: u64,
    /// The most slots since the tables were shrunk.
    most_slots: u32,
    /// How many entries the index is made for, when it grows.
    expected: usize,
}

/// What happened in a shard so far.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct Counts {
    pub(crate) inserts: u64,
    pub(crate) evicted: u64,
    pub(crate) replaced: u64,
    pub(crate) expired: u64,
    pub(crate) removed: u64,
}

/// A new or changed entry.
pub(crate) struct Write<K, V> {
    pub(crate) key: K,
    pub(crate) value: V,
    pub(crate) hash: u32,
    pub(crate) weight: u64,
    /// Now, and when the entry ends.
    pub(crate) now: u64,
    pub(crate) deadline: u64,
}

struct View<'a, K, V> {
    slab: &'a Slab<K, V>,
    hashes: &'a SlotVec<u32>,
    stamp: u64,
}

impl<K, V> Marks for View<'_, K, V> {
    #[inline]
    fn mark(&self, slot: u32) -> u64 {
        self.slab.mark(slot).load(Relaxed)
    }

    #[inline]
    fn set_mark(&self, slot: u32, mark: u64) {
        self.slab.mark(slot).store(mark, Relaxed);
    }

    #[inline]
    fn deadline(&self, slot: u32) -> u64 {
        self.slab.deadline(slot)
    }

    #[inline]
    fn hash(&self, slot: u32) -> u32 {
        self.hashes.get(slot)
    }

    #[inline]
    fn prefetch(&self, slot: u32) {
        self.slab.prefetch(slot);
    }

    #[inline]
    fn stamp(&self) -> u64 {
        self.stamp
    }
}

/// The policy's view of a state, without borrowing the policy.
macro_rules! view {
    ($shard:expr, $state:expr) => {
        &View {
            slab: &$state.slab,
            hashes: &$state.hashes,
            stamp: $shard.stamp.load(Relaxed),
        }
    };
}

impl<K, V> Shard<K, V> {
    /// # Safety
    ///
    /// If `layout.plain` is set, `K` and `V` are plain data.
    pub(crate) unsafe fn new(layout: Layout, share: u64, readers: Arc<Readers>) -> Self {
        let mut state = State {
            index: Index::new(),
            // SAFETY: by contract.
            slab: unsafe { Slab::new(layout.first_slots, layout.plain) },
            hashes: SlotVec::new(0),
            weights: SlotVec::new(0),
            written: SlotVec::new(0),
            ends: SlotVec::new(NEVER),
            wheel: Wheel::new(),
            policy: AnyPolicy::new(layout.policy),
            watches: Watches::default(),
            tags: None,
            weight: 0,
            counts: Counts::default(),
            next_victim: (0, 0),
            retired: Vec::new(),
            most_slots: 0,
            expected: 0,
            layout,
        };
        state.expect(share, STEP);
        let published = Published::new();
        published.publish(&state.index, &state.slab);
        Self {
            published,
            sequence: Sequence::new(),
            stamp: AtomicU64::new(STEP),
            state: Biased::new(state, readers),
            loading: AtomicU32::new(0),
            reads: Apart(AtomicU64::new(0)),
        }
    }

    /// Leaves the mark of a reader on an entry.
    #[inline(always)]
    pub(crate) fn touch(&self, layout: &Layout, mark: &AtomicU64) {
        if layout.stamps {
            let stamp = self.stamp.load(Relaxed) + 1;
            if mark.load(Relaxed) != stamp {
                mark.store(stamp, Relaxed);
            }
            return;
        }
        match layout.touch {
            Touch::Count { max } => {
                let uses = mark.load(Relaxed);
                if uses < u64::from(max) {
                    mark.store(uses + 1, Relaxed);
                }
            }
            Touch::StampEach => self.touch_exactly(mark),
            Touch::Stamp | Touch::Nothing => {}
        }
    }

    #[inline(always)]
    fn touch_exactly(&self, mark: &AtomicU64) {
        let stamp = self.stamp.load(Relaxed);
        let reads = self.reads.0.load(Relaxed) + 1;
        mark.store(stamp + reads.min(STEP - 1), Relaxed);
        self.reads.0.store(reads, Relaxed);
        if reads >= STEP - 1 {
            // So many reads since the last write that their order needs another step.
            self.stamp.fetch_add(STEP, Relaxed);
            self.reads.0.store(1, Relaxed);
        }
    }

    /// See [`Published::find`].
    ///
    /// # Safety
    ///
    /// As for that, but for the sequence, which is this shard's.
    #[inline(always)]
    pub(crate) unsafe fn find<Q>(&self, hash: u32, key: &Q) -> Glance<'_, V>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        // SAFETY: by contract; all writing is done between the two ends of this sequence.
        unsafe { self.published.find(&self.sequence, hash, key) }
    }

    /// See [`Published::find_patiently`].
    ///
    /// # Safety
    ///
    /// As for `find`.
    pub(crate) unsafe fn find_patiently<Q>(&self, hash: u32, key: &Q) -> Glance<'_, V>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        // SAFETY: as in `find`.
        unsafe { self.published.find_patiently(&self.sequence, hash, key) }
    }

    pub(crate) fn read(&self) -> Reading<'_, State<K, V>> {
        self.state.read()
    }

    /// Locks for writing, and steps the shard's clock.
    #[inline]
    pub(crate) fn write(&self) -> Writing<'_, K, V> {
        let state = self.state.write();
        self.sequence.begin_write();
        match state.layout.touch {
            Touch::Stamp | Touch::Nothing => {
                self.stamp.store(self.stamp.load(Relaxed) + STEP, Relaxed);
            }
            Touch::StampEach => {
                // Readers step it too.
                self.stamp.fetch_add(STEP, Relaxed);
                // The write itself may use the stamp after the step.
                self.reads.0.store(1, Relaxed);
            }
            Touch::Count { .. } => {}
        }
        Writing { shard: self, state }
    }
}

/// The write lock of a shard.
pub(crate) struct Writing<'a, K, V> {
    shard: &'a Shard<K, V>,
    state: biased::Writing<'a, State<K, V>>,
}

impl<K, V> Drop for Writing<'_, K, V> {
    #[inline]
    fn drop(&mut self) {
        self.shard.sequence.end_write();
    }
}

impl<K, V> Deref for Writing<'_, K, V> {
    type Target = State<K, V>;

    fn deref(&self) -> &Self::Target {
        &self.state
    }
}

impl<K, V> DerefMut for Writing<'_, K, V> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.state
    }
}

impl<K: Hash + Eq, V> State<K, V> {
    #[inline]
    pub(crate) fn find<Q>(&self, hash: u32, key: &Q) -> Option<u32>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        self.find_entry(hash, key).map(|entry| entry.slot)
    }

    #[inline(always)]
    pub(crate) fn find_entry<Q>(&self, hash: u32, key: &Q) -> Option<Entry<'_, K, V>>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        self.index.search(hash, |slot| {
            let entry = self.slab.entry(slot)?;
            (entry.key.borrow() == key).then_some(entry)
        })
    }
}

impl<K, V> State<K, V> {
    pub(crate) fn hash(&self, slot: u32) -> u32 {
        self.hashes.get(slot)
    }

    #[inline]
    pub(crate) fn weight_of(&self, slot: u32) -> u64 {
        if self.layout.weighted {
            self.weights.get(slot)
        } else {
            0
        }
    }

    /// When an entry was written.
    pub(crate) fn written(&self, slot: u32) -> u64 {
        self.written.get(slot)
    }

    /// Puts the end of an idle entry off, since it was read.
    pub(crate) fn put_off(&self, slot: u32, now: u64) {
        if let Some(idle) = self.layout.idle {
            let deadline = now.saturating_add(idle).min(self.ends.get(slot));
            self.slab.set_deadline(slot, deadline);
        }
    }

    /// Whether something might be due.
    pub(crate) fn may_be_due(&self, now: u64) -> bool {
        self.wheel.may_be_due(now)
    }

    /// When something is due at the earliest.
    pub(crate) fn next_due(&self) -> Option<u64> {
        self.wheel.next_due()
    }

    #[inline]
    pub(crate) fn has_retired(&self) -> bool {
        !self.retired.is_empty()
    }

    pub(crate) fn take_retired(&mut self) -> Vec<Retired<K, V>> {
        std::mem::take(&mut self.retired)
    }

    /// Forgets the tags of an entry, if anything is tagged at all.
    #[inline]
    fn untag(&mut self, slot: u32) {
        if let Some(tags) = &mut self.tags {
            tags.forget(slot);
        }
    }

    /// What readers left on an entry.
    #[cfg(feature = "serde")]
    pub(crate) fn mark(&self, slot: u32) -> u64 {
        self.slab.mark(slot).load(Relaxed)
    }

    /// When an entry ends however often it is read, given its deadline.
    #[cfg(feature = "serde")]
    pub(crate) fn end(&self, slot: u32, deadline: u64) -> u64 {
        if self.layout.idle.is_some() {
            self.ends.get(slot)
        } else {
            deadline
        }
    }

    /// How many entries the index and the wheel know, for checks.
    pub(crate) fn known(&self) -> (usize, usize) {
        let found = self.slab_slots().filter(|&slot| {
            self.index
                .find(self.hashes.get(slot), |at| at == slot)
                .is_some()
        });
        (found.count(), self.wheel.len())
    }

    fn slab_slots(&self) -> impl Iterator<Item = u32> {
        std::iter::successors(self.slab.next_taken(0), |slot| {
            self.slab.next_taken(slot + 1)
        })
    }
}

impl<K, V> Writing<'_, K, V> {
    /// Enters a key that is not there. Its room was taken before. Returns its slot.
    pub(crate) fn insert(&mut self, write: Write<K, V>) -> u32 {
        let (shard, state) = (self.shard, &mut *self.state);
        if state.index.is_full() {
            let hashes = &state.hashes;
            let grown = state.index.grown(state.expected, |slot| hashes.get(slot));
            let old = std::mem::replace(&mut state.index, grown);
            state.retire(Retired::Index { _index: old });
            shard.published.publish(&state.index, &state.slab);
        }
        if state.slab.is_full() {
            if let Some(old) = state.slab.grow() {
                state.retire(Retired::Table { _table: old });
                shard.published.publish(&state.index, &state.slab);
            }
            state.most_slots = state.most_slots.max(state.slab.slots());
        }
        let (deadline, hash) = (state.deadline(&write), write.hash);
        let slot = state.slab.insert(write.key, write.value, deadline, 0);
        state.hashes.set(slot, hash);
        state.settle(slot, write.weight, write.now, write.deadline);
        state.policy.insert(slot, hash, view!(shard, state));
        state.index.insert(hash, slot);
        if deadline != NEVER {
            state
                .wheel
                .insert(slot, deadline.saturating_add(state.layout.keep));
        }
        state.counts.inserts += 1;
        state.watches.wrote(hash);
        slot
    }

    /// Enters a key that is not there in the place of the policy's victim, whose room it takes.
    /// Returns the victim; or the new entry, if there is none that could go. For entries without
    /// weight.
    #[inline(never)]
    pub(crate) fn swap(
        &mut self,
        key: K,
        value: V,
        hash: u32,
        deadline: u64,
    ) -> Result<(K, V), (K, V)> {
        let (shard, state) = (self.shard, &mut *self.state);
        let (slot, before, victim) = with_policy!(&mut state.policy, policy => {
            let Some(slot) = policy.evict(view!(shard, state)) else {
                return Err((key, value));
            };
            state.index.remove(state.hashes.get(slot), slot);
            let before = state.slab.deadline(slot);
            let victim = state.slab.exchange(slot, key, value, deadline);
            state.hashes.set(slot, hash);
            policy.insert(slot, hash, view!(shard, state));
            state.index.insert(hash, slot);
            // By the next time it will be there.
            if let Some(next) = policy.prepare(view!(shard, state)) {
                let hash = state.hashes.get(next);
                state.index.prefetch(hash);
                policy.prefetch(hash);
                state.next_victim = (next, hash);
            }
            (slot, before, victim)
        });
        state.untag(slot);
        state.reschedule(slot, before, deadline);
        state.counts.evicted += 1;
        state.counts.inserts += 1;
        state.watches.wrote(hash);
        Ok(victim)
    }

    /// Gives a present key, whose entry ended at `before`, another value. Returns the old one. For
    /// entries without weight, of which nobody asks the age, and that may be idle.
    #[inline]
    pub(crate) fn overwrite(
        &mut self,
        slot: u32,
        value: V,
        hash: u32,
        before: u64,
        deadline: u64,
    ) -> V {
        let (shard, state) = (self.shard, &mut *self.state);
        let old = state.slab.replace(slot, value, deadline);
        shard.touch(&state.layout, state.slab.mark(slot));
        state.policy.update(slot, view!(shard, state));
        state.untag(slot);
        state.reschedule(slot, before, deadline);
        state.counts.inserts += 1;
        state.counts.replaced += 1;
        state.watches.wrote(hash);
        old
    }

    /// Gives a present key another value. Returns the old one.
    pub(crate) fn replace(&mut self, slot: u32, write: Write<K, V>) -> (K, V) {
        let (shard, state) = (self.shard, &mut *self.state);
        let deadline = state.deadline(&write);
        state.weight -= state.weight_of(slot);
        let before = state.slab.deadline(slot);
        let old = state.slab.replace(slot, write.value, deadline);
        state.settle(slot, write.weight, write.now, write.deadline);
        state.reschedule(slot, before, deadline);
        shard.touch(&state.layout, state.slab.mark(slot));
        state.policy.update(slot, view!(shard, state));
        state.untag(slot);
        state.counts.inserts += 1;
        state.counts.replaced += 1;
        state.watches.wrote(write.hash);
        (write.key, old)
    }

    /// Takes an entry out. Returns it and the room that it leaves.
    pub(crate) fn remove(&mut self, slot: u32, cause: RemovalCause) -> (K, V, Room) {
        self.state.policy.remove(slot);
        self.take(slot, cause)
    }

    /// Takes an entry out that the policy has forgotten already.
    fn take(&mut self, slot: u32, cause: RemovalCause) -> (K, V, Room) {
        let (shard, state) = (self.shard, &mut *self.state);
        let hash = state.hashes.get(slot);
        let room = Room::one(state.weight_of(slot));
        state.index.remove(hash, slot);
        state.wheel.remove(slot);
        state.untag(slot);
        state.weight -= room.weight;
        let (key, value) = state.slab.remove(slot);
        match cause {
            RemovalCause::Expired => state.counts.expired += 1,
            RemovalCause::Size => state.counts.evicted += 1,
            RemovalCause::Explicit => {
                state.counts.removed += 1;
                state.watches.wrote(hash);
            }
            RemovalCause::Replaced | RemovalCause::Rejected => state.watches.wrote(hash),
        }
        if let Some(chunk) = state.slab.take_empty_chunk(slot) {
            state.retire(Retired::Chunk { _chunk: chunk });
            while let Some(chunk) = state.slab.take_last_chunk() {
                state.retire(Retired::Chunk { _chunk: chunk });
            }
            state.shrink(shard);
        }
        (key, value, room)
    }

    /// Takes out what is due, in `budget` units of work at most. Returns what it did not use.
    pub(crate) fn reclaim(
        &mut self,
        now: u64,
        mut budget: usize,
        freed: &mut Room,
        removed: &mut Removed<K, V>,
    ) -> usize {
        while budget > 0 {
            let state = &mut *self.state;
            let (slab, keep) = (&state.slab, state.layout.keep);
            match (state.wheel).step(now, |slot| slab.deadline(slot).saturating_add(keep)) {
                Step::Due(slot) => {
                    let slots = self.most_slots;
                    let (key, value, room) = self.remove(slot, RemovalCause::Expired);
                    *freed = freed.plus(room);
                    removed.push(key, value, RemovalCause::Expired);
                    if self.most_slots < slots {
                        // Giving tables back is work enough for one time.
                        return 0;
                    }
                }
                Step::Moved => {}
                Step::Idle => break,
            }
            budget -= 1;
        }
        budget
    }

    /// A little reclaiming, as every write does it.
    #[inline]
    pub(crate) fn tidy(&mut self, now: u64, freed: &mut Room, removed: &mut Removed<K, V>) {
        if self.state.wheel.may_be_due(now) {
            self.reclaim(now, TIDY, freed, removed);
        }
    }

    /// Makes `hand` cover `needed`: from the budget first, then with what has expired here, then by
    /// evicting here, any entry but `pinned`. `false` if that is not enough.
    #[inline]
    pub(crate) fn secure(
        &mut self,
        needed: Room,
        hand: &mut Hand<'_>,
        pinned: Option<u32>,
        now: u64,
        removed: &mut Removed<K, V>,
    ) -> bool {
        if !self.layout.weighted && needed.entries == 1 {
            return self.secure_one(hand, now, removed);
        }
        if hand.room.covers(needed) {
            return true;
        }
        hand.take(needed);
        while !hand.room.covers(needed) {
            if self.wheel.may_be_due(now) {
                let left = self.reclaim(now, EXPIRED_FIRST, &mut hand.room, removed);
                if left < EXPIRED_FIRST {
                    continue;
                }
            }
            let Some(freed) = self.evict(pinned, removed) else {
                return false;
            };
            hand.room = hand.room.plus(freed);
        }
        true
    }

    /// Makes `hand` have room for one entry, where entries have no weight.
    #[inline]
    fn secure_one(&mut self, hand: &mut Hand<'_>, now: u64, removed: &mut Removed<K, V>) -> bool {
        while hand.room.entries == 0 && !hand.take_one() {
            if self.wheel.may_be_due(now)
                && self.reclaim(now, EXPIRED_FIRST, &mut hand.room, removed) < EXPIRED_FIRST
            {
                continue;
            }
            if self.evict(None, removed).is_none() {
                return false;
            }
            hand.room.entries = 1;
        }
        true
    }

    /// Evicts one entry, any but `pinned`. Returns the room that it leaves.
    pub(crate) fn evict(
        &mut self,
        pinned: Option<u32>,
        removed: &mut Removed<K, V>,
    ) -> Option<Room> {
        let (shard, state) = (self.shard, &mut *self.state);
        let mut victim = state.policy.evict(view!(shard, state))?;
        if Some(victim) == pinned {
            let next = state.policy.evict(view!(shard, state));
            let hash = state.hashes.get(victim);
            state.policy.put_back(victim, hash, view!(shard, state));
            victim = next?;
        }
        let (key, value, room) = self.take(victim, RemovalCause::Size);
        removed.push(key, value, RemovalCause::Size);
        Some(room)
    }

    /// Has the processor fetch what an eviction will need.
    #[inline]
    pub(crate) fn prefetch_victim(&self) {
        let state = &*self.state;
        let (slot, hash) = state.next_victim;
        state.slab.prefetch(slot);
        state.index.prefetch(hash);
        state.hashes.prefetch(slot);
        state.policy.prefetch_victim(slot, hash);
    }

    /// Has the processor fetch what the policy knows of a hash that is to be inserted.
    #[inline]
    pub(crate) fn prefetch(&self, hash: u32) {
        self.state.policy.prefetch(hash);
    }

    /// Tells the policy how many entries the shard has room for.
    pub(crate) fn set_share(&mut self, share: u64) {
        self.state.expect(share, self.shard.stamp.load(Relaxed));
    }
}

impl<K, V> State<K, V> {
    /// The shard has room for so many entries.
    fn expect(&mut self, share: u64, stamp: u64) {
        let slots = expected(share);
        self.expected = slots;
        self.hashes.expect(slots);
        self.weights.expect(slots);
        self.written.expect(slots);
        self.ends.expect(slots);
        self.wheel.expect(slots);
        let marks = View {
            slab: &self.slab,
            hashes: &self.hashes,
            stamp,
        };
        self.policy.set_capacity(share, &marks);
    }

    /// The deadline that readers go by.
    fn deadline(&self, write: &Write<K, V>) -> u64 {
        match self.layout.idle {
            Some(idle) => write.now.saturating_add(idle).min(write.deadline),
            None => write.deadline,
        }
    }

    /// Notes what is known of an entry beside itself.
    fn settle(&mut self, slot: u32, weight: u64, now: u64, end: u64) {
        if self.layout.weighted {
            self.weights.set(slot, weight);
            self.weight += weight;
        }
        if self.layout.aged {
            self.written.set(slot, now);
        }
        if self.layout.idle.is_some() {
            self.ends.set(slot, end);
        }
    }

    /// The entry in a slot ends at `deadline`, and no more at `before`. If that is later, the slot
    /// keeps its place in the wheel until it comes up there: who is written again and again before
    /// its time costs one move, not one a write.
    ///
    /// A slot whose entry never ended may wait all the same: a read that puts an end off may put it
    /// off beyond the end of time.
    #[inline]
    fn reschedule(&mut self, slot: u32, before: u64, deadline: u64) {
        let sooner = deadline < before;
        if sooner || deadline == NEVER && before != NEVER {
            self.wheel.remove(slot);
        }
        if sooner {
            self.wheel
                .insert(slot, deadline.saturating_add(self.layout.keep));
        }
    }

    fn retire(&mut self, retired: Retired<K, V>) {
        if self.layout.plain {
            self.retired.push(retired);
        }
    }

    /// Gives memory back after a chunk has gone, once what is left is little: the time that this
    /// takes depends on what is left.
    fn shrink(&mut self, shard: &Shard<K, V>) {
        let slots = self.slab.slots();
        if slots > self.most_slots / 2 || slots > SHRINK {
            return;
        }
        self.most_slots = slots;
        self.policy.shrink(slots, view!(shard, self));
        self.wheel.shrink(slots);
        self.hashes.shrink(slots);
        self.weights.shrink(slots);
        self.written.shrink(slots);
        self.ends.shrink(slots);
        if self.index.is_sparse() {
            let hashes = &self.hashes;
            let shrunk = self.index.shrunk(|slot| hashes.get(slot));
            let old = std::mem::replace(&mut self.index, shrunk);
            self.retire(Retired::Index { _index: old });
            shard.published.publish(&self.index, &self.slab);
        }
    }
}

impl<K, V> std::fmt::Debug for Shard<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shard").finish_non_exhaustive()
    }
}

/// What there is of an entry, under a lock.
#[derive(Debug)]
pub(crate) struct Seen<'a, K, V> {
    pub(crate) slot: u32,
    pub(crate) key: &'a K,
    pub(crate) value: &'a V,
    pub(crate) deadline: u64,
}

impl<K, V> State<K, V> {
    /// The first entry in a slot from `from` on.
    pub(crate) fn next(&self, from: u32) -> Option<Seen<'_, K, V>> {
        let slot = self.slab.next_taken(from)?;
        let (key, value, deadline) = self.slab.get(slot).expect("the slot is taken");
        Some(Seen {
            slot,
            key,
            value,
            deadline,
        })
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = Seen<'_, K, V>> {
        std::iter::successors(self.next(0), |seen| self.next(seen.slot + 1))
    }
}
