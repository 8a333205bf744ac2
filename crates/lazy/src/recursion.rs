//! [`Running`]: which loaders run on this thread, so that one that asks for its own value is told.

use std::any::Any;
use std::cell::RefCell;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::panics::discard;

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
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    number: u64,
    /// The key in a map, where a value may make room for others while its loader runs: who asks for
    /// that key from inside of the loader is given a value of the same identity.
    key: Option<Arc<dyn Any + Send + Sync>>,
}

impl Identity {
    pub(crate) fn new() -> Self {
        Self::with(None)
    }

    pub(crate) fn of_key(key: Arc<dyn Any + Send + Sync>) -> Self {
        Self::with(Some(key))
    }

    fn with(key: Option<Arc<dyn Any + Send + Sync>>) -> Self {
        // Orders nothing: a plain atomic, under loom too.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            number: NEXT.fetch_add(1, Relaxed),
            key,
        }
    }

    /// That of a loader that runs on this thread for such a key.
    pub(crate) fn running<K: 'static>(is_it: impl Fn(&K) -> bool) -> Option<Self> {
        let all = RUNNING.try_with(|running| {
            let running = running.borrow();
            let keyed = running.iter().filter(|it| it.key.is_some());
            keyed.cloned().collect::<Vec<_>>()
        });
        // Comparing keys is foreign: the list is free again.
        let mut all = all.unwrap_or_default().into_iter();
        all.find(|it| {
            it.key
                .as_ref()
                .and_then(|it| it.downcast_ref())
                .is_some_and(&is_it)
        })
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
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
    pub(crate) fn is(what: &Identity) -> bool {
        let inside = RUNNING.try_with(|running| running.borrow().contains(what));
        inside.unwrap_or(false)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A key may go with it, whose destructor is foreign.
        let gone = RUNNING.try_with(|running| running.borrow_mut().pop());
        discard(gone);
    }
}
