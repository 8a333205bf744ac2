//! [`Heap`]: targets in the order of their counts per weight, whatever the counts and the weights.
//!
//! A heap with four children to a node (Johnson, "Priority queues with update and finding minimum
//! spanning trees", 1975) and an index of where each slot stands, so that one that changes is moved
//! and not pushed again: there are exactly as many entries as targets.
//!
//! Invariants:
//!
//! 1. No entry comes before its parent in the order of [`Entry::is_before`].
//! 2. `places[slot]` is where the entry of the slot stands, or `NIL`.

use std::cmp::Ordering;

const NIL: u32 = u32::MAX;
const CHILDREN: usize = 4;

pub(super) struct Heap {
    entries: Vec<Entry>,
    places: Vec<u32>,
}

/// What a target is judged by.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub(super) count: u64,
    pub(super) weight: u32,
    /// When the count last changed, by a number that only grows: ties go round.
    pub(super) stamp: u64,
    pub(super) slot: u32,
}

impl Entry {
    /// The smaller count per weight, compared without rounding; of equals who has stood so for
    /// longer.
    #[inline]
    pub(super) fn is_before(&self, other: &Self) -> bool {
        let mine = u128::from(self.count) * u128::from(other.weight);
        let others = u128::from(other.count) * u128::from(self.weight);
        match mine.cmp(&others) {
            Ordering::Less => true,
            Ordering::Equal => self.stamp < other.stamp,
            Ordering::Greater => false,
        }
    }
}

impl Heap {
    pub(super) fn new() -> Self {
        Self {
            entries: Vec::new(),
            places: Vec::new(),
        }
    }

    #[inline]
    pub(super) fn first(&self) -> Option<&Entry> {
        self.entries.first()
    }

    #[inline]
    pub(super) fn is_listed(&self, slot: u32) -> bool {
        let place = self.places.get(slot as usize);
        place.is_some_and(|it| *it != NIL)
    }

    /// All of them, in no order.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) fn insert(&mut self, entry: Entry) {
        let needed = entry.slot as usize + 1;
        if self.places.len() < needed {
            self.places.resize(needed, NIL);
        }
        self.entries.push(entry);
        self.rise(self.entries.len() - 1);
    }

    pub(super) fn remove(&mut self, slot: u32) {
        let place = std::mem::replace(&mut self.places[slot as usize], NIL) as usize;
        let last = self.entries.pop();
        if let Some(last) = last
            && place < self.entries.len()
        {
            self.settle(place, last);
        }
    }

    /// Gives the entry of a slot another count.
    #[inline]
    pub(super) fn change(&mut self, slot: u32, count: u64, stamp: u64) {
        let place = self.places[slot as usize] as usize;
        let entry = Entry {
            count,
            stamp,
            ..self.entries[place]
        };
        self.settle(place, entry);
    }

    /// Puts an entry into a place and then where it belongs.
    fn settle(&mut self, place: usize, entry: Entry) {
        self.entries[place] = entry;
        if place > 0 && entry.is_before(&self.entries[(place - 1) / CHILDREN]) {
            self.rise(place);
        } else {
            self.sink(place);
        }
    }

    fn rise(&mut self, mut place: usize) {
        let entry = self.entries[place];
        while place > 0 {
            let parent = (place - 1) / CHILDREN;
            if !entry.is_before(&self.entries[parent]) {
                break;
            }
            self.put(place, self.entries[parent]);
            place = parent;
        }
        self.put(place, entry);
    }

    fn sink(&mut self, mut place: usize) {
        let entry = self.entries[place];
        loop {
            let first = place * CHILDREN + 1;
            let children = first..(first + CHILDREN).min(self.entries.len());
            let least = children.reduce(|least, child| {
                if self.entries[child].is_before(&self.entries[least]) {
                    child
                } else {
                    least
                }
            });
            match least {
                Some(child) if self.entries[child].is_before(&entry) => {
                    self.put(place, self.entries[child]);
                    place = child;
                }
                _ => break,
            }
        }
        self.put(place, entry);
    }

    #[inline]
    fn put(&mut self, place: usize, entry: Entry) {
        self.entries[place] = entry;
        self.places[entry.slot as usize] = place as u32;
    }
}

#[cfg(all(test, not(brolly_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_first_is_the_least_and_there_are_no_entries_but_one_each(
            steps in proptest::collection::vec((0_u32..12, 0_u64..9, any::<bool>()), 1..200),
        ) {
            let mut heap = Heap::new();
            let mut naive: Vec<Entry> = Vec::new();
            for (stamp, (slot, count, goes)) in (0..).zip(steps) {
                let weight = slot % 3 + 1;
                let known = naive.iter().position(|it| it.slot == slot);
                match known {
                    None => {
                        let entry = Entry { count, weight, stamp, slot };
                        heap.insert(entry);
                        naive.push(entry);
                    }
                    Some(at) if goes => {
                        heap.remove(slot);
                        naive.remove(at);
                    }
                    Some(at) => {
                        heap.change(slot, count, stamp);
                        naive[at].count = count;
                        naive[at].stamp = stamp;
                    }
                }
                let least = naive.iter().min_by(|a, b| {
                    let (mine, others) = (a.count * u64::from(b.weight), b.count * u64::from(a.weight));
                    mine.cmp(&others).then(a.stamp.cmp(&b.stamp))
                });
                prop_assert_eq!(heap.first().map(|it| it.slot), least.map(|it| it.slot));
                prop_assert_eq!(heap.entries().len(), naive.len());
                for (place, entry) in heap.entries().iter().enumerate() {
                    prop_assert_eq!(heap.places[entry.slot as usize] as usize, place);
                }
            }
        }
    }

    #[test]
    fn counts_at_the_end_of_their_range_are_compared_without_rounding() {
        let entry = |count, weight, slot| Entry {
            count,
            weight,
            stamp: 0,
            slot,
        };
        let (most, almost) = (entry(u64::MAX, 1, 0), entry(u64::MAX - 1, 1, 1));
        assert!(almost.is_before(&most) && !most.is_before(&almost));
        assert!(entry(u64::MAX, u32::MAX, 0).is_before(&entry(u64::MAX, u32::MAX - 1, 1)));
    }
}
