//! [`Totals`]: how often what happened, counted by each thread for itself.

mod cells;
mod slots;
mod tree;

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

pub(crate) use cells::{COUNTERS, Counter};
use cells::{Cell, GROUP};

/// The totals of one breaker: a number under which every thread keeps cells for it.
///
/// The number is taken at the first call, so a breaker that was never called, or that keeps no
/// totals, costs nothing here.
pub(crate) struct Totals {
    /// [`OFF`], [`UNUSED`], or the number.
    slot: AtomicU32,
}

/// Slot zero is never handed out.
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

    /// Counts one.
    #[inline]
    pub(crate) fn count(&self, counter: Counter) {
        // Relaxed: a number is taken under a lock, and cells that are read and written under it
        // are those of the calling thread.
        let slot = self.slot.load(Relaxed);
        if slot == OFF || (slot != UNUSED && slots::add(slot as usize, counter)) {
            return;
        }
        self.count_first(|cell| cell.add(counter));
    }

    /// Remembers the time of a failure.
    pub(crate) fn failed_at(&self, nanos: u64) {
        if self.are_kept() {
            self.count_first(|cell| cell.failed_at(nanos));
        }
    }

    #[cold]
    #[inline(never)]
    fn count_first(&self, record: impl Fn(&Cell)) {
        let slot = slots::lease(&self.slot, UNUSED);
        slots::record(slot as usize, record);
    }

    /// All threads added up.
    pub(crate) fn sum(&self) -> [u64; COUNTERS] {
        match self.slot.load(Relaxed) {
            OFF | UNUSED => [0; COUNTERS],
            slot => slots::group(slot as usize).sum(slot as usize % GROUP),
        }
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
