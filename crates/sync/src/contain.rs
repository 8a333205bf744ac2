//! Foreign code at arm's length: panics of futures, wakers and destructors become values.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

/// Runs foreign code; a panic comes back as its message.
///
/// What the code leaves half changed stays the caller's concern, as with `AssertUnwindSafe`.
pub(crate) fn contain<R>(code: impl FnOnce() -> R) -> Result<R, Box<str>> {
    catch_unwind(AssertUnwindSafe(code)).map_err(message)
}

/// Wakes a task; if its waker panics, nobody but that task is concerned.
pub(crate) fn wake(waker: Waker) {
    let _ = contain(|| waker.wake());
}

/// Drops a foreign value; if its destructor panics, that ends here.
pub(crate) fn discard<T>(value: T) {
    let _ = contain(|| drop(value));
}

fn message(payload: Box<dyn Any + Send>) -> Box<str> {
    let payload = match payload.downcast::<&'static str>() {
        Ok(text) => return Box::from(*text),
        Err(payload) => payload,
    };
    match payload.downcast::<String>() {
        Ok(text) => text.into_boxed_str(),
        Err(payload) => {
            // A payload of a foreign type may panic when it is dropped, and so may what that panic
            // carries; the second one is leaked rather than dropped.
            if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
                std::mem::forget(second);
            }
            Box::from("a panic without a message")
        }
    }
}
