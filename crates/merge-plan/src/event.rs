//! Progress as it happens: the events, who hears them, and the wall between the two.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::outcome::{GateStatus, ItemStatus, MergeStatus};

/// Something that just happened. Names are those of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// An item got its working copy and begins.
    #[non_exhaustive]
    ItemStarted {
        /// The item.
        item: &'a str,
        /// The number of the slot it works in.
        slot: u32,
        /// True if the slot was at the commit already.
        warm: bool,
    },
    /// A gate begins its first attempt.
    #[non_exhaustive]
    GateStarted {
        /// The item.
        item: &'a str,
        /// The gate.
        gate: &'a str,
    },
    /// An attempt failed and another one follows.
    #[non_exhaustive]
    GateRetried {
        /// The item.
        item: &'a str,
        /// The gate.
        gate: &'a str,
        /// The attempt that follows, counted from 1.
        attempt: u32,
    },
    /// A gate has its final status.
    #[non_exhaustive]
    GateFinished {
        /// The item.
        item: &'a str,
        /// The gate.
        gate: &'a str,
        /// How it ended.
        status: GateStatus,
    },
    /// An item has its final status, whether it ran or not.
    #[non_exhaustive]
    ItemFinished {
        /// The item.
        item: &'a str,
        /// How it ended.
        status: ItemStatus,
    },
    /// An item's merge was tried, or ruled out.
    #[non_exhaustive]
    MergeFinished {
        /// The item.
        item: &'a str,
        /// How it ended.
        status: MergeStatus,
    },
    /// The integration branch was pushed.
    #[non_exhaustive]
    Pushed {
        /// The new branch.
        branch: &'a str,
        /// Its commit.
        commit: &'a str,
    },
}

/// Calls the listener, if there is one; never while a lock is held.
#[derive(Clone, Default)]
pub(crate) struct Listener(Option<Arc<Hears>>);

type Hears = dyn Fn(&Event<'_>) + Send + Sync;

impl Listener {
    pub(crate) fn new(listener: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(listener)))
    }

    /// Tells the listener. Its panic ends here: the work it watches is none of its business.
    pub(crate) fn tell(&self, event: Event<'_>) {
        let Some(listener) = &self.0 else { return };
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| listener(&event))) {
            // Dropping the payload could run the listener's code once more, and panic once more.
            std::mem::forget(payload);
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "Listener(set)"
        } else {
            "Listener(none)"
        })
    }
}
