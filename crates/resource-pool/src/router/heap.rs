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

const NIL: u32 = u32::MAX;
const CHILDREN: usize = 4;

pub(super) struct Heap {
    entries: Vec<Entry>,
    places: Vec<u32>,
}

/// What a target is judged by: the smaller comes first.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    /// The count per weight, see [`share`].
    pub(super) share: u128,
    /// When the count last changed, by a number that only grows: ties go round.
    pub(super) stamp: u64,
    pub(super) slot: u32,
}

/// The count per weight, with 40 digits behind the point.
///
/// Two different quotients of weights up to 1,000,000 differ by 10^-12 at least, which is more than
/// 2^-40, and equal ones are rounded alike: the order is that of the quotients, exactly.
#[inline]
pub(super) fn share(count: u64, weight: u32) -> u128 {
    if count < 1 << 24 {
        return u128::from((count << 40) / u64::from(weight));
    }
    (u128::from(count) << 40) / u128::from(weight)
}

impl Entry {
    /// The smaller share; of equals who has stood so for longer.
    #[inline]
    pub(super) fn is_before(&self, other: &Self) -> bool {
        (self.share, self.stamp) < (other.share, other.stamp)
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
    pub(super) fn change(&mut self, entry: Entry) {
        self.settle(self.places[entry.slot as usize] as usize, entry);
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

    /// Moves the least children up all the way and lets the entry rise from below: who was taken is
    /// the last of its equals, and so comes to stand near the bottom.
    fn sink(&mut self, mut place: usize) {
        let entry = self.entries[place];
        loop {
            let first = place * CHILDREN + 1;
            let Some(children) = self.entries.get(first..) else {
                break;
            };
            let children = children.iter().take(CHILDREN).enumerate();
            let least = children.reduce(|least, child| {
                if child.1.is_before(least.1) {
                    child
                } else {
                    least
                }
            });
            let Some((at, child)) = least else {
                break;
            };
            self.put(place, *child);
            place = first + at;
        }
        self.entries[place] = entry;
        self.rise(place);
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
            let mut naive: Vec<(Entry, u64)> = Vec::new();
            for (stamp, (slot, count, goes)) in (0..).zip(steps) {
                let weight = slot % 3 + 1;
                let entry = Entry { share: share(count, weight), stamp, slot };
                let known = naive.iter().position(|it| it.0.slot == slot);
                match known {
                    None => {
                        heap.insert(entry);
                        naive.push((entry, count));
                    }
                    Some(at) if goes => {
                        heap.remove(slot);
                        naive.remove(at);
                    }
                    Some(at) => {
                        heap.change(entry);
                        naive[at] = (entry, count);
                    }
                }
                let weight = |slot: u32| u64::from(slot % 3 + 1);
                let least = naive.iter().min_by(|(a, mine), (b, others)| {
                    let (mine, others) = (mine * weight(b.slot), others * weight(a.slot));
                    mine.cmp(&others).then(a.stamp.cmp(&b.stamp))
                });
                prop_assert_eq!(heap.first().map(|it| it.slot), least.map(|it| it.0.slot));
                prop_assert_eq!(heap.entries().len(), naive.len());
                for (place, entry) in heap.entries().iter().enumerate() {
                    prop_assert_eq!(heap.places[entry.slot as usize] as usize, place);
                }
            }
        }

        #[test]
        fn shares_have_the_order_of_the_quotients(
            a in prop_oneof![0_u64..100, any::<u64>()], b in prop_oneof![0_u64..100, any::<u64>()],
            mine in 1_u32..=1_000_000, others in prop_oneof![1_u32..=1_000_000, 999_990_u32..=1_000_000],
        ) {
            let exact = (u128::from(a) * u128::from(others)).cmp(&(u128::from(b) * u128::from(mine)));
            prop_assert_eq!(share(a, mine).cmp(&share(b, others)), exact);
        }
    }

    #[test]
    fn shares_that_differ_least_differ() {
        assert!(share(999_998, 999_999) < share(999_999, 1_000_000));
        assert_eq!(share(1, 3), share(333_333, 999_999));
        assert_eq!(share(1 << 24, 2), share(1 << 23, 1));
        assert!(share(u64::MAX - 1, 1) < share(u64::MAX, 1));
    }
}
