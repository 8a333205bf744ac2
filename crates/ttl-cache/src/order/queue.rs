//! [`Queue`]: slots by when they were used, told about uses late or never.

use super::radix::{Buckets, Place};
use super::{NONE, SlotVec};

/// Slots by stamps that only grow, the oldest first.
///
/// The queue asks for a slot's stamp when the slot comes up, and puts it back if the stamp has
/// grown. That is what makes recording a use cheap: a reader writes the stamp and touches no list.
/// For the same reason slots are not taken out when their entry goes: a slot that comes up without
/// an entry is skipped, and one that was filled again meanwhile has a newer stamp and is put back.
///
/// New slots stand in line: each has a newer stamp than those before it, so nothing needs sorting.
/// Slots that come up in the line and were used since are sorted by a radix heap. The next slot is
/// the first in line or the first of the heap.
///
/// Invariants:
///
/// 1. A slot is in the line, or in one bucket, or nowhere; `next` of a slot that is nowhere is
///    `NONE`.
/// 2. A slot in a bucket has a stamp that is not smaller than what its bucket stands for. The
///    stamps of slots in line grow from the first to the last, except of those used since.
/// 3. `base` is not greater than the stamp of any slot in a bucket.
///
/// Each slot costs four bytes. Lists are rings, named by their last member.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Queue {
    /// The last in line.
    line: u32,
    /// The bucket that the base has moved into, until all its members have moved on.
    splitting: Option<Place>,
    base: u64,
    next: SlotVec<u32>,
    buckets: Buckets,
}

/// When a slot was used last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    pub(crate) stamp: u64,
    /// Not since it was put in line.
    pub(crate) never: bool,
}

impl Queue {
    pub(crate) fn new() -> Self {
        Self {
            next: SlotVec::new(NONE),
            line: NONE,
            buckets: Buckets::new(),
            base: 0,
            splitting: None,
        }
    }

    /// Tells how many slots there will be when the cache is full.
    pub(crate) fn expect(&mut self, slots: usize) {
        self.next.expect(slots);
    }

    /// Puts a slot at the end of the line. Its stamp is newer than all others. Returns `false` if
    /// the slot is still in the queue for an entry that has gone: then it must count as used, so
    /// that it is moved to where it belongs when it comes up.
    #[inline]
    pub(crate) fn push(&mut self, slot: u32) -> bool {
        if self.next.get(slot) != NONE {
            return false;
        }
        self.line = self.append(self.line, slot);
        true
    }

    /// Takes the slot that was used longest ago. `used` tells when a slot was used, `None` if it
    /// has no entry any more.
    ///
    /// A slot moves once for each use that is found out, and then once for each level of six bits
    /// by which its stamp is away from the oldest.
    pub(crate) fn pop(&mut self, mut used: impl FnMut(u32) -> Option<Used>) -> Option<u32> {
        let mut oldest_in_line = u64::MAX;
        while self.line != NONE {
            let slot = self.next.get(self.line);
            match used(slot) {
                Some(it) if it.never => {
                    oldest_in_line = it.stamp;
                    break;
                }
                other => {
                    self.line = self.shift(self.line).1;
                    if let Some(it) = other {
                        self.sort_in(slot, it.stamp);
                    }
                }
            }
        }
        if !self.buckets.is_empty()
            && let Some(slot) = self.pop_older(oldest_in_line, used)
        {
            return Some(slot);
        }
        if self.line == NONE {
            return None;
        }
        let (slot, line) = self.shift(self.line);
        self.line = line;
        Some(slot)
    }

    /// Takes the first slot of the heap if its stamp is older than `limit`.
    fn pop_older(&mut self, limit: u64, mut used: impl FnMut(u32) -> Option<Used>) -> Option<u32> {
        loop {
            if let Some(place) = self.splitting {
                while let Some(slot) = self.leave(place) {
                    if let Some(it) = used(slot) {
                        self.sort_in(slot, it.stamp);
                    }
                }
                self.splitting = None;
            }
            let place = self.buckets.lowest()?;
            let start = place.start(self.base);
            if start >= limit {
                return None;
            }
            self.base = self.base.max(start);
            if !place.is_lowest() {
                self.splitting = Some(place);
                continue;
            }
            while let Some(slot) = self.leave(place) {
                match used(slot) {
                    Some(it) if it.stamp <= self.base => return Some(slot),
                    Some(it) => self.sort_in(slot, it.stamp),
                    None => {}
                }
            }
        }
    }

    /// The slot at the head of the line.
    #[inline]
    pub(crate) fn first_in_line(&self) -> Option<u32> {
        (self.line != NONE).then(|| self.next.get(self.line))
    }

    /// Takes the slot back that was taken last.
    pub(crate) fn put_back(&mut self, slot: u32, stamp: u64) {
        self.sort_in(slot, stamp);
    }

    /// Forgets the slots from `slots` on, of which none has an entry, and those that are here
    /// without one. Takes time for each slot that stays.
    pub(crate) fn shrink(&mut self, slots: u32, mut used: impl FnMut(u32) -> Option<Used>) {
        let mut next = SlotVec::new(NONE);
        next.expect(self.next.expected());
        *self = Self {
            base: self.base,
            next,
            ..Self::new()
        };
        for slot in 0..slots {
            if let Some(it) = used(slot) {
                self.sort_in(slot, it.stamp);
            }
        }
    }

    fn sort_in(&mut self, slot: u32, stamp: u64) {
        let place = Place::of(stamp.max(self.base), self.base);
        let last = self.append(self.buckets.head(place), slot);
        self.buckets.set_head(place, last);
    }

    /// Takes the first member of a bucket.
    fn leave(&mut self, place: Place) -> Option<u32> {
        let last = self.buckets.head(place);
        if last == NONE {
            return None;
        }
        let (slot, last) = self.shift(last);
        if last == NONE {
            self.buckets.set_head(place, NONE);
        }
        Some(slot)
    }

    /// Adds a slot to the ring with this last member. Returns the new last member.
    #[inline]
    fn append(&mut self, last: u32, slot: u32) -> u32 {
        if last == NONE {
            self.next.set(slot, slot);
        } else {
            let first = self.next.get(last);
            self.next.set(slot, first);
            self.next.set(last, slot);
        }
        slot
    }

    /// Takes the first member out of the ring with this last member. Returns both.
    #[inline]
    fn shift(&mut self, last: u32) -> (u32, u32) {
        let first = self.next.get(last);
        let last = if first == last {
            NONE
        } else {
            self.next.set(last, self.next.get(first));
            last
        };
        self.next.set(first, NONE);
        (first, last)
    }
}
