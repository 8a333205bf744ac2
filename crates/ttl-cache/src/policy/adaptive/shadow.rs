//! [`Shadow`]: a small cache of no values, which shows what a rule would have missed.

use super::engine::Engine;
use super::segments::{Entries, Rule};

/// The most entries of a shadow. From 64 to 2,048 the hit ratios of traces differed by less than
/// a tenth of a point, so it is small enough to be cheap beside a cache of a few thousand entries.
pub(super) const MOST: usize = 128;

/// Places of the index: at most half of them are taken.
const PLACES: usize = 2 * MOST;

/// A place of the index that is free.
const FREE: u8 = u8::MAX;

/// The policy itself at a small scale: under a rule that never changes, over a sample of the keys,
/// with a capacity that is as large a part of the cache's as the sample is of the keys.
#[derive(Debug)]
pub(super) struct Shadow {
    rule: Rule,
    engine: Engine,
    hashes: [u32; MOST],
    /// Slots by hash, with linear probing. Holds a slot if and only if the engine does.
    index: [u8; PLACES],
    /// Slots that were in use and are not any more.
    free: Vec<u8>,
    /// Slots that were in use so far.
    slots: u8,
    room: usize,
}

const _: () = assert!(MOST < FREE as usize && PLACES.is_power_of_two());

impl Shadow {
    pub(super) fn new(rule: Rule) -> Self {
        Self {
            rule,
            engine: Engine::new(),
            hashes: [0; MOST],
            index: [FREE; PLACES],
            free: Vec::new(),
            slots: 0,
            room: 1,
        }
    }

    /// From now on it holds so many entries, from 1 to [`MOST`].
    pub(super) fn set_room(&mut self, room: usize) {
        self.room = room.clamp(1, MOST);
        self.engine.set_room(self.room);
    }

    /// A key was used. Returns whether it was missed.
    pub(super) fn access(&mut self, hash: u32) -> bool {
        if let Some(place) = self.find(hash) {
            self.engine.touch(u32::from(self.index[place]), 1);
            return false;
        }
        while self.engine.segments.len() >= self.room {
            let Some(victim) = self.engine.evict(self.rule, &mut Keys(&self.hashes)) else {
                break;
            };
            self.unindex(self.hashes[victim as usize]);
            self.free.push(victim as u8);
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots += 1;
            self.slots - 1
        });
        self.hashes[usize::from(slot)] = hash;
        self.engine.insert(u32::from(slot), hash, self.rule);
        let mut place = home(hash);
        while self.index[place] != FREE {
            place = next(place);
        }
        self.index[place] = slot;
        true
    }

    fn find(&self, hash: u32) -> Option<usize> {
        let mut place = home(hash);
        loop {
            let slot = self.index[place];
            if slot == FREE {
                return None;
            }
            if self.hashes[usize::from(slot)] == hash {
                return Some(place);
            }
            place = next(place);
        }
    }

    /// Takes a key out of the index, and moves up what would not be found beyond the gap.
    fn unindex(&mut self, hash: u32) {
        let Some(mut gap) = self.find(hash) else {
            return;
        };
        let mut place = next(gap);
        while self.index[place] != FREE {
            let home = home(self.hashes[usize::from(self.index[place])]);
            let distance = |from: usize| place.wrapping_sub(from) % PLACES;
            if distance(home) >= distance(gap) {
                self.index[gap] = self.index[place];
                gap = place;
            }
            place = next(place);
        }
        self.index[gap] = FREE;
    }
}

/// All uses are told to the engine at once, so there is nothing left to read.
struct Keys<'a>(&'a [u32; MOST]);

impl Entries for Keys<'_> {
    fn take_reads(&mut self, _: u32, _: bool) -> u64 {
        0
    }

    fn hash(&self, slot: u32) -> u32 {
        self.0[slot as usize]
    }
}

fn home(hash: u32) -> usize {
    (hash.wrapping_mul(0x85EB_CA6B) >> 16) as usize % PLACES
}

fn next(place: usize) -> usize {
    (place + 1) % PLACES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn misses(rule: Rule, room: usize, keys: impl Iterator<Item = u32>) -> usize {
        let mut shadow = Shadow::new(rule);
        shadow.set_room(room);
        keys.filter(|key| shadow.access(key.wrapping_mul(0x9E37_79B9)))
            .count()
    }

    #[test]
    fn what_fits_is_missed_once() {
        for rule in [Rule::Frequency, Rule::Reuse] {
            let keys = (0..10_000).map(|i| i % MOST as u32);
            assert_eq!(misses(rule, MOST, keys), MOST);
        }
    }

    #[test]
    fn a_loop_that_does_not_fit_is_kept_in_part_by_frequency_alone() {
        let keys = || (0..20_000).map(|i| i % 200);
        let (frequency, reuse) = (
            misses(Rule::Frequency, 100, keys()),
            misses(Rule::Reuse, 100, keys()),
        );
        // Half of the loop is held.
        assert!(frequency < 10_800, "{frequency}");
        assert!(reuse > 15_000, "{reuse}");
    }

    #[test]
    fn keys_that_are_used_twice_and_never_again_are_kept_by_recency_alone() {
        let keys = || (0..20_000_u32).flat_map(|i| [i + 30, i]);
        let (frequency, recency) = (
            misses(Rule::Frequency, 100, keys()),
            misses(Rule::Recency, 100, keys()),
        );
        assert!(recency < 21_000, "{recency}");
        assert!(frequency > 30_000, "{frequency}");
    }

    #[test]
    fn the_index_holds_what_the_engine_holds() {
        let mut shadow = Shadow::new(Rule::Reuse);
        for step in 0..50_000_u32 {
            let room = [1, 7, 100, MOST][step as usize / 1_000 % 4];
            shadow.set_room(room);
            let spread = step.wrapping_mul(0x9E37_79B9) >> 8;
            let missed = shadow.access((spread % 300).wrapping_mul(0x85EB_CA6B));
            let indexed = shadow.index.iter().filter(|slot| **slot != FREE).count();
            assert_eq!(indexed, shadow.engine.segments.len());
            assert!(indexed <= room || !missed);
        }
    }
}
