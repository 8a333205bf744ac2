//! [`Woken`]: the set of futures that asked to be polled again, shared by all their wakers.
//!
//! A tree of 64-bit words: a bit of the lowest level is a future, a bit of a higher level says
//! that the word below it is not empty. Raising a bit climbs only while the word it touches was
//! empty, and the one who finds the root empty wakes the parent task.
//!
//! Why no wake-up is lost: a raiser sets the bit below before the bit above, and the drain clears
//! the bit above before it reads the word below. All are read-modify-writes with acquire and
//! release, so of a raiser and a drain that meet at a word, either the drain comes second there
//! and takes the bit, or it came first and left the word empty, and then the raiser climbs on. At
//! the root, climbing on means waking the parent, which drains again. `woken/models.rs` explores
//! this with loom.

use std::sync::Arc;
use std::task::{Wake, Waker};

use crate::primitive::{AtomicU64, Mutex, Ordering, lock};

#[cfg(all(test, brolly_loom))]
mod models;

const BITS: usize = u64::BITS as usize;

pub(crate) struct Woken {
    /// From the futures up; the last level is one word, the root.
    levels: Box<[Box<[AtomicU64]>]>,
    parent: Mutex<Option<Waker>>,
}

impl Woken {
    /// A set of at most `capacity` futures.
    pub(crate) fn new(capacity: usize) -> Self {
        let mut levels = Vec::new();
        let mut words = capacity.max(1);
        loop {
            words = words.div_ceil(BITS);
            levels.push((0..words).map(|_| AtomicU64::new(0)).collect());
            if words == 1 {
                break;
            }
        }
        Self {
            levels: levels.into(),
            parent: Mutex::new(None),
        }
    }

    /// Names the task to wake when the set stops being empty. Must come before the drain of the
    /// same poll.
    pub(crate) fn set_parent(&self, waker: &Waker) {
        let mut parent = lock(&self.parent);
        if parent.as_ref().is_some_and(|old| old.will_wake(waker)) {
            return;
        }
        drop(parent);
        // Cloning and dropping a waker may run foreign code, so neither happens under the lock.
        // Only the polling task replaces the parent, so nothing else changes it meanwhile.
        let fresh = Some(waker.clone());
        parent = lock(&self.parent);
        let stale = std::mem::replace(&mut *parent, fresh);
        drop(parent);
        drop(stale);
    }

    /// Forgets the parent, so that wakers that outlive the run keep no task alive.
    pub(crate) fn clear_parent(&self) {
        let parent = lock(&self.parent).take();
        drop(parent);
    }

    /// Marks a future as woken, and wakes the parent unless that was already done since the last
    /// drain.
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
        let parent = lock(&self.parent).clone();
        if let Some(parent) = parent {
            parent.wake();
        }
    }

    /// Empties the set, calling `visit` for each future in it. Those that are raised meanwhile may
    /// be left for the next drain.
    pub(crate) fn drain(&self, mut visit: impl FnMut(usize)) {
        self.drain_word(self.levels.len() - 1, 0, &mut visit);
    }

    fn drain_word(&self, level: usize, word: usize, visit: &mut impl FnMut(usize)) {
        // Acquire pairs with the release of `raise`.
        let mut bits = self.levels[level][word].swap(0, Ordering::AcqRel);
        while bits != 0 {
            let position = word * BITS + bits.trailing_zeros() as usize;
            bits &= bits - 1;
            match level {
                0 => visit(position),
                _ => self.drain_word(level - 1, position, visit),
            }
        }
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
