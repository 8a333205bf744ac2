//! Foreign code at arm's length: panics of stores, hooks and destructors become values.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::panic::{Panic, Payload};

/// Calls foreign code; a panic comes back as its message.
pub(super) fn contain<R>(code: impl FnOnce() -> R) -> Result<R, Arc<str>> {
    catch_unwind(AssertUnwindSafe(code)).map_err(message)
}

fn message(payload: Payload) -> Arc<str> {
    Arc::from(Panic::new(0, payload).message())
}

pin_project! {
    /// A future whose panic is its result.
    pub(super) struct Contained<Fut> {
        #[pin]
        future: Fut,
    }
}

impl<Fut> Contained<Fut> {
    pub(super) fn new(future: Fut) -> Self {
        Self { future }
    }
}

impl<Fut: Future> Future for Contained<Fut> {
    type Output = Result<Fut::Output, Arc<str>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let future = self.project().future;
        match contain(|| future.poll(cx)) {
            Ok(polled) => polled.map(Ok),
            Err(message) => Poll::Ready(Err(message)),
        }
    }
}
