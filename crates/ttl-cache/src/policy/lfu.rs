//! Least frequently used, with dynamic aging: the slot with the smallest sum of its uses and the
//! age at which it came.
//!
//! The age is the sum of the last victim, so it grows with every eviction, and an entry that was
//! popular long ago is overtaken by one that is used now (Arlitt and others, 1999).

use super::{Marks, Policy, Touch};
use crate::order::{Ranking, SlotVec};

#[derive(Debug)]
pub(crate) struct Lfu {
    ranking: Ranking,
    /// The age at which each slot was filled.
    ages: SlotVec<u64>,
    age: u64,
}

/// More uses than this make no difference.
const MAX: u8 = u8::MAX;

impl Lfu {
    pub(crate) fn new() -> Self {
        Self {
            ranking: Ranking::new(),
            ages: SlotVec::new(0),
            age: 0,
        }
    }
}

impl Policy for Lfu {
    const TOUCH: Touch = Touch::Count { max: MAX };

    fn set_capacity(&mut self, _: u64, _: &impl Marks) {}

    fn insert(&mut self, slot: u32, _: u32, marks: &impl Marks) {
        // The mark counts the uses; readers add to it.
        marks.set_mark(slot, 1);
        self.ages.set(slot, self.age);
        self.ranking.set(slot, self.age.saturating_add(1));
    }

    fn remove(&mut self, slot: u32) {
        self.ranking.remove(slot);
    }

    fn evict(&mut self, marks: &impl Marks) -> Option<u32> {
        let ages = &self.ages;
        let sum = |slot| ages.get(slot).saturating_add(marks.mark(slot));
        let (slot, sum) = self.ranking.pop(sum)?;
        self.age = sum;
        Some(slot)
    }

    fn put_back(&mut self, slot: u32, _: u32, marks: &impl Marks) {
        let sum = self.ages.get(slot).saturating_add(marks.mark(slot));
        self.ranking.put_back(slot, sum);
    }

    fn shrink(&mut self, slots: u32, _: &impl Marks) {
        self.ranking.shrink(slots);
        self.ages.shrink(slots);
    }
}
