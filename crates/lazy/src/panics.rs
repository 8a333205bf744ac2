//! Foreign code at arm's length: what a loader or a destructor panics with becomes a value.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use crate::primitive::{Mutex, lock};

/// What somebody panicked with.
pub(crate) type Payload = Box<dyn Any + Send>;

/// Runs foreign code. What it leaves half changed is its own concern.
pub(crate) fn catch<R>(code: impl FnOnce() -> R) -> Result<R, Payload> {
    catch_unwind(AssertUnwindSafe(code))
}

/// Drops a foreign value; if its destructor panics, that ends here.
pub(crate) fn discard<V>(value: V) {
    if let Err(payload) = catch(|| drop(value))
        && let Err(second) = catch(|| drop(payload))
    {
        // What the payload of a destructor panics with is leaked rather than dropped.
        std::mem::forget(second);
    }
}

/// The text of a panic, if it has one.
pub(crate) fn message(payload: &Payload) -> Arc<str> {
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        return Arc::from(*text);
    }
    match payload.downcast_ref::<String>() {
        Some(text) => Arc::from(text.as_str()),
        None => Arc::from("a panic without a message"),
    }
}

/// Where the panic of a load waits for the caller who began it.
#[derive(Default)]
pub(crate) struct Fallout(Mutex<Option<Payload>>);

impl Fallout {
    pub(crate) fn keep(&self, payload: Payload) {
        let before = lock(&self.0).replace(payload);
        discard(before);
    }

    /// Goes on unwinding where the load could not, if it panicked.
    pub(crate) fn resume(&self) {
        let payload = lock(&self.0).take();
        if let Some(payload) = payload {
            resume_unwind(payload);
        }
    }
}

impl Drop for Fallout {
    fn drop(&mut self) {
        let payload = lock(&self.0).take();
        discard(payload);
    }
}
