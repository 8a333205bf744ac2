//! [`Totals`]: how often what happened, counted by each thread for itself.

mod cells;
mod slots;
mod tree;

use std::sync::Arc;
use std::sync::atomic::{
    AtomicU32,
    Ordering::{Acquire, Relaxed},
};

use cells::Group;
pub(crate) use cells::{Counter, Sum};

/// The totals of one breaker: a number under which every thread keeps cells for it.
///
/// The number is taken at the first call, so a breaker that was never called, or that keeps no
/// totals, costs nothing here.
pub(crate) struct Totals {
    /// [`OFF`], [`UNUSED`], or the number.
    slot: AtomicU32,
}

/// Numbers of the first group are never handed out, so no thread has a page for this one.
const UNUSED: u32 = 0;

const OFF: u32 = u32::MAX;

impl Totals {
    pub(crate) fn new(are_kept: bool) -> Self {
        Self {
            slot: AtomicU32::new(if are_kept { UNUSED } else { OFF }),
        }
    }

    #[inline]
    pub(crate) fn are_kept(&self) -> bool {
        self.slot.load(Relaxed) != OFF
    }

    /// Acquire: whoever took the number set the cells of all threads to zero before, that of the
    /// calling thread included, which must not add to what another breaker left in it.
    #[inline(always)]
    fn slot(&self) -> u32 {
        self.slot.load(Acquire)
    }

    /// Counts one.
    #[inline(always)]
    pub(crate) fn count(&self, counter: Counter) {
        let slot = self.slot();
        if slot == OFF || slots::add(slot as usize, counter) {
            return;
        }
        self.count_first(counter);
    }

    /// Remembers the time of a failure, after it was counted.
    pub(crate) fn failed_at(&self, nanos: u64) {
        let slot = self.slot() as usize;
        if slots::with_cell(slot, |cell| cell.failed_at(nanos)).is_none() && self.are_kept() {
            let slot = slots::lease(&self.slot, UNUSED);
            slots::record(slot as usize, |cell| cell.failed_at(nanos));
        }
    }

    /// Counts one where the breaker has no number, or the thread no cell.
    #[cold]
    #[inline(never)]
    fn count_first(&self, counter: Counter) {
        let slot = slots::lease(&self.slot, UNUSED);
        slots::record(slot as usize, |cell| cell.add(counter));
    }

    /// Counts an opening. The lock that this takes is never held by somebody who waits for a breaker.
    pub(crate) fn opened(&self) {
        if self.are_kept() {
            let slot = slots::lease(&self.slot, UNUSED);
            slots::group(slot as usize).opened(slot as usize);
        }
    }

    /// Puts off a success that was counted just now, on this thread. How many of this epoch the
    /// thread has put off; `None` if it has no cell to keep them in.
    #[inline]
    pub(crate) fn defer(&self, tag: u32) -> Option<u32> {
        slots::with_cell(self.slot() as usize, |cell| cell.defer(tag))
    }

    /// Where the successes are that threads put off; `None` if there can be none yet.
    pub(crate) fn deferred(&self) -> Option<Deferred> {
        match self.slot() {
            OFF | UNUSED => None,
            slot => Some(Deferred {
                group: slots::group(slot as usize),
                slot: slot as usize,
            }),
        }
    }

    /// All threads added up.
    pub(crate) fn sum(&self) -> Sum {
        match self.slot() {
            OFF | UNUSED => Sum::default(),
            slot => slots::group(slot as usize).sum(slot as usize),
        }
    }
}

/// The successes that threads put off for one breaker.
pub(crate) struct Deferred {
    group: Arc<Group>,
    slot: usize,
}

impl Deferred {
    /// How many there were since the epoch of this tag began. It wraps.
    pub(crate) fn count(&self, tag: u32) -> u32 {
        self.group.deferred(self.slot, tag)
    }
}

impl Drop for Totals {
    fn drop(&mut self) {
        let slot = self.slot.load(Relaxed);
        if slot != OFF && slot != UNUSED {
            slots::give_back(slot);
        }
    }
}

#[cfg(all(test, not(brolly_loom)))]
mod tests;
