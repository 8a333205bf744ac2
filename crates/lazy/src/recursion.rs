//! [`Running`]: which loaders run on this thread, so that one that asks for its own value is told.

use std::cell::RefCell;
use std::marker::PhantomData;

// Of what loaders run on this thread, the outermost first.
#[cfg(not(brolly_loom))]
std::thread_local! {
    static RUNNING: RefCell<Vec<Address>> = const { RefCell::new(Vec::new()) };
}
#[cfg(brolly_loom)]
loom::thread_local! {
    static RUNNING: RefCell<Vec<Address>> = RefCell::new(Vec::new());
}

/// What a loader belongs to: an address that is taken for as long as the loader runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Address(usize);

impl Address {
    pub(crate) fn of<V>(what: *const V) -> Self {
        Self(what.addr())
    }
}

/// While it lives, a loader runs on this thread.
pub(crate) struct Running {
    /// Stays on its thread.
    _local: PhantomData<*const ()>,
}

impl Running {
    pub(crate) fn of(what: Address) -> Self {
        // In a thread that is about to end there may be no list any more; nothing is noticed then.
        let _ = RUNNING.try_with(|running| running.borrow_mut().push(what));
        Self {
            _local: PhantomData,
        }
    }

    /// Whether the caller is inside of a loader of this.
    pub(crate) fn is(what: Address) -> bool {
        let inside = RUNNING.try_with(|running| running.borrow().contains(&what));
        inside.unwrap_or(false)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = RUNNING.try_with(|running| running.borrow_mut().pop());
    }
}
