//! [`Levels`]: targets in the order of their counts, where a change costs O(1) as long as the counts
//! lie near each other.
//!
//! A circular bucket queue (Dial, "Algorithm 360: shortest-path forest with topological ordering",
//! 1969): a list of targets for each count, in a ring of lists that moves along with the counts.
//!
//! Invariants:
//!
//! 1. All counts that are listed lie from `lowest` to `highest`, which are listed themselves, and
//!    `highest - lowest` is less than the ring's length. So each list has targets of one count only.
//!    A count that does not fit is refused, and nothing has changed.
//! 2. The targets of a list are linked in the order in which they came to it. Who is taken and comes
//!    back stands behind its equals: ties go round.
//! 3. A node that is not listed is its own neighbour.
//!
//! The steps of a change are inlined always: a pick and the end of a lease make one change each, and
//! called they cost a tenth of all that these do, locks included.

/// No neighbour.
const NIL: u32 = u32::MAX;

/// The longest the ring may become. Whoever takes the lowest one away from far below the others looks
/// at so many lists at most.
const LONGEST: usize = 1024;

pub(super) struct Levels {
    nodes: Vec<Node>,
    ring: Vec<List>,
    lowest: u64,
    highest: u64,
    listed: usize,
}

#[derive(Clone, Copy)]
struct Node {
    count: u64,
    before: u32,
    after: u32,
}

#[derive(Clone, Copy)]
struct List {
    first: u32,
    last: u32,
}

const EMPTY: List = List {
    first: NIL,
    last: NIL,
};

/// Counts that lie too far apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooFarApart;

impl Levels {
    pub(super) fn new() -> Self {
        Self {
            nodes: Vec::new(),
            ring: vec![EMPTY; 8],
            lowest: 0,
            highest: 0,
            listed: 0,
        }
    }

    /// How many are listed.
    pub(super) fn len(&self) -> usize {
        self.listed
    }

    #[inline]
    pub(super) fn is_listed(&self, slot: u32) -> bool {
        let node = self.nodes.get(slot as usize);
        node.is_some_and(|it| it.before != slot)
    }

    /// Who has been lowest for the longest time.
    #[inline]
    pub(super) fn first(&self) -> Option<u32> {
        let first = self.ring[self.place(self.lowest)].first;
        (first != NIL).then_some(first)
    }

    /// The lowest count.
    pub(super) fn lowest(&self) -> Option<u64> {
        (self.listed > 0).then_some(self.lowest)
    }

    /// All that are listed, the lowest first, equals in the order in which they came.
    pub(super) fn in_order(&self) -> impl Iterator<Item = u32> {
        let mut count = self.lowest;
        let mut next = self.ring[self.place(count)].first;
        let mut left = self.listed;
        std::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            while next == NIL {
                count += 1;
                next = self.ring[self.place(count)].first;
            }
            let slot = next;
            next = self.nodes[slot as usize].after;
            Some(slot)
        })
    }

    /// Lists a slot that is not listed.
    pub(super) fn insert(&mut self, slot: u32, count: u64) -> Result<(), TooFarApart> {
        let known = self.nodes.len();
        let unlisted = (known as u32..=slot).map(|it| Node {
            count: 0,
            before: it,
            after: it,
        });
        self.nodes.extend(unlisted);
        if self.listed == 0 {
            (self.lowest, self.highest) = (count, count);
        }
        self.make_room(count)?;
        self.listed += 1;
        self.enter(slot, count);
        Ok(())
    }

    /// Takes a slot off its list.
    pub(super) fn remove(&mut self, slot: u32) {
        let count = self.leave(slot);
        self.listed -= 1;
        self.nodes[slot as usize].before = slot;
        if self.listed > 0 {
            self.close_in(count);
        }
    }

    /// Moves a slot that is listed to another count.
    #[inline]
    pub(super) fn change(&mut self, slot: u32, count: u64) -> Result<(), TooFarApart> {
        self.make_room(count)?;
        let before = self.leave(slot);
        self.enter(slot, count);
        self.close_in(before);
        Ok(())
    }

    #[inline]
    fn place(&self, count: u64) -> usize {
        // The length is a power of two.
        count as usize & (self.ring.len() - 1)
    }

    /// Puts a slot at the end of the list of this count, for which there is room.
    #[inline(always)]
    fn enter(&mut self, slot: u32, count: u64) {
        let place = self.place(count);
        let list = &mut self.ring[place];
        let before = std::mem::replace(&mut list.last, slot);
        match before {
            NIL => list.first = slot,
            before => self.nodes[before as usize].after = slot,
        }
        self.nodes[slot as usize] = Node {
            count,
            before,
            after: NIL,
        };
        self.lowest = self.lowest.min(count);
        self.highest = self.highest.max(count);
    }

    /// Unlinks a slot, and says what its count was.
    #[inline(always)]
    fn leave(&mut self, slot: u32) -> u64 {
        let Node {
            count,
            before,
            after,
        } = self.nodes[slot as usize];
        let place = self.place(count);
        match before {
            NIL => self.ring[place].first = after,
            before => self.nodes[before as usize].after = after,
        }
        match after {
            NIL => self.ring[place].last = before,
            after => self.nodes[after as usize].before = before,
        }
        count
    }

    /// Moves the ends to counts that are listed, after one has left this count. Some are listed.
    #[inline(always)]
    fn close_in(&mut self, left: u64) {
        if self.ring[self.place(left)].first != NIL {
            return;
        }
        if left == self.lowest {
            while self.ring[self.place(self.lowest)].first == NIL {
                self.lowest += 1;
            }
        }
        if left == self.highest {
            while self.ring[self.place(self.highest)].first == NIL {
                self.highest -= 1;
            }
        }
    }

    /// Makes the ring long enough for another count.
    #[inline]
    fn make_room(&mut self, count: u64) -> Result<(), TooFarApart> {
        let span = self.highest.max(count) - self.lowest.min(count);
        if span < self.ring.len() as u64 {
            return Ok(());
        }
        self.grow(span)
    }

    #[cold]
    fn grow(&mut self, span: u64) -> Result<(), TooFarApart> {
        if span >= LONGEST as u64 {
            return Err(TooFarApart);
        }
        let old = std::mem::take(&mut self.ring);
        self.ring = vec![EMPTY; (span as usize + 1).next_power_of_two()];
        for list in old {
            if let Some(node) = self.nodes.get(list.first as usize) {
                let place = self.place(node.count);
                self.ring[place] = list;
            }
        }
        Ok(())
    }

    /// How many lists there are, empty or not.
    #[cfg(test)]
    pub(super) fn lists(&self) -> usize {
        self.ring.len()
    }
}

