//! [`Counter`]: a total that only grows.

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::recording::cells::{GROUP, Group};
use crate::recording::local;
use crate::recording::numbers::Numbers;

/// A total that only grows, such as requests served.
///
/// Adding costs a load and a store in a cell of the calling thread; threads never wait for each
/// other. Reading adds the cells up and takes a short lock that writers never take.
///
/// Clones count together. It wraps at `u64::MAX`.
#[derive(Clone)]
pub struct Counter {
    slot: usize,
    lease: Arc<Lease>,
}

/// A slot, for as long as somebody counts in it.
struct Lease {
    slot: usize,
    group: Arc<Group>,
}

impl Counter {
    pub(crate) fn new() -> Self {
        let lease = Lease::take();
        Self {
            slot: lease.slot,
            lease: Arc::new(lease),
        }
    }

    /// Adds one.
    #[inline]
    pub fn inc(&self) {
        self.add(1);
    }

    /// Adds `n`: things, bytes, or for a counter of seconds nanoseconds.
    #[inline]
    pub fn add(&self, n: u64) {
        if !local::add(self.slot, n) {
            self.add_first(n);
        }
    }

    /// Adds a duration, for counters of seconds: those count whole nanoseconds and are exposed in
    /// seconds.
    #[inline]
    pub fn add_duration(&self, duration: Duration) {
        self.add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Adds where there is no cell yet.
    #[cold]
    #[inline(never)]
    fn add_first(&self, n: u64) {
        let group = &self.lease.group;
        if !local::add_first(self.slot, group, n) {
            group.add_retired(self.slot, n);
        }
    }

    /// The total: at least everything that was added before, on this thread or on one that has
    /// since synchronised with it.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.lease.group.total(self.slot)
    }

    pub(crate) fn group(&self) -> &Group {
        &self.lease.group
    }

    pub(crate) fn slot(&self) -> usize {
        self.slot
    }

    /// Starts again at zero. What is being added at this moment may count or not.
    pub(crate) fn reset(&self) {
        self.lease.group.reset(self.slot);
    }
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Counter").field(&self.value()).finish()
    }
}

/// The slots of the process and the groups they belong to.
struct Slots {
    numbers: Numbers,
    groups: Vec<Arc<Group>>,
}

static SLOTS: Mutex<Slots> = Mutex::new(Slots {
    numbers: Numbers::new(),
    groups: Vec::new(),
});

/// How many slots were given back so far.
static GIVEN_BACK: AtomicU64 = AtomicU64::new(0);

/// Changes before a slot is handed out again. Whoever remembers what slots held asks after it has
/// got hold of a counter: what was remembered under another number may be of an earlier counter.
pub(crate) fn slots_given_back() -> u64 {
    // Relaxed: who holds a counter was handed it after its slot was given back.
    GIVEN_BACK.load(Relaxed)
}

impl Slots {
    fn lock() -> MutexGuard<'static, Self> {
        SLOTS.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    fn take() -> Self {
        let mut slots = Slots::lock();
        let slot = slots.numbers.take();
        if slots.groups.len() <= slot / GROUP {
            slots.groups.push(Arc::new(Group::new()));
        }
        let group = Arc::clone(&slots.groups[slot / GROUP]);
        drop(slots);
        group.reset(slot);
        Self { slot, group }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut slots = Slots::lock();
        GIVEN_BACK.fetch_add(1, Relaxed);
        slots.numbers.give_back(self.slot);
    }
}
