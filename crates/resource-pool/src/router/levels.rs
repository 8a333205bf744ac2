//! [`Levels`]: targets in the order of their counts, where a count that changes by one costs O(1).
//!
//! The frequency list of Shah, Mitra and Matani, "An O(1) algorithm for implementing the LFU cache
//! eviction scheme" (2010), turned upside down: targets of one count are a list, the lists are a list
//! in the order of the counts, and the first target of the lowest list is the answer.
//!
//! Invariants:
//!
//! 1. A level exists exactly while a target is on it; levels are linked from low to high, and no two
//!    have the same count. So there are never more levels than targets, whatever the counts are.
//! 2. The targets of a level are linked in the order in which they came to it. Who is taken and comes
//!    back stands behind its equals: ties go round.
//! 3. A slot that is not listed has no level.

/// No neighbour, no level.
const NIL: u32 = u32::MAX;

pub(super) struct Levels {
    nodes: Vec<Node>,
    levels: Vec<Level>,
    /// Levels that are not in use, linked by `higher`.
    free: u32,
    lowest: u32,
    listed: usize,
}

#[derive(Clone, Copy)]
struct Node {
    level: u32,
    before: u32,
    after: u32,
}

const UNLISTED: Node = Node {
    level: NIL,
    before: NIL,
    after: NIL,
};

#[derive(Clone, Copy)]
struct Level {
    count: u64,
    first: u32,
    last: u32,
    lower: u32,
    higher: u32,
}

impl Levels {
    pub(super) fn new() -> Self {
        Self {
            nodes: Vec::new(),
            levels: Vec::new(),
            free: NIL,
            lowest: NIL,
            listed: 0,
        }
    }

    /// Who has been lowest for the longest time.
    #[inline]
    pub(super) fn first(&self) -> Option<u32> {
        let lowest = self.levels.get(self.lowest as usize)?;
        Some(lowest.first)
    }

    /// The lowest count.
    pub(super) fn lowest(&self) -> Option<u64> {
        let lowest = self.levels.get(self.lowest as usize)?;
        Some(lowest.count)
    }

    /// All that are listed, the lowest first, equals in the order in which they came.
    pub(super) fn in_order(&self) -> impl Iterator<Item = u32> {
        let mut level = self.lowest;
        let mut next = self.first().unwrap_or(NIL);
        std::iter::from_fn(move || {
            if next == NIL {
                level = self.levels.get(level as usize)?.higher;
                next = self.levels.get(level as usize)?.first;
            }
            let slot = next;
            next = self.nodes[slot as usize].after;
            Some(slot)
        })
    }

    /// How many are listed.
    pub(super) fn len(&self) -> usize {
        self.listed
    }

    #[inline]
    pub(super) fn is_listed(&self, slot: u32) -> bool {
        let node = self.nodes.get(slot as usize);
        node.is_some_and(|it| it.level != NIL)
    }

    /// Lists a slot, and says how many levels are below it, which is what it costs.
    pub(super) fn insert(&mut self, slot: u32, count: u64) -> usize {
        let needed = slot as usize + 1;
        if self.nodes.len() < needed {
            self.nodes.resize(needed, UNLISTED);
        }
        let (below, passed) = self.level_below(NIL, self.lowest, count);
        self.enter(slot, below, count);
        self.listed += 1;
        passed
    }

    /// Takes a slot off the list.
    pub(super) fn remove(&mut self, slot: u32) {
        let level = self.leave(slot);
        if self.levels[level as usize].first == NIL {
            self.retire(level);
        }
        self.listed -= 1;
    }

    /// Moves a slot to another count, and says how many levels it passed: none for a step of one.
    #[inline]
    pub(super) fn change(&mut self, slot: u32, count: u64) -> usize {
        let node = self.nodes[slot as usize];
        let from = self.levels[node.level as usize];
        let is_alone = from.first == from.last;
        let (below, passed) = if count > from.count {
            let higher = from.higher;
            if is_alone && (higher == NIL || self.levels[higher as usize].count > count) {
                self.levels[node.level as usize].count = count;
                return 0;
            }
            self.level_below(node.level, higher, count)
        } else {
            let lower = from.lower;
            if is_alone && (lower == NIL || self.levels[lower as usize].count < count) {
                self.levels[node.level as usize].count = count;
                return 0;
            }
            self.level_at_or_above(lower, count)
        };
        // The old level is the one below the new one, or another: either outlives the step.
        self.leave(slot);
        let entered = self.enter(slot, below, count);
        if is_alone && entered != node.level {
            self.retire(node.level);
        }
        passed
    }