#[cfg(all(test, not(brolly_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What it has to be equal to: counts in the order of their arrival.
    fn sorted(naive: &[(u32, u64)]) -> Vec<u32> {
        let mut naive = naive.to_vec();
        naive.sort_by_key(|(_, count)| *count);
        naive.into_iter().map(|(slot, _)| slot).collect()
    }

    proptest! {
        #[test]
        fn the_order_is_that_of_a_stable_sort(
            base in prop_oneof![Just(0), Just(1000), Just(u64::MAX - 3000)],
            steps in proptest::collection::vec(
                (0_u32..8, prop_oneof![0_u64..6, 0_u64..3000], any::<bool>()),
                1..200,
            ),
        ) {
            let mut levels = Levels::new();
            let mut naive: Vec<(u32, u64)> = Vec::new();
            for (slot, count, goes) in steps {
                let count = base + count;
                let known = naive.iter().position(|(it, _)| *it == slot);
                let others = naive.iter().map(|(_, count)| *count).chain([count]);
                let (least, most) = (others.clone().min().unwrap_or(0), others.max().unwrap_or(0));
                let fits = most - least < LONGEST as u64;
                match known {
                    None => {
                        prop_assert_eq!(levels.insert(slot, count).is_ok(), fits);
                        if fits {
                            naive.push((slot, count));
                        }
                    }
                    Some(at) if goes => {
                        levels.remove(slot);
                        naive.remove(at);
                    }
                    Some(at) => {
                        prop_assert_eq!(levels.change(slot, count).is_ok(), fits);
                        if fits {
                            naive.remove(at);
                            naive.push((slot, count));
                        }
                    }
                }
                prop_assert_eq!(levels.in_order().collect::<Vec<_>>(), sorted(&naive));
                prop_assert_eq!(levels.first(), sorted(&naive).first().copied());
                let lowest = naive.iter().map(|(_, count)| *count).min();
                prop_assert_eq!((levels.lowest(), levels.len()), (lowest, naive.len()));
                for slot in 0..9 {
                    prop_assert_eq!(levels.is_listed(slot), naive.iter().any(|it| it.0 == slot));
                }
                prop_assert!(levels.lists() <= LONGEST);
            }
        }
    }

    #[test]
    fn the_ring_moves_along_with_counts_that_only_grow() {
        let mut levels = Levels::new();
        (0..4).for_each(|slot| assert_eq!(levels.insert(slot, 0), Ok(())));
        for count in 1..100_000 {
            for slot in 0..4 {
                assert_eq!(levels.first(), Some(slot));
                assert_eq!(levels.change(slot, count), Ok(()));
            }
        }
        assert_eq!(levels.lists(), 8);
    }
}
