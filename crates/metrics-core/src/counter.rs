//! [`Counter`]: a total that only grows.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::cells::{GROUP, Group};
use crate::local;
use crate::numbers::Numbers;
use crate::primitive::AtomicU64;

/// A total that only grows, such as requests served.
///
/// Adding costs a load and a store in a cell of the calling thread; threads never wait for each
/// other. Reading adds the cells up and takes a short lock that writers never take.
///
/// Clones count together. It wraps at `u64::MAX`.
#[derive(Clone)]
pub struct Counter {
    slot: usize,
    core: Arc<Core>,
}

struct Core {
    slot: usize,
    group: Arc<Group>,
    /// What was counted by threads past their end, or without a cell.
    strays: AtomicU64,
    /// What the cells and the strays held when this counter was new, or last reset.
    baseline: AtomicU64,
}

/// The slots of the process and the groups they belong to.
struct Slots {
    numbers: Numbers,
    groups: Vec<Arc<Group>>,
}

// Not the seam's mutex: models do not explore who gets which slot.
static SLOTS: std::sync::Mutex<Slots> = std::sync::Mutex::new(Slots {
    numbers: Numbers::new(),
    groups: Vec::new(),
});

impl Counter {
    pub(crate) fn new() -> Self {
        let (slot, group) = {
            let mut slots = SLOTS.lock().unwrap_or_else(|poison| poison.into_inner());
            let slot = slots.numbers.take();
            if slots.groups.len() <= slot / GROUP {
                slots.groups.push(Arc::new(Group::new()));
            }
            (slot, Arc::clone(&slots.groups[slot / GROUP]))
        };
        let baseline = AtomicU64::new(group.total(slot));
        Self {
            slot,
            core: Arc::new(Core {
                slot,
                group,
                strays: AtomicU64::new(0),
                baseline,
            }),
        }
    }

    /// Adds one.
    #[inline]
    pub fn inc(&self) {
        self.add(1);
    }

    /// Adds `n`.
    #[inline]
    pub fn add(&self, n: u64) {
        if !local::add(self.slot, &self.core.group, n) {
            self.core.strays.fetch_add(n, Relaxed);
        }
    }

    /// The total: everything that was added before, on this thread or on one that has since
    /// synchronised with it.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.since_baseline(self.core.group.total(self.slot))
    }
}

impl Counter {
    /// The total, where the total of its group's slot is already known.
    pub(crate) fn since_baseline(&self, total: u64) -> u64 {
        let core = &*self.core;
        let total = total.wrapping_add(core.strays.load(Relaxed));
        total.wrapping_sub(core.baseline.load(Relaxed))
    }

    pub(crate) fn group(&self) -> &Arc<Group> {
        &self.core.group
    }

    pub(crate) fn slot(&self) -> usize {
        self.slot
    }

    /// Starts again at zero. What is being added at this moment may count or not.
    pub(crate) fn reset(&self) {
        let core = &*self.core;
        let total = core.group.total(self.slot);
        let total = total.wrapping_add(core.strays.load(Relaxed));
        core.baseline.store(total, Relaxed);
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        let mut slots = SLOTS.lock().unwrap_or_else(|poison| poison.into_inner());
        slots.numbers.give_back(self.slot);
    }
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Counter").field(&self.value()).finish()
    }
}
