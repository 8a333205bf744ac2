//! The adaptive policy: keeps what is used again, lets scans pass through, and finds out by trying
//! which of three rules tells the one from the other.
//!
//! No single rule is good everywhere. TinyLFU (Einziger, Friedman and Manes, "TinyLFU: a highly
//! efficient cache admission policy", ACM ToS 2017) holds on to what was used most, even to a part
//! of a loop that is longer than the cache, and misses what is new and will be used again soon.
//! S3-FIFO (Yang, Zhang, Qiu, Yue and Rashmi, "FIFO queues are all you need for cache eviction",
//! SOSP 2023) follows changing popularity, and loses everything on such a loop. CLOCK, which stands
//! in for least recently used, is best where whatever was used last is used next, and no defence
//! against a scan. So there is one structure, two queues ([`segments`], [`line`]) and a memory of
//! keys that have gone ([`memory`]), that can follow any of these rules and change it at any time;
//! and three small copies of it, one for each rule, that see a sample of the keys ([`shadow`]). The
//! rule whose copy missed least is followed ([`duel`]).
//!
//! # Invariants
//!
//! 1. A slot is in exactly one queue from its insertion until it is removed or evicted.
//! 2. A slot is in the watch list if and only if its state says so; its key is of the sample.
//! 3. One call does a bounded amount of work whatever the capacity, but for tables that grow and for
//!    slots that were removed: each of these costs one more step later, and one call may have to
//!    take as many of them as were removed since ([`segments`]).
//!
//! # Cost
//!
//! Readers count up to three on the entry and do nothing else. An insertion looks into one bucket
//! of the memory, an eviction into another; entries that were read since they were passed the last
//! time are passed once for each of up to three reads, 32 at most in one call. Nine bytes for
//! each slot, four and a half for each entry that fits, 10 KiB for the copies; nothing is allocated
//! when no table grows. In caches of a few hundred entries the sample is all keys or every other,
//! and the copies cost more time than the policy itself.

mod duel;
mod engine;
mod line;
mod memory;
mod segments;
mod shadow;
#[cfg(test)]
mod tests;

use super::{Marks, Policy, Touch};
use duel::Duel;
use engine::Engine;
use segments::Entries;

#[derive(Debug)]
#[repr(C)]
pub(crate) struct Adaptive {
    /// Insertions until watched slots are looked at.
    pause: u32,
    engine: Engine,
    duel: Duel,
    /// Slots of the sample's keys, in no order.
    watched: Vec<u32>,
    /// Where the next look at them begins.
    hand: usize,
}

/// So many slots are watched at most. There are a quarter as many on average; hashes that are not
/// well mixed must not make the list long.
const MAX_WATCHED: usize = 4 * shadow::MOST;

/// So many watched slots are looked at together.
const LOOKS: usize = 2;

/// All watched slots are looked at so often, as a power of two, while as many entries are inserted
/// as the cache holds; half as often in caches that are not larger than a shadow.
const ROUNDS: u32 = 2;

impl Adaptive {
    pub(crate) fn new() -> Self {
        Self {
            engine: Engine::new(),
            duel: Duel::new(),
            watched: Vec::new(),
            hand: 0,
            pause: 0,
        }
    }

    /// The cache is full with so many entries.
    #[inline]
    fn fit(&mut self, entries: usize, marks: &impl Marks) {
        if self.duel.fit(entries) {
            self.choose_watched(marks);
        }
    }

    /// The sample is another one. Entries that are new to it stay unwatched.
    #[cold]
    fn choose_watched(&mut self, marks: &impl Marks) {
        let Self {
            engine,
            duel,
            watched,
            ..
        } = self;
        watched.retain(|slot| {
            let kept = duel.samples(marks.hash(*slot));
            engine.segments.set_watched(*slot, kept);
            kept
        });
    }

