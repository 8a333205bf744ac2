//! [`Wheel`]: which slots are due, in time proportional to how many are.

use super::radix::{Buckets, Place};
use super::{NONE, SlotVec};

/// A hierarchical timing wheel over slots, exact to the nanosecond (see the radix arithmetic beside
/// this file). Slots can be taken out at any time: lists are linked in both directions, and the
/// first link of a list names its bucket.
///
/// A slot costs eight bytes, and none if nothing ever expires.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Wheel {
    /// Nothing is due before.
    soonest: u64,
    base: u64,
    /// The bucket that time has moved into, until all its members were looked at.
    splitting: Option<Place>,
    waiting: usize,
    links: SlotVec<Links>,
    buckets: Buckets,
}

#[derive(Clone, Copy, Debug)]
struct Links {
    next: u32,
    /// A slot, or `BUCKET` and the number of the bucket whose first member this is, or `NONE` if
    /// the slot does not wait.
    previous: u32,
}

const BUCKET: u32 = 1 << 31;
const UNLINKED: Links = Links {
    next: NONE,
    previous: NONE,
};

/// What [`Wheel::step`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// This slot is due, and does not wait any more.
    Due(u32),
    /// A slot was moved nearer to its time.
    Moved,
    /// Nothing is due yet.
    Idle,
}

impl Wheel {
    pub(crate) fn new() -> Self {
        Self {
            buckets: Buckets::new(),
            links: SlotVec::new(UNLINKED),
            soonest: u64::MAX,
            base: 0,
            splitting: None,
            waiting: 0,
        }
    }

    /// Tells how many slots there will be when the cache is full.
    pub(crate) fn expect(&mut self, slots: usize) {
        self.links.expect(slots);
    }

    /// Whether a step at this time might find something to do.
    #[inline]
    pub(crate) fn may_be_due(&self, now: u64) -> bool {
        self.soonest <= now
    }

    /// When the next slot is due at the earliest. It may be later, never earlier.
    pub(crate) fn next_due(&self) -> Option<u64> {
        (self.soonest != u64::MAX).then_some(self.soonest)
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting
    }

    /// Lets a slot wait that does not wait yet.
    pub(crate) fn insert(&mut self, slot: u32, due: u64) {
        debug_assert!(self.links.get(slot).previous == NONE, "a slot waits once");
        self.waiting += 1;
        self.link(slot, due);
    }

    /// Takes a slot out, if it waits.
    pub(crate) fn remove(&mut self, slot: u32) {
        let links = self.links.get(slot);
        if links.previous == NONE {
            return;
        }
        self.waiting -= 1;
        self.unlink(slot, links);
    }

    /// One unit of work. `due_of` tells when a slot is due.
    pub(crate) fn step(&mut self, now: u64, due_of: impl Fn(u32) -> u64) -> Step {
        let step = self.turn(now, due_of);
        self.soonest = match self.splitting {
            Some(_) => self.base,
            None => (self.buckets.lowest())
                .map_or(u64::MAX, |place| place.start(self.base).max(self.base)),
        };
        step
    }

    fn turn(&mut self, now: u64, due_of: impl Fn(u32) -> u64) -> Step {
        let place = match self.splitting {
            // Somebody else may have been here with a later reading of the clock.
            Some(_) if self.base > now => return Step::Idle,
            Some(place) => place,
            None => match self.buckets.lowest() {
                Some(place) if place.start(self.base) <= now => {
                    self.base = self.base.max(place.start(self.base));
                    self.splitting = Some(place);
                    place
                }
                _ => return Step::Idle,
            },
        };
        let slot = self.buckets.head(place);
        if slot == NONE {
            self.splitting = None;
            return Step::Moved;
        }
        self.unlink(slot, self.links.get(slot));
        let due = due_of(slot);
        if due <= now {
            self.waiting -= 1;
            Step::Due(slot)
        } else {
            // Its bucket holds the base, so it belongs to a lower level now.
            self.link(slot, due);
            Step::Moved
        }
    }

    /// Forgets the slots from `slots` on, none of which waits.
    pub(crate) fn shrink(&mut self, slots: u32) {
        self.links.shrink(slots);
    }

    fn link(&mut self, slot: u32, due: u64) {
        let place = Place::of(due.max(self.base), self.base);
        self.soonest = self.soonest.min(place.start(self.base).max(self.base));
        let first = self.buckets.head(place);
        self.links.set(
            slot,
            Links {
                next: first,
                previous: BUCKET | place.number(),
            },
        );
        if first != NONE {
            let mut links = self.links.get(first);
            links.previous = slot;
            self.links.set(first, links);
        }
        self.buckets.set_head(place, slot);
    }

    fn unlink(&mut self, slot: u32, links: Links) {
        if links.next != NONE {
            let mut next = self.links.get(links.next);
            next.previous = links.previous;
            self.links.set(links.next, next);
        }
        if links.previous & BUCKET == 0 {
            let mut previous = self.links.get(links.previous);
            previous.next = links.next;
            self.links.set(links.previous, previous);
        } else {
            let place = Place::from_number(links.previous & !BUCKET);
            self.buckets.set_head(place, links.next);
        }
        self.links.set(slot, UNLINKED);
    }
}
