//! [`Line`]: slots in the order in which they came.

use std::collections::VecDeque;

/// A queue of slots in one piece of memory, so that going on costs no jump.
///
/// Not all slots in it need to be its members ([`Segments`](super::segments::Segments) says which
/// are); it counts both.
#[derive(Debug)]
pub(super) struct Line {
    slots: VecDeque<u32>,
    members: usize,
}

/// How much room is made at least when there is none.
const MORE: usize = 32;

impl Line {
    pub(super) fn new() -> Self {
        Self {
            slots: VecDeque::new(),
            members: 0,
        }
    }

    /// How many members there are, wherever they lie.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.members
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.members == 0
    }

    /// There is a member more.
    #[inline]
    pub(super) fn count_in(&mut self) {
        self.members += 1;
    }

    /// There is a member less.
    #[inline]
    pub(super) fn count_out(&mut self) {
        self.members -= 1;
    }

    /// The slot that came first.
    #[inline]
    pub(super) fn front(&self) -> Option<u32> {
        self.slots.front().copied()
    }

    /// The slot that came after `before` others.
    #[inline]
    pub(super) fn get(&self, before: usize) -> Option<u32> {
        self.slots.get(before).copied()
    }

    #[inline]
    pub(super) fn push(&mut self, slot: u32) {
        if self.slots.len() == self.slots.capacity() {
            self.grow();
        }
        self.slots.push_back(slot);
    }

    /// By an eighth: most lines end a little beyond the share of their cache.
    #[cold]
    fn grow(&mut self) {
        self.slots.reserve_exact(self.slots.len() / 8 + MORE);
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<u32> {
        self.slots.pop_front()
    }

    /// The first becomes the last.
    #[inline]
    pub(super) fn turn(&mut self) {
        if let Some(slot) = self.slots.pop_front() {
            self.slots.push_back(slot);
        }
    }

    /// Lets all slots go of which `stays` does not say otherwise, asked from the first to the last.
    pub(super) fn retain(&mut self, mut stays: impl FnMut(u32) -> bool) {
        self.slots.retain(|slot| stays(*slot));
    }

    /// Gives memory back once most of it is unused.
    pub(super) fn shrink(&mut self) {
        if self.slots.len() < self.slots.capacity() / 2 {
            self.slots.shrink_to_fit();
        }
    }
}
