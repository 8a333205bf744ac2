//! First in, first out: the slot that was filled longest ago. The same queue as for the least
//! recently used one, where nothing after the insertion counts as a use.

use super::lru::{insert, used};
use super::{Marks, Policy, Touch};
use crate::order::{Queue, expected};

#[derive(Debug)]
pub(crate) struct Fifo {
    queue: Queue,
}

impl Fifo {
    pub(crate) fn new() -> Self {
        Self {
            queue: Queue::new(),
        }
    }
}

impl Policy for Fifo {
    const TOUCH: Touch = Touch::Nothing;

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
