//! Counter cells: each thread adds in a cell of its own, and readers add the cells up.
//!
//! A cell has one writer, so adding is a load and a store; no instruction locks the bus and no
//! cache line is shared between writers. A *slot* is the number of a counter in the whole process,
//! a *group* is the slots that share a page, and each thread that touches a group has one page
//! of it.
//!
//! Invariants:
//!
//! 1. Only the thread that made a page writes to it, and it does so until it ends.
//! 2. The total of a slot is what is retired plus the cells of the live pages. A page moves from
//!    live to retired in one step under the group's lock, which readers hold too, so no reader
//!    counts it twice or misses it.
//! 3. Cells are never set back. To start a slot again at zero, what it holds is taken from its
//!    retired part, which may wrap below zero; all sums wrap. A slot is handed out again only when
//!    no handle of its last counter is left.
//!
//! The idea is that of per-CPU counters in kernels and of `LongAdder` (Doug Lea), taken to its end:
//! one stripe for each thread.

use std::array;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::primitive::{AtomicU64, Mutex, lock};
use crate::recording::tree::Tree;

/// Counters of a group.
#[cfg(not(brolly_loom))]
pub(crate) const GROUP: usize = 64;
#[cfg(brolly_loom)]
pub(crate) const GROUP: usize = 2;

/// The cells of one thread for one group. Aligned so that two threads never share a line, nor the
/// pair of lines that some processors fetch together.
#[repr(align(128))]
struct Page {
    cells: [AtomicU64; GROUP],
}

/// Counters that share pages.
pub(crate) struct Group {
    state: Mutex<State>,
}

struct State {
    live: Vec<Arc<Page>>,
    /// What threads that have ended left behind, less what no longer counts.
    retired: [u64; GROUP],
}

impl Group {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                live: Vec::new(),
                retired: [0; GROUP],
            }),
        }
    }

    /// What one slot of the group holds.
    pub(crate) fn total(&self, slot: usize) -> u64 {
        lock(&self.state).total(slot)
    }

    /// What all slots of the group hold.
    pub(crate) fn totals(&self) -> [u64; GROUP] {
        let state = lock(&self.state);
        let mut totals = state.retired;
        for page in &state.live {
            for (total, cell) in totals.iter_mut().zip(&page.cells) {
                *total = total.wrapping_add(cell.load(Relaxed));
            }
        }
        totals
    }

    /// Starts a slot again at zero.
    pub(crate) fn reset(&self, slot: usize) {
        let mut state = lock(&self.state);
        let total = state.total(slot);
        let retired = &mut state.retired[slot % GROUP];
        *retired = retired.wrapping_sub(total);
    }

    /// Adds on behalf of a thread that has no page.
    pub(crate) fn add_retired(&self, slot: usize, by: u64) {
        let retired = &mut lock(&self.state).retired[slot % GROUP];
        *retired = retired.wrapping_add(by);
    }

    /// A page for the calling thread.
    fn page(&self) -> Arc<Page> {
        let page = Arc::new(Page {
            cells: array::from_fn(|_| AtomicU64::new(0)),
        });
        lock(&self.state).live.push(Arc::clone(&page));
        page
    }

    /// Takes over what a thread that ends has counted.
    fn retire(&self, page: &Arc<Page>) {
        let mut state = lock(&self.state);
        if let Some(at) = state.live.iter().position(|live| Arc::ptr_eq(live, page)) {
            state.live.swap_remove(at);
            for (retired, cell) in state.retired.iter_mut().zip(&page.cells) {
                *retired = retired.wrapping_add(cell.load(Relaxed));
            }
        }
    }
}

impl State {
    fn total(&self, slot: usize) -> u64 {
        let live = self.live.iter();
        live.fold(self.retired[slot % GROUP], |total, page| {
            total.wrapping_add(page.cells[slot % GROUP].load(Relaxed))
        })
    }
}

/// The pages of one thread.
pub(crate) struct LocalCells {
    pages: Tree<Leaf>,
}

struct Leaf {
    page: Arc<Page>,
    group: Arc<Group>,
}

impl LocalCells {
    pub(crate) const fn new() -> Self {
        Self { pages: Tree::new() }
    }

    /// Adds to a slot, if this thread has a page for it; false otherwise.
    #[inline]
    pub(crate) fn add(&self, slot: usize, by: u64) -> bool {
        let Some(leaf) = self.pages.get(slot / GROUP) else {
            return false;
        };
        let cell = &leaf.page.cells[slot % GROUP];
        cell.store(cell.load(Relaxed).wrapping_add(by), Relaxed);
        true
    }

    /// Makes a page and adds; false when the slot is too high to have one.
    pub(crate) fn add_first(&self, slot: usize, group: &Arc<Group>, by: u64) -> bool {
        if slot / GROUP >= Tree::<Leaf>::LEN {
            return false;
        }
        self.pages.get_or_init(slot / GROUP, || Leaf {
            page: group.page(),
            group: Arc::clone(group),
        });
        self.add(slot, by)
    }
}

impl Drop for LocalCells {
    fn drop(&mut self) {
        for leaf in self.pages.iter() {
            leaf.group.retire(&leaf.page);
        }
    }
}
