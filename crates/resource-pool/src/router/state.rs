//! [`State`]: what a router knows, and what changes under its lock.
//!
//! No foreign code runs here but the equality and the hashes of ids. What has to be dropped goes out
//! to whoever holds the lock.
//!
//! Invariants:
//!
//! 1. A slot is listed in the index exactly while its target is known, not suspended, and healthy or
//!    due for its trial.
//! 2. `leased` of a slot is the number of leases of its generation that are out. A lease of an older
//!    generation changes nothing.
//! 3. `out` are the slots that are left out for a time; `next_return` is the earliest end of it.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::Arc;

use brolly_sync::NEVER;

use crate::router::config::{Rules, Strategy};
use crate::router::error::TargetError;
use crate::router::hash::{Random, hash_of};
use crate::router::heap::{Entry, Heap, share};
use crate::router::index::Index;
use crate::router::query::PickReason;
use crate::router::tags::Tags;
use crate::router::target::{RouterStats, Target, TargetHealth};

/// The greatest weight.
const HEAVIEST: u32 = 1_000_000;

const NIL: u32 = u32::MAX;

pub(super) struct State<K, T> {
    pub(super) rules: Rules,
    pub(super) slots: Vec<Slot<K, T>>,
    pub(super) records: Vec<Record>,
    free: Vec<u32>,
    by_hash: HashMap<u64, u32, BuildHasherDefault<Same>>,
    pub(super) index: Index,
    pub(super) tags: Tags,
    pub(super) random: Random,
    /// Slots gathered for one choice; kept for its room.
    pub(super) scratch: Vec<u32>,
    pub(super) out: Vec<u32>,
    pub(super) next_return: u64,
    /// How many are listed for their trial.
    pub(super) trials: usize,
    pub(super) known: usize,
    pub(super) suspended: usize,
    /// How many have another weight than one.
    pub(super) weighted: usize,
    stamp: u64,
    /// Turns and weight of who was listed last, when nobody is: the round goes on from there.
    round: (u64, u32),
    pub(super) picks: u64,
    pub(super) fallbacks: u64,
    pub(super) refusals: u64,
    pub(super) ejections: u64,
}

/// What is picked, and outlives its removal as long as leases are out.
pub(super) struct Known<K, T> {
    pub(super) id: K,
    pub(super) value: T,
}

/// What every pick and return touches: one line of the processor's cache.
#[repr(align(64))]
pub(super) struct Slot<K, T> {
    pub(super) target: Option<Arc<Known<K, T>>>,
    /// A reference that came back and is given out again, so that most picks count none.
    spare: Option<Arc<Known<K, T>>>,
    load: u64,
    pub(super) leased: u64,
    turns: u64,
    stamp: u64,
    pub(super) tags: u64,
    pub(super) weight: u32,
    generation: u32,
}

/// What is needed seldom.
pub(super) struct Record {
    pub(super) hash: u64,
    /// The next slot whose id has the same hash.
    same_hash: u32,
    pub(super) standing: Standing,
    pub(super) is_suspended: bool,
    pub(super) failures_in_row: u32,
    pub(super) ejections_in_row: u32,
    pub(super) failures: u64,
    pub(super) ejections: u64,
    /// What `turns` was when nothing had been picked.
    turns_before: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Healthy,
    /// Left out until this time.
    Out(u64),
    /// Listed; whoever is given it tries it.
    Trial,
    /// Being tried; if nothing is heard of it until this time, somebody else may.
    Tried(u64),
}

/// A lease as the state knows it.
pub(super) struct Picked<K, T> {
    pub(super) target: Arc<Known<K, T>>,
    pub(super) ticket: Ticket,
}

#[derive(Clone, Copy)]
pub(super) struct Ticket {
    pub(super) slot: u32,
    pub(super) generation: u32,
    pub(super) is_trial: bool,
    pub(super) reason: PickReason,
}

