//! [`Running`]: which loaders run on this thread, so that one that asks for its own value is told.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

// Of what loaders run on this thread, the outermost first.
#[cfg(not(brolly_loom))]
std::thread_local! {
    static RUNNING: RefCell<Vec<Identity>> = const { RefCell::new(Vec::new()) };
}
#[cfg(brolly_loom)]
loom::thread_local! {
    static RUNNING: RefCell<Vec<Identity>> = RefCell::new(Vec::new());
}

/// What a loader belongs to, by a number that nothing else ever has.
///
/// An address would not do: a blocking loader runs on when its value is gone, and what it then asks for
/// may lie in the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity(u64);

impl Identity {
    pub(crate) fn new() -> Self {
        // Orders nothing: a plain atomic, under loom too.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Relaxed))
    }
}

/// While it lives, a loader runs on this thread.
pub(crate) struct Running {
    /// Stays on its thread.
    _local: PhantomData<*const ()>,
}

impl Running {
    pub(crate) fn of(what: Identity) -> Self {
        // In a thread that is about to end there may be no list any more; nothing is noticed then.
        let _ = RUNNING.try_with(|running| running.borrow_mut().push(what));
        Self {
            _local: PhantomData,
        }
    }

    /// Whether the caller is inside of a loader of this.
    pub(crate) fn is(what: Identity) -> bool {
        let inside = RUNNING.try_with(|running| running.borrow().contains(&what));
        inside.unwrap_or(false)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = RUNNING.try_with(|running| running.borrow_mut().pop());
    }
}
