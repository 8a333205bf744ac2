//! What loads know of the thread they run on.

use std::cell::RefCell;
use std::marker::PhantomData;

/// Tells running threads apart; never zero. The value of a thread that has ended may be used again.
pub(crate) fn this_thread() -> usize {
    // The address of a thread-local byte.
    std::thread_local! {
        static HERE: u8 = const { 0 };
    }
    HERE.with(|here| std::ptr::from_ref(here).addr())
}

std::thread_local! {
    /// The caches of which a loader runs on this thread, the outermost first.
    static RUNNING: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// While it lives, a loader runs on this thread, in a cache that counts them.
pub(crate) struct Running {
    /// Stays on its thread.
    _local: PhantomData<*const ()>,
}

impl Running {
    /// `cache` is any number that no other living cache has.
    pub(crate) fn of(cache: usize) -> Self {
        // In a thread that is about to end there may be no list any more; nothing is covered then.
        let _ = RUNNING.try_with(|running| running.borrow_mut().push(cache));
        Self {
            _local: PhantomData,
        }
    }

    pub(crate) fn is(cache: usize) -> bool {
        let running = RUNNING.try_with(|running| running.borrow().contains(&cache));
        running.unwrap_or(false)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = RUNNING.try_with(|running| running.borrow_mut().pop());
    }
}
