//! [`Ring`]: slots in the order in which they came, any of which may leave; going round costs
//! nothing.

use crate::order::{NONE, SlotVec};

/// The neighbours of each slot, for any number of rings that have no slot in common.
#[derive(Debug)]
pub(super) struct Links(SlotVec<Link>);

#[derive(Clone, Copy, Debug)]
struct Link {
    newer: u32,
    older: u32,
}

impl Links {
    pub(super) fn new() -> Self {
        Self(SlotVec::new(Link {
            newer: NONE,
            older: NONE,
        }))
    }

    /// Forgets the slots from `slots` on, none of which is in a ring.
    pub(super) fn shrink(&mut self, slots: u32) {
        self.0.shrink(slots);
    }

    #[inline]
    fn set_newer(&mut self, slot: u32, newer: u32) {
        let link = self.0.get(slot);
        self.0.set(slot, Link { newer, ..link });
    }

    #[inline]
    fn set_older(&mut self, slot: u32, older: u32) {
        let link = self.0.get(slot);
        self.0.set(slot, Link { older, ..link });
    }
}

/// A queue whose oldest slot is next to its newest, so that the oldest becomes the newest by moving
/// the hand (Corbató, "A paging experiment with the Multics system", 1968).
#[derive(Debug)]
pub(super) struct Ring {
    /// The oldest slot; [`NONE`] if there is none.
    hand: u32,
    len: usize,
}

impl Ring {
    pub(super) fn new() -> Self {
        Self { hand: NONE, len: 0 }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(super) fn oldest(&self) -> Option<u32> {
        (self.hand != NONE).then_some(self.hand)
    }

    /// The oldest slot becomes the newest.
    #[inline]
    pub(super) fn turn(&mut self, links: &Links) {
        self.hand = links.0.get(self.hand).newer;
    }

    /// Puts in a slot that is in no ring, as the newest.
    #[inline]
    pub(super) fn push(&mut self, links: &mut Links, slot: u32) {
        self.len += 1;
        if self.hand == NONE {
            self.hand = slot;
            let (newer, older) = (slot, slot);
            links.0.set(slot, Link { newer, older });
            return;
        }
        let (newer, older) = (self.hand, links.0.get(self.hand).older);
        links.0.set(slot, Link { newer, older });
        links.set_older(newer, slot);
        links.set_newer(older, slot);
    }

    /// Takes out a slot of this ring.
    #[inline]
    pub(super) fn take(&mut self, links: &mut Links, slot: u32) {
        self.len -= 1;
        if self.len == 0 {
            self.hand = NONE;
            return;
        }
        let Link { newer, older } = links.0.get(slot);
        links.set_newer(older, newer);
        links.set_older(newer, older);
        if self.hand == slot {
            self.hand = newer;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    #[derive(Clone, Copy, Debug)]
    enum Op {
        Push(u32),
        Take(usize),
        Turn,
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            (0..40_u32).prop_map(Op::Push),
            (0..40_usize).prop_map(Op::Take),
            Just(Op::Turn),
        ]
    }

    proptest! {
        #[test]
        fn a_ring_is_a_queue(ops in prop::collection::vec((any::<bool>(), op()), 0..300)) {
            let mut links = Links::new();
            let mut rings = [Ring::new(), Ring::new()];
            let mut queues = [VecDeque::new(), VecDeque::new()];
            for (which, op) in ops {
                let taken = queues.iter().any(|queue| matches!(op, Op::Push(slot) if queue.contains(&slot)));
                let (ring, queue) = (&mut rings[usize::from(which)], &mut queues[usize::from(which)]);
                match op {
                    Op::Push(slot) => if !taken {
                        ring.push(&mut links, slot);
                        queue.push_back(slot);
                    },
                    Op::Take(at) => if let Some(slot) = queue.remove(at) {
                        ring.take(&mut links, slot);
                    },
                    Op::Turn => if let Some(slot) = queue.pop_front() {
                        ring.turn(&links);
                        queue.push_back(slot);
                    },
                }
                prop_assert_eq!(ring.len(), queue.len());
                prop_assert_eq!(ring.oldest(), queue.front().copied());
            }
            for (ring, queue) in rings.iter_mut().zip(queues) {
                for slot in queue {
                    prop_assert_eq!(ring.oldest(), Some(slot));
                    ring.turn(&links);
                }
            }
        }
    }
}