impl<K: Eq + Hash, T> State<K, T> {
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            index: Index::new(rules.strategy),
            random: Random::new(rules.seed),
            rules,
            slots: Vec::new(),
            records: Vec::new(),
            free: Vec::new(),
            by_hash: HashMap::default(),
            tags: Tags::default(),
            scratch: Vec::new(),
            out: Vec::new(),
            next_return: NEVER,
            trials: 0,
            known: 0,
            suspended: 0,
            weighted: 0,
            stamp: 0,
            round: (0, 1),
            picks: 0,
            fallbacks: 0,
            refusals: 0,
            ejections: 0,
        }
    }

    /// Gives out a listed target.
    #[inline(always)]
    pub(super) fn reserve(&mut self, slot: u32, reason: PickReason, now: u64) -> Picked<K, T> {
        let it = &mut self.slots[slot as usize];
        it.leased += 1;
        it.turns += 1;
        let kept = it.spare.take().or_else(|| it.target.clone());
        let generation = it.generation;
        self.moved(slot);
        self.picks += 1;
        let is_trial = self.trials > 0 && self.begin_trial(slot, now);
        Picked {
            target: kept.expect("a listed slot has a target"),
            ticket: Ticket {
                slot,
                generation,
                is_trial,
                reason,
            },
        }
    }

    /// Takes a lease back. What comes out is to be dropped outside the lock; false if the target of
    /// the lease is gone.
    #[inline]
    pub(super) fn give_back(
        &mut self,
        target: Arc<Known<K, T>>,
        ticket: Ticket,
    ) -> (Option<Arc<Known<K, T>>>, bool) {
        let it = &mut self.slots[ticket.slot as usize];
        if it.generation != ticket.generation {
            return (Some(target), false);
        }
        it.leased -= 1;
        let unneeded = match it.spare {
            None => {
                it.spare = Some(target);
                None
            }
            Some(_) => Some(target),
        };
        if !matches!(self.rules.strategy, Strategy::RoundRobin) {
            self.moved(ticket.slot);
        }
        (unneeded, true)
    }

    /// Puts a slot whose count has changed where it belongs.
    #[inline(always)]
    fn moved(&mut self, slot: u32) {
        self.stamp += 1;
        let it = &mut self.slots[slot as usize];
        it.stamp = self.stamp;
        let count = it.count(self.rules.strategy);
        let weight = it.weight;
        if self.index.change(slot, count, weight, self.stamp).is_err() {
            self.become_heap();
        }
    }

    /// The slot of an id.
    pub(super) fn find(&self, id: &K) -> Option<u32> {
        self.find_hashed(hash_of(id), id)
    }

    fn find_hashed(&self, hash: u64, id: &K) -> Option<u32> {
        let mut slot = *self.by_hash.get(&hash)?;
        while slot != NIL {
            let target = self.slots[slot as usize].target.as_ref();
            if target.is_some_and(|it| it.id == *id) {
                return Some(slot);
            }
            slot = self.records[slot as usize].same_hash;
        }
        None
    }

    /// Takes in a target whose id has this hash, or gives it back.
    pub(super) fn add(
        &mut self,
        hash: u64,
        target: Target<K, T>,
    ) -> Result<(), (Target<K, T>, TargetError)> {
        if !(1..=HEAVIEST).contains(&target.weight) {
            let weight = target.weight;
            let max = HEAVIEST;
            return Err((target, TargetError::Weight { weight, max }));
        }
        if self.find_hashed(hash, &target.id).is_some() {
            return Err((target, TargetError::Duplicate));
        }
        if self.known >= self.rules.max_targets {
            let max = self.rules.max_targets;
            return Err((target, TargetError::TooMany { max }));
        }
        let tags = match self.tags.add(&target.tags) {
            Ok(tags) => tags,
            Err(reason) => return Err((target, reason)),
        };
        let Target {
            id,
            value,
            weight,
            load,
            ..
        } = target;
        let slot = self.vacant();
        let it = &mut self.slots[slot as usize];
        it.target = Some(Arc::new(Known { id, value }));
        it.load = load;
        it.leased = 0;
        it.turns = 0;
        it.tags = tags;
        it.weight = weight;
        let same_hash = self.by_hash.insert(hash, slot).unwrap_or(NIL);
        self.records[slot as usize] = Record::new(hash, same_hash);
        self.known += 1;
        self.weighted += usize::from(weight != 1);
        self.list(slot);
        Ok(())
    }

    /// Forgets a target. What comes out is to be dropped outside the lock.
    pub(super) fn remove(&mut self, slot: u32) -> [Option<Arc<Known<K, T>>>; 2] {
        if self.is_listed(slot) {
            self.unlist(slot);
        }
        self.out.retain(|it| *it != slot);
        self.look_for_next_return();
        let record = &self.records[slot as usize];
        self.suspended -= usize::from(record.is_suspended);
        let (hash, after) = (record.hash, record.same_hash);
        self.unchain(slot, hash, after);
        let it = &mut self.slots[slot as usize];
        self.known -= 1;
        self.weighted -= usize::from(it.weight != 1);
        it.generation = it.generation.wrapping_add(1);
        self.tags.remove(it.tags);
        self.free.push(slot);
        [it.target.take(), it.spare.take()]
    }

    /// Sets the load that is not leased from here.
    pub(super) fn set_load(&mut self, slot: u32, load: u64) {
        let it = &mut self.slots[slot as usize];
        let before = it.count(self.rules.strategy);
        it.load = load;
        if it.count(self.rules.strategy) != before {
            self.moved(slot);
        }
    }

    /// Suspends or resumes; nothing happens if it is so already.
    pub(super) fn set_suspended(&mut self, slot: u32, is_suspended: bool) {
        if self.records[slot as usize].is_suspended == is_suspended {
            return;
        }
        if is_suspended {
            if self.is_listed(slot) {
                self.unlist(slot);
            }
            self.records[slot as usize].is_suspended = true;
            self.suspended += 1;
        } else {
            self.records[slot as usize].is_suspended = false;
            self.suspended -= 1;
            if self.is_listed(slot) {
                self.list(slot);
            }
        }
    }

    /// Whether a known slot has to be listed.
    pub(super) fn is_listed(&self, slot: u32) -> bool {
        let record = &self.records[slot as usize];
        let may_be = matches!(record.standing, Standing::Healthy | Standing::Trial);
        may_be && !record.is_suspended
    }

    /// Begins to list a slot.
    pub(super) fn list(&mut self, slot: u32) {
        self.trials += usize::from(self.records[slot as usize].standing == Standing::Trial);
        self.catch_up(slot);
        self.stamp += 1;
        self.slots[slot as usize].stamp = self.stamp;
        let entry = self.entry(slot);
        let it = &self.slots[slot as usize];
        let (count, weight) = (it.count(self.rules.strategy), it.weight);
        if self.index.needs_a_heap(weight) {
            self.become_heap();
        }
        if self.index.insert(entry, count).is_err() {
            self.become_heap();
            let inserted = self.index.insert(entry, count);
            debug_assert!(inserted.is_ok(), "a heap takes any count");
        }
    }

    /// Ceases to list a slot that is listed.
    pub(super) fn unlist(&mut self, slot: u32) {
        self.trials -= usize::from(self.records[slot as usize].standing == Standing::Trial);
        if self.index.len() == 1 {
            let it = &self.slots[slot as usize];
            self.round = (it.turns, it.weight);
        }
        self.index.remove(slot);
    }

    /// Who comes late to a round does not make up for the turns there were before.
    fn catch_up(&mut self, slot: u32) {
        let (turns, weight) = match &self.index {
            _ if self.rules.strategy != Strategy::RoundRobin => return,
            Index::Levels(levels) => levels.lowest().map_or(self.round, |turns| (turns, 1)),
            Index::Heap(heap) => heap.first().map_or(self.round, |it| {
                let first = &self.slots[it.slot as usize];
                (first.turns, first.weight)
            }),
            Index::Flat(_) => return,
        };
        let it = &mut self.slots[slot as usize];
        let fair = u128::from(turns) * u128::from(it.weight) / u128::from(weight);
        let missed = u64::try_from(fair).unwrap_or(u64::MAX);
        let missed = missed.saturating_sub(it.turns);
        it.turns += missed;
        self.records[slot as usize].turns_before += missed;
    }

    /// What a slot is judged by.
    pub(super) fn entry(&self, slot: u32) -> Entry {
        let it = &self.slots[slot as usize];
        Entry {
            share: share(it.count(self.rules.strategy), it.weight),
            stamp: it.stamp,
            slot,
        }
    }

    /// Orders those that are listed as a heap, by the counts they have now.
    #[cold]
    fn become_heap(&mut self) {
        let Index::Levels(levels) = &self.index else {
            return;
        };
        let mut heap = Heap::new();
        for slot in levels.in_order() {
            heap.insert(self.entry(slot));
        }
        self.index = Index::Heap(heap);
    }

    fn vacant(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::vacant());
            self.records.push(Record::new(0, NIL));
            (self.slots.len() - 1) as u32
        })
    }

    fn unchain(&mut self, slot: u32, hash: u64, after: u32) {
        let mut before = self.by_hash[&hash];
        if before == slot {
            match after {
                NIL => self.by_hash.remove(&hash),
                after => self.by_hash.insert(hash, after),
            };
            return;
        }
        while self.records[before as usize].same_hash != slot {
            before = self.records[before as usize].same_hash;
        }
        self.records[before as usize].same_hash = after;
    }

    pub(super) fn stats(&self) -> RouterStats {
        RouterStats {
            targets: self.known,
            available: self.index.len(),
            ejected: self.out.len(),
            suspended: self.suspended,
            picks: self.picks,
            fallbacks: self.fallbacks,
            refusals: self.refusals,
            ejections: self.ejections,
        }
    }

    pub(super) fn health(&self, slot: u32, now: u64) -> TargetHealth {
        let record = &self.records[slot as usize];
        match record.standing {
            _ if record.is_suspended => TargetHealth::Suspended,
            Standing::Healthy => TargetHealth::Healthy,
            Standing::Trial | Standing::Tried(_) => TargetHealth::OnTrial,
            Standing::Out(until) => TargetHealth::Ejected {
                retry_after: std::time::Duration::from_nanos(until.saturating_sub(now)),
            },
        }
    }
}

