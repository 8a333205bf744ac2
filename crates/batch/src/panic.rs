//! [`Panic`]: what is kept of a caught panic, and the catching itself.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;
use std::{fmt, mem};

/// The payload of a caught panic.
pub(crate) type Payload = Box<dyn Any + Send>;

/// A panic of one item: which one, and the panic's message.
///
/// One pointer wide, so that results stay small.
#[derive(Clone, PartialEq, Eq)]
pub struct Panic(Option<Box<Details>>);

#[derive(Clone, PartialEq, Eq)]
struct Details {
    index: usize,
    message: String,
}

impl Panic {
    /// The position of the item among the inputs, or the index of the node in its graph.
    #[must_use]
    pub fn index(&self) -> usize {
        self.0.as_ref().map_or(0, |details| details.index)
    }

    /// The panic's message; a fixed text if its payload was not a string.
    #[must_use]
    pub fn message(&self) -> &str {
        self.0.as_ref().map_or("", |details| &details.message)
    }

    /// Stands in for a result that is not there yet. Costs nothing; never handed out.
    pub(crate) const fn placeholder() -> Self {
        Self(None)
    }

    #[cold]
    pub(crate) fn new(index: usize, payload: Payload) -> Self {
        let message = if let Some(text) = payload.downcast_ref::<&'static str>() {
            (*text).to_owned()
        } else if let Some(text) = payload.downcast_ref::<String>() {
            text.clone()
        } else {
            "the panic's payload is not a string".to_owned()
        };
        // A payload is a value of the caller's and may panic once more when it is dropped.
        if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            mem::forget(another);
        }
        Self(Some(Box::new(Details { index, message })))
    }
}

impl std::error::Error for Panic {}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "item {} panicked: {}", self.index(), self.message())
    }
}

impl fmt::Debug for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Panic")
            .field("index", &self.index())
            .field("message", &self.message())
            .finish()
    }
}

/// Wakes a task; if its waker panics, nobody but that task is concerned.
pub(crate) fn wake(waker: Waker) {
    contained(|| waker.wake());
}

/// Drops a foreign value, or runs other foreign code nobody asks about; a panic of it ends here.
pub(crate) fn contained(code: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(code)) {
        // What a panic carries may panic when it is dropped.
        mem::forget(payload);
    }
}
