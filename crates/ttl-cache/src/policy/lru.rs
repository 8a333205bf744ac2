//! Least recently used: the slot with the oldest stamp.
//!
//! Readers stamp entries with the shard's clock; the queue finds the oldest stamp at a cost that is
//! constant when spread over the uses.

use super::{Marks, Policy, STEP, Touch};
use crate::order::{Queue, Used, expected};

#[derive(Debug)]
pub(crate) struct Lru {
    queue: Queue,
}

impl Lru {
    pub(crate) fn new() -> Self {
        Self {
            queue: Queue::new(),
        }
    }
}

/// When the entry of a slot was used. An insertion stamps it with a whole step of the clock; all
/// later uses fall between two steps.
#[inline]
pub(super) fn used(marks: &impl Marks, slot: u32) -> Option<Used> {
    if marks.deadline(slot) == 0 {
        return None;
    }
    let stamp = marks.mark(slot);
    Some(Used {
        stamp,
        never: stamp.is_multiple_of(STEP),
    })
}

/// Puts a new entry in line.
#[inline]
pub(super) fn insert(queue: &mut Queue, slot: u32, marks: &impl Marks) {
    let stamp = marks.stamp();
    let in_line = queue.push(slot);
    marks.set_mark(slot, stamp + u64::from(!in_line));
}

impl Policy for Lru {
    const TOUCH: Touch = Touch::Stamp;

    fn set_capacity(&mut self, entries: u64, _: &impl Marks) {
        self.queue.expect(expected(entries));
    }

    #[inline]
    fn insert(&mut self, slot: u32, _: u32, marks: &impl Marks) {
        insert(&mut self.queue, slot, marks);
    }

    fn remove(&mut self, _: u32) {}

    #[inline]
    fn evict(&mut self, marks: &impl Marks) -> Option<u32> {
        self.queue.pop(|slot| used(marks, slot))
    }

    #[inline]
    fn prepare(&self, marks: &impl Marks) -> Option<u32> {
        let next = self.queue.first_in_line()?;
        marks.prefetch(next);
        Some(next)
    }

    fn put_back(&mut self, slot: u32, _: u32, marks: &impl Marks) {
        self.queue.put_back(slot, marks.mark(slot));
    }

    fn shrink(&mut self, slots: u32, marks: &impl Marks) {
        self.queue.shrink(slots, |slot| used(marks, slot));
    }
}
