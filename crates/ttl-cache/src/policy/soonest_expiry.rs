//! Soonest expiry: the slot whose entry ends first.

use super::{Marks, Policy, Touch};
use crate::order::Ranking;

#[derive(Debug)]
pub(crate) struct SoonestExpiry {
    ranking: Ranking,
}

impl SoonestExpiry {
    pub(crate) fn new() -> Self {
        Self {
            ranking: Ranking::new(),
        }
    }
}

impl Policy for SoonestExpiry {
    const TOUCH: Touch = Touch::Nothing;

    fn set_capacity(&mut self, _: u64, _: &impl Marks) {}

    fn insert(&mut self, slot: u32, _: u32, marks: &impl Marks) {
        self.ranking.set(slot, marks.deadline(slot));
    }

    fn update(&mut self, slot: u32, marks: &impl Marks) {
        self.ranking.set(slot, marks.deadline(slot));
    }

    fn remove(&mut self, slot: u32) {
        self.ranking.remove(slot);
    }

    fn evict(&mut self, marks: &impl Marks) -> Option<u32> {
        // Reads put the end off where there is a time to idle.
        let (slot, _) = self.ranking.pop(|slot| marks.deadline(slot))?;
        Some(slot)
    }

    fn put_back(&mut self, slot: u32, _: u32, marks: &impl Marks) {
        self.ranking.put_back(slot, marks.deadline(slot));
    }

    fn shrink(&mut self, slots: u32, _: &impl Marks) {
        self.ranking.shrink(slots);
    }
}
