//! [`handed`]: something one gives and one waits for; and arm's length for foreign code.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::primitive::{Mutex, lock};

/// Where something is handed over. One gives, one waits: a flight.
struct Handed<T>(Mutex<State<T>>);

enum State<T> {
    Awaited(Option<Waker>),
    /// `None` if the giver has gone without giving.
    Given(Option<T>),
}

/// Owes a value. Dropped, it gives none, so that nobody waits for ever.
pub(crate) struct Giver<T>(Arc<Handed<T>>);

/// The future of what a giver gives.
pub(crate) struct Arrival<T>(Arc<Handed<T>>);

/// A giver, and the future of what it gives.
pub(crate) fn handed<T>() -> (Giver<T>, Arrival<T>) {
    let handed = Arc::new(Handed(Mutex::new(State::Awaited(None))));
    (Giver(Arc::clone(&handed)), Arrival(handed))
}

impl<T> Handed<T> {
    fn give(&self, value: Option<T>) {
        let mut state = lock(&self.0);
        if let State::Awaited(waker) = &mut *state {
            let waker = waker.take();
            *state = State::Given(value);
            drop(state);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

impl<T> Future for Arrival<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let fresh = cx.waker().clone();
        let mut state = lock(&self.0.0);
        match &mut *state {
            State::Awaited(waker) => {
                let stale = waker.replace(fresh);
                drop(state);
                drop(stale);
                Poll::Pending
            }
            State::Given(value) => Poll::Ready(value.take()),
        }
    }
}

impl<T> Giver<T> {
    pub(crate) fn give(self, value: T) {
        self.0.give(Some(value));
    }
}

impl<T> Drop for Giver<T> {
    fn drop(&mut self) {
        self.0.give(None);
    }
}

/// Runs a loader; a panic comes back as its message.
pub(crate) fn contain<R>(code: impl FnOnce() -> R) -> Result<R, Arc<str>> {
    catch_unwind(AssertUnwindSafe(code)).map_err(message)
}

fn message(payload: Box<dyn Any + Send>) -> Arc<str> {
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        return Arc::from(*text);
    }
    if let Some(text) = payload.downcast_ref::<String>() {
        return Arc::from(text.as_str());
    }
    // A payload of a foreign type may panic when it is dropped, and so may what that panic
    // carries; the second one is leaked rather than dropped.
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(second);
    }
    Arc::from("a panic without a message")
}
