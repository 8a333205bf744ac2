//! [`Herd`]: one waker that many futures of a task share, and whether it was used.
//!
//! The waker marks the herd as woken and wakes the task, once until the next poll looks. Why no
//! wake-up is lost: marking and looking are read-modify-writes of one flag, with acquire and
//! release. A look that follows a mark sees what came before it; a mark that follows the look wakes
//! the task again. A mark that finds the flag set leaves the waking to whoever set it, since the
//! next look follows both.
//!
//! The shared waker holds the task's weakly: what outlives the run keeps no task alive, and wakes
//! none.

use std::sync::{Arc, Weak};
use std::task::{Wake, Waker};

use crate::primitive::{AtomicU64, Ordering};

#[cfg(all(test, brolly_loom))]
mod models;

/// The flag of a herd that was woken.
const WOKEN: u64 = 1;

#[derive(Default)]
pub(crate) struct Herd {
    bond: Option<Bond>,
}

/// What ties the herd to its task, made anew when the task comes with another waker.
struct Bond {
    task: Arc<Task>,
    flag: Arc<Flag>,
    waker: Waker,
}

struct Task(Waker);

struct Flag {
    woken: AtomicU64,
    task: Weak<Task>,
}

impl Herd {
    /// Begins a poll of the task, whose waker this is. Returns whether the futures of the herd are
    /// to be polled: they were woken, or know an old waker.
    pub(crate) fn begin_poll(&mut self, waker: &Waker) -> bool {
        match &self.bond {
            Some(bond) if bond.task.0.will_wake(waker) => {
                // Acquire pairs with the release of `wake_by_ref`.
                bond.flag.woken.swap(0, Ordering::AcqRel) == WOKEN
            }
            _ => {
                self.bond = Some(Bond::new(waker.clone()));
                true
            }
        }
    }

    /// The shared waker; one that wakes nobody before the first poll.
    pub(crate) fn waker(&self) -> &Waker {
        self.bond.as_ref().map_or(Waker::noop(), |bond| &bond.waker)
    }
}

impl Bond {
    #[cold]
    fn new(waker: Waker) -> Self {
        let task = Arc::new(Task(waker));
        let flag = Arc::new(Flag {
            woken: AtomicU64::new(0),
            task: Arc::downgrade(&task),
        });
        Self {
            task,
            waker: Waker::from(Arc::clone(&flag)),
            flag,
        }
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Release: what the caller wrote is seen by the poll that takes the mark.
        if self.woken.swap(WOKEN, Ordering::AcqRel) == WOKEN {
            return;
        }
        if let Some(task) = self.task.upgrade() {
            task.0.wake_by_ref();
        }
    }
}
