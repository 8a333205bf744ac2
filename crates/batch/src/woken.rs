//! [`Woken`]: the set of futures that asked to be polled again, shared by all their wakers.
//!
//! A tree of 64-bit words: a bit of the lowest level is a future, a bit of a higher level says
//! that the word below it is not empty. Raising a bit climbs only while the word it touches was
//! empty, and the one who finds the root empty wakes the parent task. Up to 63 futures need no
//! more than the root.
//!
//! The root's highest bit says that the task is being polled:
//!
//! | root | meaning | a raise that comes | who ends it |
//! |---|---|---|---|
//! | 0 | the task sleeps | sets its bit and wakes the task | the raiser |
//! | bits | the task is woken | sets its bit | the task, in `begin_poll` |
//! | `POLLING` | it runs | sets its bit | the task, in `end_poll`, to 0 |
//! | `POLLING` and bits | it runs, and has more to do | sets its bit | the task, in `end_poll`, to bits, and wakes itself |
//!
//! Why no wake-up is lost: a raiser sets the bit below before the bit above, and the drain clears
//! the bit above before it reads the word below. All are read-modify-writes with acquire and
//! release, so of a raiser and a drain that meet at a word, either the drain comes second there
//! and takes the bit, or it came first and left the word empty, and then the raiser climbs on. At
//! the root one of the two wakes the task, by the table. `woken/models.rs` explores this with loom.
//!
//! Who wakes the task takes its waker along, so that no waker is cloned, woken or dropped under the
//! lock: all three may run foreign code, which may even drop this set's owner. The next poll puts
//! its waker back before it empties the root. A waker that is gone was thus taken by somebody who
//! will still wake the task, or has done so, and that wake-up leads to a poll which sees all bits.

use std::sync::Arc;
use std::task::{Wake, Waker};

use crate::primitive::{AtomicU64, Mutex, Ordering, lock};

#[cfg(all(test, brolly_loom))]
mod models;

const BITS: usize = u64::BITS as usize;

/// The task is being polled and will look at the root once more before it sleeps.
const POLLING: u64 = 1 << 63;

pub(crate) struct Woken {
    root: AtomicU64,
    /// From the futures up, without the root; none if the root has room for all futures.
    levels: Box<[Box<[AtomicU64]>]>,
    /// The task's waker, from the end of a poll to the next wake-up.
    parent: Mutex<Option<Waker>>,
}

impl Woken {
    /// A set of at most `capacity` futures, made while the task is being polled, or before.
    pub(crate) fn new(capacity: usize) -> Self {
        let mut levels = Vec::new();
        let mut count = capacity;
        while count >= BITS {
            count = count.div_ceil(BITS);
            levels.push((0..count).map(|_| AtomicU64::new(0)).collect());
        }
        Self {
            root: AtomicU64::new(POLLING),
            levels: levels.into(),
            parent: Mutex::new(None),
        }
    }

    /// Begins a poll of the task: empties the set, calling `visit` for each future in it. Those
    /// that are raised from now on may be visited or be left for the next poll.
    pub(crate) fn begin_poll(&self, mut visit: impl FnMut(usize)) {
        // Acquire pairs with the release of `raise`, here and below.
        let bits = self.root.swap(POLLING, Ordering::AcqRel) & !POLLING;
        self.drain(bits, 0, self.levels.len(), &mut visit);
    }

    /// Ends a poll that leaves futures pending: from now on `waker` is woken for them, and at once
    /// if one was raised during the poll or `again` says that there is more to do.
    pub(crate) fn end_poll(&self, waker: &Waker, again: bool) {
        self.set_parent(waker);
        // Release: a raiser that finds the root empty also finds the parent.
        let raised = self.root.fetch_and(!POLLING, Ordering::AcqRel) != POLLING;
        if raised || again {
            waker.wake_by_ref();
        }
    }

    /// Marks a future as woken, and wakes the task if it sleeps.
    pub(crate) fn raise(&self, index: usize) {
        let mut position = index;
        for level in &self.levels {
            let bit = 1 << (position % BITS);
            position /= BITS;
            // Release: what the waker's caller wrote is seen by the poll that takes the bit.
            // Acquire: keeps the next level's step after this one.
            if level[position].fetch_or(bit, Ordering::AcqRel) != 0 {
                return;
            }
        }
        if self.root.fetch_or(1 << position, Ordering::AcqRel) != 0 {
            return;
        }
        let parent = lock(&self.parent).take(); // the lock is open again after this line
        if let Some(parent) = parent {
            parent.wake();
        }
    }

    /// Forgets the parent, so that wakers that outlive the run keep no task alive.
    pub(crate) fn clear_parent(&self) {
        let parent = lock(&self.parent).take();
        drop(parent);
    }

    fn drain(&self, mut bits: u64, word: usize, level: usize, visit: &mut impl FnMut(usize)) {
        while bits != 0 {
            let position = word * BITS + bits.trailing_zeros() as usize;
            bits &= bits - 1;
            match level.checked_sub(1) {
                None => visit(position),
                Some(below) => {
                    let bits = self.levels[below][position].swap(0, Ordering::AcqRel);
                    self.drain(bits, position, below, visit);
                }
            }
        }
    }

    fn set_parent(&self, waker: &Waker) {
        let parent = lock(&self.parent);
        if parent.as_ref().is_some_and(|old| old.will_wake(waker)) {
            return;
        }
        drop(parent);
        // Only the task being polled sets its parent, so nothing else does so meanwhile.
        let fresh = Some(waker.clone());
        let stale = std::mem::replace(&mut *lock(&self.parent), fresh);
        drop(stale);
    }
}

/// The waker of one future of the set.
pub(crate) struct SlotWaker {
    woken: Arc<Woken>,
    index: usize,
}

impl SlotWaker {
    pub(crate) fn waker(woken: &Arc<Woken>, index: usize) -> Waker {
        Waker::from(Arc::new(Self {
            woken: Arc::clone(woken),
            index,
        }))
    }
}

impl Wake for SlotWaker {
    fn wake(self: Arc<Self>) {
        self.woken.raise(self.index);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.raise(self.index);
    }
}
