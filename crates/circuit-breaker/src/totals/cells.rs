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
//! 3. Successes that are deferred carry the tag of their epoch, so those of another are never
//!    mistaken for them, however late a thread writes its cell.
//! 4. A number is handed out again only when no handle of its breaker is left. The last handle's
//!    end comes after all recordings through it and before the number is taken again, by the lock
//!    over the numbers.
//!
//! The idea is that of per-CPU counters in kernels and of `LongAdder` (Doug Lea), taken to its end:
//! one stripe for each thread.

use std::array;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::primitive::{AtomicU64, Mutex, MutexGuard, lock};

/// Breakers of a group.
#[cfg(not(brolly_loom))]
pub(super) const GROUP: usize = 16;
#[cfg(brolly_loom)]
pub(super) const GROUP: usize = 1;

/// Numbers of a cell that only grow.
const COUNTERS: usize = 6;

/// What each thread counts for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counter {
    Successes,
    Failures,
    Ignored,
    Cancelled,
    Rejected,
    Slow,
}

/// What all threads counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    counts: [u64; COUNTERS],
    /// How often the breaker opened. It does so too rarely for cells.
    pub(crate) opened: u64,
    last_failure: u64,
}

impl Sum {
    pub(crate) fn of(&self, counter: Counter) -> u64 {
        self.counts[counter as usize]
    }

    /// The time of the last failure.
    pub(crate) fn last_failure(&self) -> Option<u64> {
        self.last_failure.checked_sub(1)
    }
}

/// What one thread counted for one breaker: one cache line.
#[repr(align(64))]
pub(super) struct Cell {
    counts: [AtomicU64; COUNTERS],
    /// The time of the last failure and one more; zero if there was none.
    last_failure: AtomicU64,
    /// Successes that a window is to take in later, in the low half, and in the high half the tag
    /// of the epoch that they belong to. They are never set back within an epoch: whoever takes
    /// them in remembers how many there were.
    deferred: AtomicU64,
}

impl Cell {
    fn new() -> Self {
        Self {
            counts: array::from_fn(|_| AtomicU64::new(0)),
            last_failure: AtomicU64::new(0),
            deferred: AtomicU64::new(0),
        }
    }

    #[inline]
    pub(super) fn add(&self, counter: Counter) {
        let cell = &self.counts[counter as usize];
        cell.store(cell.load(Relaxed).wrapping_add(1), Relaxed);
    }

    pub(super) fn failed_at(&self, nanos: u64) {
        let latest = self.last_failure.load(Relaxed).max(nanos.saturating_add(1));
        self.last_failure.store(latest, Relaxed);
    }

    /// One more success that is to be taken in later; how many of this epoch there are in this cell.
    #[inline]
    pub(super) fn defer(&self, tag: u32) -> u32 {
        let deferred = Deferred::unpack(self.deferred.load(Relaxed));
        let count = match deferred.tag == tag {
            true => deferred.count.wrapping_add(1),
            false => 1,
        };
        self.deferred.store(Deferred { tag, count }.pack(), Relaxed);
        count
    }

    fn deferred(&self) -> Deferred {
        Deferred::unpack(self.deferred.load(Relaxed))
    }

    /// Adds this cell's numbers to `sum`.
    fn add_to(&self, sum: &mut Sum) {
        for (sum, cell) in sum.counts.iter_mut().zip(&self.counts) {
            *sum = sum.wrapping_add(cell.load(Relaxed));
        }
        sum.last_failure = sum.last_failure.max(self.last_failure.load(Relaxed));
    }

    fn set(&self, sum: &Sum, deferred: Deferred) {
        for (cell, value) in self.counts.iter().zip(&sum.counts) {
            cell.store(*value, Relaxed);
        }
        self.last_failure.store(sum.last_failure, Relaxed);
        self.deferred.store(deferred.pack(), Relaxed);
    }
}

/// Successes of one epoch. Both numbers wrap.
#[derive(Clone, Copy, Debug, Default)]
struct Deferred {
    tag: u32,
    count: u32,
}

impl Deferred {
    #[inline]
    fn unpack(word: u64) -> Self {
        Self {
            tag: (word >> 32) as u32,
            count: word as u32,
        }
    }

    #[inline]
    fn pack(self) -> u64 {
        u64::from(self.tag) << 32 | u64::from(self.count)
    }

    /// Those of both, of the later epoch alone if they are of two.
    fn merged(self, other: Self) -> Self {
        match self.tag.wrapping_sub(other.tag) as i32 {
            0 => Self {
                tag: self.tag,
                count: self.count.wrapping_add(other.count),
            },
            1.. => self,
            _ => other,
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
    opened: Option<Box<[u64; GROUP]>>,
}

impl State {
    fn cells(&self, at: usize) -> impl Iterator<Item = &Cell> {
        let pages = self.live.iter().chain(&self.retired);
        pages.map(move |page| page.cell(at))
    }
}

impl Group {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State::default()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// What all threads counted for one breaker.
    pub(super) fn sum(&self, at: usize) -> Sum {
        let state = self.lock();
        let mut sum = Sum::default();
        for cell in state.cells(at) {
            cell.add_to(&mut sum);
        }
        sum.opened = state.opened.as_ref().map_or(0, |opened| opened[at % GROUP]);
        sum
    }

    /// How many successes of an epoch all threads have deferred since it began. It wraps.
    pub(super) fn deferred(&self, at: usize, tag: u32) -> u32 {
        let state = self.lock();
        let deferred = state.cells(at).map(Cell::deferred);
        let counts = deferred.filter(|it| it.tag == tag).map(|it| it.count);
        counts.fold(0, u32::wrapping_add)
    }

    /// Counts an opening.
    pub(super) fn opened(&self, at: usize) {
        let mut state = self.lock();
        let opened = state.opened.get_or_insert_default();
        opened[at % GROUP] = opened[at % GROUP].saturating_add(1);
    }

    /// Starts a breaker at zero. Nobody records for it at this time.
    pub(super) fn clear(&self, at: usize) {
        let mut state = self.lock();
        for cell in state.cells(at) {
            cell.set(&Sum::default(), Deferred::default());
        }
        if let Some(opened) = &mut state.opened {
            opened[at % GROUP] = 0;
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
            let mut sum = Sum::default();
            left.add_to(&mut sum);
            cell.add_to(&mut sum);
            left.set(&sum, left.deferred().merged(cell.deferred()));
        }
    }
}