    /// Tells the duel about reads of a few watched slots.
    #[inline]
    fn look_around(&mut self, marks: &impl Marks) {
        if self.pause > 0 {
            self.pause -= 1;
            return;
        }
        self.pause = (1 << self.duel.sampling().saturating_sub(ROUNDS)) - 1;
        for _ in 0..LOOKS.min(self.watched.len()) {
            if self.hand >= self.watched.len() {
                self.hand = 0;
            }
            let slot = self.watched[self.hand];
            self.hand += 1;
            let reads = take_mark(marks, slot);
            if reads > 0 {
                self.engine.touch(slot, reads);
                self.duel.access(marks.hash(slot));
            }
        }
    }

    #[inline]
    fn watch(&mut self, slot: u32) {
        if self.watched.len() < MAX_WATCHED {
            self.watched.push(slot);
            self.engine.segments.set_watched(slot, true);
        }
    }

    #[inline]
    fn unwatch(&mut self, slot: u32) {
        if self.engine.segments.state(slot).is_watched() {
            let at = self.watched.iter().position(|known| *known == slot);
            self.watched
                .swap_remove(at.expect("what is marked as watched is in the list"));
        }
    }
}

impl Policy for Adaptive {
    const TOUCH: Touch = Touch::Count { max: 3 };

    fn set_capacity(&mut self, entries: u64, marks: &impl Marks) {
        // A bound that no shard can reach is none: then what is held tells how much fits.
        let room = u32::try_from(entries).unwrap_or(0) as usize;
        self.engine.set_room(room);
        if room > 0 {
            self.fit(room, marks);
        }
    }

    #[inline]
    fn insert(&mut self, slot: u32, hash: u32, marks: &impl Marks) {
        marks.set_mark(slot, 0);
        self.engine.insert(slot, hash, self.duel.rule());
        if self.duel.samples(hash) {
            self.watch(slot);
            self.duel.access(hash);
        }
        self.look_around(marks);
    }

    #[inline]
    fn remove(&mut self, slot: u32) {
        self.unwatch(slot);
        self.engine.segments.remove(slot);
    }

    #[inline]
    fn evict(&mut self, marks: &impl Marks) -> Option<u32> {
        self.fit(self.engine.segments.len(), marks);
        let rule = self.duel.rule();
        let mut entries = Live {
            marks,
            duel: &mut self.duel,
        };
        let victim = self.engine.evict(rule, &mut entries)?;
        self.unwatch(victim);
        Some(victim)
    }

    #[inline]
    fn prepare(&self, marks: &impl Marks) -> Option<u32> {
        let rule = self.duel.rule();
        (self.engine.segments).prepare(rule, |slot| marks.prefetch(slot))
    }

    #[inline]
    fn prefetch_victim(&self, slot: u32, hash: u32) {
        self.engine.segments.prefetch(slot);
        self.engine.prefetch(hash);
    }

    #[inline]
    fn prefetch(&self, hash: u32) {
        self.engine.prefetch(hash);
    }

    fn shrink(&mut self, slots: u32, _: &impl Marks) {
        self.engine.segments.shrink(slots);
    }
}

/// The entries of the cache itself.
struct Live<'a, M> {
    marks: &'a M,
    duel: &'a mut Duel,
}

impl<M: Marks> Entries for Live<'_, M> {
    #[inline]
    fn take_reads(&mut self, slot: u32, watched: bool) -> u64 {
        let reads = take_mark(self.marks, slot);
        if reads > 0 && watched {
            self.duel.access(self.marks.hash(slot));
        }
        reads
    }

    #[inline]
    fn hash(&self, slot: u32) -> u32 {
        self.marks.hash(slot)
    }

    #[inline]
    fn prefetch(&self, slot: u32) {
        self.marks.prefetch(slot);
    }
}

#[inline]
fn take_mark(marks: &impl Marks, slot: u32) -> u64 {
    let reads = marks.mark(slot);
    if reads > 0 {
        // A read at the same time may be lost, which makes no difference worth a locked access.
        marks.set_mark(slot, 0);
    }
    reads
}
