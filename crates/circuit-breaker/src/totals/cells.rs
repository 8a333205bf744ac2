//! Cells that one thread writes and everybody reads.
//!
//! A cell belongs to one breaker and one thread, so adding is a load and a store: no instruction
//! locks the bus, and no cache line has two writers. The cells of [`GROUP`] breakers of one thread
//! are a page; a group is the pages of all threads for the same breakers.
//!
//! Invariants:
//!
//! 1. Only the thread that made a page writes to it, until it ends; the exception is a cell whose
//!    breaker is gone, which whoever takes its number sets back to zero.
//! 2. The total of a breaker is what threads that have ended left, plus the live pages. A page
//!    moves from the one to the other in one step under the group's lock, which readers hold too.
//! 3. A number is handed out again only when no handle of its breaker is left. The last handle's
//!    end comes after all recordings through it and before the number is taken again, by the lock
//!    over the numbers.
//!
//! The idea is that of per-CPU counters in kernels and of `LongAdder` (Doug Lea), taken to its end:
//! one stripe for each thread.

use std::array;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Breakers of a group.
pub(super) const GROUP: usize = 16;

/// Numbers of a cell.
pub(crate) const COUNTERS: usize = 8;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counter {
    Successes,
    Failures,
    Ignored,
    Cancelled,
    Rejected,
    Slow,
    Opened,
    /// Not a count: the time of the last failure, and one more.
    LastFailure,
}

/// What one thread counted for one breaker: one cache line.
#[repr(align(64))]
pub(super) struct Cell([AtomicU64; COUNTERS]);

impl Cell {
    fn new() -> Self {
        Self(array::from_fn(|_| AtomicU64::new(0)))
    }

    #[inline]
    pub(super) fn add(&self, counter: Counter) {
        let cell = &self.0[counter as usize];
        cell.store(cell.load(Relaxed).wrapping_add(1), Relaxed);
    }

    pub(super) fn failed_at(&self, nanos: u64) {
        let cell = &self.0[Counter::LastFailure as usize];
        cell.store(cell.load(Relaxed).max(nanos.saturating_add(1)), Relaxed);
    }

    /// Adds this cell's numbers to `sum`.
    fn add_to(&self, sum: &mut [u64; COUNTERS]) {
        for (at, (sum, cell)) in sum.iter_mut().zip(&self.0).enumerate() {
            let value = cell.load(Relaxed);
            *sum = match at == Counter::LastFailure as usize {
                true => value.max(*sum),
                false => value.wrapping_add(*sum),
            };
        }
    }

    fn set(&self, values: &[u64; COUNTERS]) {
        for (cell, value) in self.0.iter().zip(values) {
            cell.store(*value, Relaxed);
        }
    }
}

/// The cells of one thread for one group.
pub(super) struct Page([Cell; GROUP]);

impl Page {
    fn new() -> Arc<Self> {
        Arc::new(Self(array::from_fn(|_| Cell::new())))
    }

    #[inline]
    pub(super) fn cell(&self, at: usize) -> &Cell {
        &self.0[at % GROUP]
    }
}

/// The pages of some breakers.
pub(super) struct Group {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    live: Vec<Arc<Page>>,
    /// What threads that have ended left, and what those counted that can have no page.
    retired: Option<Arc<Page>>,
}

impl Group {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What all threads counted for one breaker.
    pub(super) fn sum(&self, at: usize) -> [u64; COUNTERS] {
        let state = self.lock();
        let mut sum = [0; COUNTERS];
        for page in state.live.iter().chain(&state.retired) {
            page.cell(at).add_to(&mut sum);
        }
        sum
    }

    /// Starts a breaker at zero. Nobody records for it at this time.
    pub(super) fn clear(&self, at: usize) {
        let state = self.lock();
        for page in state.live.iter().chain(&state.retired) {
            page.cell(at).set(&[0; COUNTERS]);
        }
    }

    /// A page for the calling thread.
    pub(super) fn page(&self) -> Arc<Page> {
        let page = Page::new();
        self.lock().live.push(Arc::clone(&page));
        page
    }

    /// Records for a thread that has no page: under the lock, all such threads are one writer.
    pub(super) fn record_retired(&self, at: usize, record: impl Fn(&Cell)) {
        let mut state = self.lock();
        record(state.retired.get_or_insert_with(Page::new).cell(at));
    }

    /// Takes over what a thread that ends has counted.
    pub(super) fn retire(&self, page: &Arc<Page>) {
        let mut state = self.lock();
        let Some(at) = state.live.iter().position(|live| Arc::ptr_eq(live, page)) else {
            return;
        };
        state.live.swap_remove(at);
        let retired = state.retired.get_or_insert_with(Page::new);
        for (left, cell) in retired.0.iter().zip(&page.0) {
            let mut sum = [0; COUNTERS];
            left.add_to(&mut sum);
            cell.add_to(&mut sum);
            left.set(&sum);
        }
    }
}