impl<K, T> Slot<K, T> {
    fn vacant() -> Self {
        Self {
            target: None,
            spare: None,
            load: 0,
            leased: 0,
            turns: 0,
            stamp: 0,
            tags: 0,
            weight: 1,
            generation: 0,
        }
    }

    /// What the strategy compares.
    #[inline]
    fn count(&self, strategy: Strategy) -> u64 {
        match strategy {
            Strategy::RoundRobin => self.turns,
            _ => self.load(),
        }
    }

    /// The load from outside, and the leases.
    #[inline]
    pub(super) fn load(&self) -> u64 {
        self.load.saturating_add(self.leased)
    }

    /// How often it was picked.
    pub(super) fn picks(&self, record: &Record) -> u64 {
        self.turns - record.turns_before
    }
}

impl Record {
    fn new(hash: u64, same_hash: u32) -> Self {
        Self {
            hash,
            same_hash,
            standing: Standing::Healthy,
            is_suspended: false,
            failures_in_row: 0,
            ejections_in_row: 0,
            failures: 0,
            ejections: 0,
            turns_before: 0,
        }
    }
}

/// What is hashed is a hash already.
#[derive(Default)]
pub(super) struct Same(u64);

impl Hasher for Same {
    fn write(&mut self, _: &[u8]) {
        unreachable!("only numbers are hashed");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
