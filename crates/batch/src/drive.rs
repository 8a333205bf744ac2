//! [`Drive`]: the asynchronous engine, which runs a bounded number of futures within one task.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::slots::Slots;
use crate::work::Work;

/// How many items one poll starts before it lets the runtime's other tasks have a turn.
const STARTS_PER_POLL: usize = 256;

/// Runs some [`Work`] to its end, at most `limit` items at a time, and returns it.
pub(crate) struct Drive<W, F, Fut> {
    work: Option<W>,
    begin: F,
    slots: Slots<Fut>,
}

impl<W: Work, F, Fut> Drive<W, F, Fut> {
    pub(crate) fn new(work: W, limit: usize, begin: F) -> Self {
        let limit = limit.min(work.most_in_flight()).max(1);
        Self {
            work: Some(work),
            begin,
            slots: Slots::new(limit),
        }
    }

    pub(crate) fn work(&self) -> Option<&W> {
        self.work.as_ref()
    }
}

/// Nothing but the futures is ever pinned, and those are boxed.
impl<W, F, Fut> Unpin for Drive<W, F, Fut> {}

impl<W, F, Fut, R, E> Future for Drive<W, F, Fut>
where
    W: Work<Output = R, Error = E>,
    F: FnMut(W::Item) -> Fut,
    Fut: Future<Output = Result<R, E>>,
{
    type Output = W;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<W> {
        let Self { work, begin, slots } = &mut *self;
        let running = work.as_mut().expect("polled after completion");

        slots.poll_woken(running);
        let more = slots.start(running, begin, STARTS_PER_POLL);
        if !more && slots.is_empty() {
            return Poll::Ready(work.take().expect("present until this line"));
        }
        slots.end_poll(cx.waker(), more);
        Poll::Pending
    }
}
