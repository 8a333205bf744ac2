//! [`Drive`]: the asynchronous engine, which runs a bounded number of futures within one task.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::error::ItemError;
use crate::panic::Panic;
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

impl<W, F, Fut, R, E> Drive<W, F, Fut>
where
    W: Work<Output = R, Error = E>,
    F: FnMut(W::Item) -> Fut,
    Fut: Future<Output = Result<R, E>>,
{
    pub(crate) fn new(work: W, limit: usize, begin: F) -> Self {
        let limit = limit.min(work.most_in_flight()).max(1);
        Self {
            work: Some(work),
            begin,
            slots: Slots::new(limit),
        }
    }
}

impl<W, F, Fut> Drive<W, F, Fut> {
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

        slots.poll_woken(cx.waker(), |tag, result| {
            running.finish(tag, item_result(tag, result));
        });

        let mut starts = STARTS_PER_POLL;
        while slots.has_room() {
            if starts == 0 {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let Some((tag, item)) = running.next() else {
                break;
            };
            if let Some(result) = slots.start(tag, || begin(item)) {
                running.finish(tag, item_result(tag, result));
            }
            starts -= 1;
        }

        if slots.is_empty() {
            Poll::Ready(work.take().expect("present until this line"))
        } else {
            Poll::Pending
        }
    }
}

fn item_result<R, E>(
    tag: usize,
    result: Result<Result<R, E>, crate::panic::Payload>,
) -> Result<R, ItemError<E>> {
    match result {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(ItemError::Failed(error)),
        Err(payload) => Err(ItemError::Panicked(Panic::new(tag, payload))),
    }
}
