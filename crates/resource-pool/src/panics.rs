//! Foreign code at arm's length: what a manager, a hook or a destructor panics with becomes a value.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Poll, Waker};

/// Runs foreign code; a panic comes back as its message. What the code leaves half changed is its
/// own concern.
#[inline]
pub(crate) fn contain<R>(code: impl FnOnce() -> R) -> Result<R, Arc<str>> {
    catch_unwind(AssertUnwindSafe(code)).map_err(message)
}

/// The same for a future, at each of its polls.
pub(crate) async fn contained<F: Future>(future: F) -> Result<F::Output, Arc<str>> {
    let mut future = pin!(future);
    poll_fn(|cx| match contain(|| future.as_mut().poll(cx)) {
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Ok(Poll::Pending) => Poll::Pending,
        Err(message) => Poll::Ready(Err(message)),
    })
    .await
}

/// Drops a foreign value; if its destructor panics, that ends here.
pub(crate) fn discard<V>(value: V) {
    let _ = contain(|| drop(value));
}

/// Wakes a task; if its waker panics, nobody but that task is concerned.
pub(crate) fn wake(waker: Waker) {
    let _ = contain(|| waker.wake());
}

fn message(payload: Box<dyn Any + Send>) -> Arc<str> {
    let text = if let Some(text) = payload.downcast_ref::<&'static str>() {
        Some(Arc::from(*text))
    } else {
        payload
            .downcast_ref::<String>()
            .map(|text| Arc::from(&**text))
    };
    // A payload of a foreign type may panic when it is dropped; what that panic carries is leaked.
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(second);
    }
    text.unwrap_or_else(|| Arc::from("a panic without a message"))
}
