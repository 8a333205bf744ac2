//! [`Budget`]: the room that no shard uses, shared by all of them.

use crate::primitive::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire};

/// Room for entries and for weight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) entries: u64,
    pub(crate) weight: u64,
}

impl Room {
    pub(crate) const NONE: Self = Self {
        entries: 0,
        weight: 0,
    };

    pub(crate) fn one(weight: u64) -> Self {
        Self { entries: 1, weight }
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            entries: self.entries.saturating_add(other.entries),
            weight: self.weight.saturating_add(other.weight),
        }
    }

    /// What is left when `other` is taken away; nothing if there is less.
    pub(crate) fn less(self, other: Self) -> Self {
        Self {
            entries: self.entries.saturating_sub(other.entries),
            weight: self.weight.saturating_sub(other.weight),
        }
    }

    pub(crate) fn covers(self, other: Self) -> bool {
        self.entries >= other.entries && self.weight >= other.weight
    }
}

/// Bounds that are not set are this large.
pub(crate) const UNBOUNDED: u64 = u64::MAX >> 1;

/// What is free of the two bounds.
///
/// Invariant: what all entries use, what is free here, and what inserts in progress have taken and
/// not used yet is the bound, at every instant. So the entries never exceed it. Room is taken
/// before an entry becomes visible and given back after it is gone. An insert that evicts in its own
/// shard uses the victim's room at once and does not come here: a full cache writes no shared word.
#[derive(Debug)]
pub(crate) struct Budget {
    entries: AtomicU64,
    weight: AtomicU64,
}

impl Budget {
    pub(crate) fn new(bounds: Room) -> Self {
        Self {
            entries: AtomicU64::new(bounds.entries),
            weight: AtomicU64::new(bounds.weight),
        }
    }

    /// Takes what there is of `wanted`.
    #[inline]
    pub(crate) fn take(&self, wanted: Room) -> Room {
        Room {
            entries: take(&self.entries, wanted.entries),
            weight: take(&self.weight, wanted.weight),
        }
    }

    /// Takes room for one entry without weight, if there is any.
    #[inline]
    pub(crate) fn take_one(&self) -> bool {
        take(&self.entries, 1) == 1
    }

    #[inline]
    pub(crate) fn give(&self, room: Room) {
        if room.entries > 0 {
            self.entries.fetch_add(room.entries, AcqRel);
        }
        if room.weight > 0 {
            self.weight.fetch_add(room.weight, AcqRel);
        }
    }
}

/// Room that an operation has taken and not used yet. What is left goes back, however it ends.
#[derive(Debug)]
pub(crate) struct Hand<'a> {
    budget: &'a Budget,
    pub(crate) room: Room,
}

impl<'a> Hand<'a> {
    #[inline]
    pub(crate) fn empty(budget: &'a Budget) -> Self {
        Self {
            budget,
            room: Room::NONE,
        }
    }

    /// Takes room for one entry without weight, if there is any.
    #[inline]
    pub(crate) fn take_one(&mut self) -> bool {
        let taken = self.budget.take_one();
        self.room.entries += u64::from(taken);
        taken
    }

    /// Takes what there is of what is missing to `needed`.
    #[inline]
    pub(crate) fn take(&mut self, needed: Room) {
        let taken = self.budget.take(needed.less(self.room));
        self.room = self.room.plus(taken);
    }
}

impl Drop for Hand<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.room != Room::NONE {
            self.budget.give(self.room);
        }
    }
}

#[inline]
fn take(free: &AtomicU64, wanted: u64) -> u64 {
    if wanted == 0 {
        return 0;
    }
    let mut now = free.load(Acquire);
    loop {
        let taken = now.min(wanted);
        if taken == 0 {
            return 0;
        }
        match free.compare_exchange_weak(now, now - taken, AcqRel, Acquire) {
            Ok(_) => return taken,
            Err(changed) => now = changed,
        }
    }
}
