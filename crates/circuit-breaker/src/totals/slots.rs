//! The numbers of breakers that keep totals, in the whole process and in each thread.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{
    AtomicU32,
    Ordering::{Acquire, Relaxed, Release},
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::cells::{Cell, Counter, GROUP, Group, Page};
use super::tree::Tree;

/// The numbers of the process, and the groups they belong to.
struct Slots {
    /// The smallest number never used; those of the first group are left out.
    next: u32,
    /// Those that were given back, the smallest first, since only small ones have cells.
    free: BinaryHeap<Reverse<u32>>,
    groups: Vec<Arc<Group>>,
}

static SLOTS: Mutex<Slots> = Mutex::new(Slots {
    next: GROUP as u32,
    free: BinaryHeap::new(),
    groups: Vec::new(),
});

fn slots() -> MutexGuard<'static, Slots> {
    SLOTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The number in `holder`, which is taken now if it still holds `unused`.
pub(super) fn lease(holder: &AtomicU32, unused: u32) -> u32 {
    // Pairs with the release below.
    let held = holder.load(Acquire);
    if held != unused {
        return held;
    }
    let mut slots = slots();
    let held = holder.load(Relaxed);
    if held != unused {
        return held;
    }
    let slot = match slots.free.pop() {
        Some(Reverse(slot)) => slot,
        None => {
            let slot = slots.next;
            // Four billion breakers do not fit in memory, so the number does not wrap.
            slots.next = slot.saturating_add(1);
            slot
        }
    };
    let group = slot as usize / GROUP;
    while slots.groups.len() <= group {
        slots.groups.push(Arc::new(Group::new()));
    }
    slots.groups[group].clear(slot as usize);
    // Before the lock is given up, so that nobody else takes one for the same breaker.
    // Release: a thread that sees the number sees its own cell set to zero, too.
    holder.store(slot, Release);
    slot
}

/// Nobody holds the number any more.
pub(super) fn give_back(slot: u32) {
    slots().free.push(Reverse(slot));
}

/// The group of a number that is held.
pub(super) fn group(slot: usize) -> Arc<Group> {
    Arc::clone(&slots().groups[slot / GROUP])
}

/// The pages of one thread.
struct Pages(Tree<Leaf>);

struct Leaf {
    page: Arc<Page>,
    group: Arc<Group>,
}

impl Drop for Pages {
    fn drop(&mut self) {
        for leaf in self.0.values() {
            leaf.group.retire(&leaf.page);
        }
    }
}

thread_local! {
    static PAGES: Pages = const { Pages(Tree::new()) };
}

/// Adds in the cell of the calling thread, if it has one already.
#[inline]
pub(super) fn add(slot: usize, counter: Counter) -> bool {
    with_cell(slot, |cell| cell.add(counter)).is_some()
}

/// What is to be done with the cell of the calling thread, if it has one already.
#[inline]
pub(super) fn with_cell<R>(slot: usize, record: impl FnOnce(&Cell) -> R) -> Option<R> {
    PAGES
        .try_with(|pages| {
            let leaf = pages.0.get(slot / GROUP)?;
            Some(record(leaf.page.cell(slot)))
        })
        .ok()
        .flatten()
}

/// Records in the cell of the calling thread, which is made if there is none; or in that of those
/// that have none, when the thread is past its end (a destructor of another thread-local records)
/// or the number is too high to have a place.
pub(super) fn record(slot: usize, record: impl Fn(&Cell)) {
    let is_recorded = slot / GROUP < Tree::<Leaf>::LEN
        && PAGES
            .try_with(|pages| {
                let leaf = pages.0.get_or_init(slot / GROUP, || {
                    let group = group(slot);
                    Leaf {
                        page: group.page(),
                        group,
                    }
                });
                record(leaf.page.cell(slot));
            })
            .is_ok();
    if !is_recorded {
        group(slot).record_retired(slot, record);
    }
}