    /// Looks upwards: the last level whose count is less, starting between two neighbours.
    #[inline]
    fn level_below(&self, mut below: u32, mut above: u32, count: u64) -> (u32, usize) {
        let mut passed = 0;
        while above != NIL && self.levels[above as usize].count < count {
            below = above;
            above = self.levels[above as usize].higher;
            passed += 1;
        }
        (below, passed)
    }

    /// Looks downwards for the same, starting at a level that may be it.
    #[inline]
    fn level_at_or_above(&self, mut level: u32, count: u64) -> (u32, usize) {
        let mut passed = 0;
        while level != NIL && self.levels[level as usize].count >= count {
            if self.levels[level as usize].count > count {
                passed += 1;
            }
            level = self.levels[level as usize].lower;
        }
        (level, passed)
    }

    /// Puts a slot at the end of the level of this count, which is made if there is none.
    #[inline]
    fn enter(&mut self, slot: u32, below: u32, count: u64) -> u32 {
        let above = match self.levels.get(below as usize) {
            Some(below) => below.higher,
            None => self.lowest,
        };
        let level = match self.levels.get(above as usize) {
            Some(level) if level.count == count => above,
            _ => self.make(below, above, count),
        };
        let it = &mut self.levels[level as usize];
        let before = it.last;
        it.last = slot;
        match before {
            NIL => it.first = slot,
            before => self.nodes[before as usize].after = slot,
        }
        self.nodes[slot as usize] = Node {
            level,
            before,
            after: NIL,
        };
        level
    }

    /// Unlinks a slot; its level may be left empty.
    #[inline]
    fn leave(&mut self, slot: u32) -> u32 {
        let node = std::mem::replace(&mut self.nodes[slot as usize], UNLISTED);
        match node.before {
            NIL => self.levels[node.level as usize].first = node.after,
            before => self.nodes[before as usize].after = node.after,
        }
        match node.after {
            NIL => self.levels[node.level as usize].last = node.before,
            after => self.nodes[after as usize].before = node.before,
        }
        node.level
    }

    fn make(&mut self, lower: u32, higher: u32, count: u64) -> u32 {
        let made = Level {
            count,
            first: NIL,
            last: NIL,
            lower,
            higher,
        };
        let level = match self.free {
            NIL => {
                self.levels.push(made);
                (self.levels.len() - 1) as u32
            }
            free => {
                self.free = self.levels[free as usize].higher;
                self.levels[free as usize] = made;
                free
            }
        };
        self.link(lower, level);
        self.link(level, higher);
        level
    }

    fn retire(&mut self, level: u32) {
        let Level { lower, higher, .. } = self.levels[level as usize];
        self.link(lower, higher);
        self.levels[level as usize].higher = self.free;
        self.free = level;
    }

    fn link(&mut self, lower: u32, higher: u32) {
        match lower {
            NIL => self.lowest = higher,
            lower => self.levels[lower as usize].higher = higher,
        }
        if higher != NIL {
            self.levels[higher as usize].lower = lower;
        }
    }

    /// How many places for levels there are, used or not.
    #[cfg(test)]
    pub(super) fn places(&self) -> usize {
        self.levels.len()
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
            steps in proptest::collection::vec((0_u32..8, 0_u64..6, any::<bool>()), 1..200),
        ) {
            let mut levels = Levels::new();
            let mut naive: Vec<(u32, u64)> = Vec::new();
            for (slot, count, goes) in steps {
                let known = naive.iter().position(|(it, _)| *it == slot);
                match known {
                    None => {
                        levels.insert(slot, count);
                        naive.push((slot, count));
                    }
                    Some(at) if goes => {
                        levels.remove(slot);
                        naive.remove(at);
                    }
                    Some(at) if naive[at].1 == count => {}
                    Some(at) => {
                        levels.change(slot, count);
                        naive.remove(at);
                        naive.push((slot, count));
                    }
                }
                prop_assert_eq!(levels.in_order().collect::<Vec<_>>(), sorted(&naive));
                prop_assert_eq!(levels.first(), sorted(&naive).first().copied());
                let lowest = naive.iter().map(|(_, count)| *count).min();
                prop_assert_eq!(levels.lowest(), lowest);
                prop_assert_eq!(levels.len(), naive.len());
                prop_assert!(levels.places() <= 9);
            }
        }
    }

    #[test]
    fn a_step_of_one_passes_no_level_however_many_there_are() {
        let mut levels = Levels::new();
        for slot in 0..1000 {
            levels.insert(slot, u64::from(slot) * 10);
            levels.insert(1000 + slot, u64::from(slot) * 10);
        }
        for slot in 0..1000 {
            assert_eq!(levels.change(slot, u64::from(slot) * 10 + 1), 0);
            assert_eq!(levels.change(slot, u64::from(slot) * 10), 0);
        }
        assert_eq!(levels.change(0, 5001), 500);
    }
}
