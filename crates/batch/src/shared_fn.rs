//! [`SharedFn`]: one function for several futures that call it by turns.

use crate::primitive::{Mutex, lock};

/// A function that changes its state when called, shared by futures that one task polls, so that no
/// two of them call it at once. The lock is not held during a call.
pub(crate) struct SharedFn<F> {
    /// None during a call.
    f: Mutex<Option<F>>,
}

impl<F> SharedFn<F> {
    pub(crate) fn new(f: F) -> Self {
        Self {
            f: Mutex::new(Some(f)),
        }
    }

    /// Calls it through `call`. It survives a panic, as a closure in a loop would.
    pub(crate) fn call<O>(&self, call: impl FnOnce(&mut F) -> O) -> O {
        let f = lock(&self.f).take();
        let mut borrowed = Borrowed { shared: self, f };
        let f = borrowed.f.as_mut();
        call(f.expect("the futures that share it are polled one at a time"))
    }

    pub(crate) fn into_inner(self) -> Option<F> {
        lock(&self.f).take()
    }
}

struct Borrowed<'a, F> {
    shared: &'a SharedFn<F>,
    f: Option<F>,
}

impl<F> Drop for Borrowed<'_, F> {
    fn drop(&mut self) {
        *lock(&self.shared.f) = self.f.take();
    }
}
