//! Foreign code at arm's length: its panics become messages.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Waker;

use crate::panic::Panic;

/// Runs foreign code; a panic comes back as its message. What the code leaves half changed stays
/// the caller's concern.
pub(super) fn contain<R>(code: impl FnOnce() -> R) -> Result<R, Arc<str>> {
    catch_unwind(AssertUnwindSafe(code))
        .map_err(|payload| Arc::from(Panic::new(0, payload).message()))
}

/// Wakes a task; if its waker panics, nobody but that task is concerned.
pub(super) fn wake(waker: Waker) {
    let _ = contain(|| waker.wake());
}

/// Drops a foreign value; if its destructor panics, that ends here.
pub(super) fn discard<T>(value: T) {
    let _ = contain(|| drop(value));
}
