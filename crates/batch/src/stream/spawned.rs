//! [`SpawnedStream`]: a stream of results whose work goes on in a task of its own.

use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use brolly_sync::Spawn;

use super::flow::Ended;
use super::handoff::{End, Handoff, Room};
use super::{MapStream, Source};
use crate::cancel::Stopped;
use crate::error::ItemError;

/// How often the task goes on with the work before it lets the runtime's other tasks have a turn.
const ROUNDS_PER_POLL: usize = 16;

/// The results of a [`MapStream`] whose work goes on in a task of its own; see
/// [`MapStream::spawned`].
///
/// # Cancel safety
///
/// Dropping the stream ends the task, which drops what runs at its next turn. Dropping the future
/// of [`next`](Self::next) loses nothing.
#[must_use = "dropping it ends the work"]
pub struct SpawnedStream<R, E> {
    results: Arc<Handoff<Ended<R, E>>>,
}

impl<R, E> SpawnedStream<R, E> {
    /// The next result with the position of its item, or `None` after the last.
    ///
    /// # Panics
    ///
    /// Only if the source of items did, in the task.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing, and the work goes on.
    #[expect(
        clippy::should_implement_trait,
        reason = "the next of a stream, as everywhere, which is not an iterator's"
    )]
    #[must_use = "futures do nothing unless polled"]
    pub fn next(&mut self) -> impl Future<Output = Option<(usize, Result<R, ItemError<E>>)>> {
        poll_fn(|cx| self.poll_result(cx))
    }

    /// Why the run ended early, if it did. A spawner that drops its tasks, as a runtime does that
    /// shuts down, cancels the run.
    pub fn stopped(&self) -> Option<Stopped> {
        self.results.stopped()
    }

    fn poll_result(&mut self, cx: &mut Context<'_>) -> Poll<Option<Ended<R, E>>> {
        let polled = self.results.poll_take(cx);
        if let Poll::Ready(None) = polled
            && let Some(payload) = self.results.take_panic()
        {
            resume_unwind(payload);
        }
        polled
    }
}

impl<R, E> Drop for SpawnedStream<R, E> {
    fn drop(&mut self) {
        self.results.close();
    }
}

#[cfg(feature = "futures-core")]
impl<R, E> futures_core::Stream for SpawnedStream<R, E> {
    type Item = (usize, Result<R, ItemError<E>>);

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_result(cx)
    }
}

impl<R, E> fmt::Debug for SpawnedStream<R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpawnedStream").finish_non_exhaustive()
    }
}

/// Starts the task that drives `stream` and keeps up to `room` results ready.
pub(super) fn spawn<S, F, Fut, R, E>(
    stream: MapStream<S, F, Fut, R, E>,
    room: usize,
    spawner: &dyn Spawn,
) -> SpawnedStream<R, E>
where
    S: Source + Send + 'static,
    S::Item: Send,
    F: FnMut(S::Item) -> Fut + Send + 'static,
    Fut: Future<Output = Result<R, E>> + Send + 'static,
    R: Send + 'static,
    E: Send + 'static,
{
    let results = Arc::new(Handoff::new(room));
    spawner.spawn(Box::pin(Driver {
        stream,
        results: Arc::clone(&results),
    }));
    SpawnedStream { results }
}

/// The task.
struct Driver<S: Source, F, Fut, R, E> {
    stream: MapStream<S, F, Fut, R, E>,
    results: Arc<Handoff<Ended<R, E>>>,
}

impl<S, F, Fut, R, E> Future for Driver<S, F, Fut, R, E>
where
    S: Source,
    F: FnMut(S::Item) -> Fut,
    Fut: Future<Output = Result<R, E>>,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match catch_unwind(AssertUnwindSafe(|| self.go_on(cx))) {
            Ok(polled) => polled,
            Err(payload) => {
                self.results.end(End::Panicked(payload));
                Poll::Ready(())
            }
        }
    }
}

impl<S, F, Fut, R, E> Driver<S, F, Fut, R, E>
where
    S: Source,
    F: FnMut(S::Item) -> Fut,
    Fut: Future<Output = Result<R, E>>,
{
    fn go_on(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        'rounds: for _ in 0..ROUNDS_PER_POLL {
            let again = self.stream.poll_work(cx);
            let mut gave = false;
            loop {
                match self.results.poll_room(cx) {
                    Room::Closed => return Poll::Ready(()),
                    Room::None if gave => continue 'rounds,
                    Room::None => return Poll::Pending,
                    Room::Free => {}
                }
                let Some(result) = self.stream.take() else {
                    break;
                };
                self.results.give(result);
                gave = true;
            }
            if self.stream.ended.is_some() {
                self.results.end(End::Over(self.stream.stopped()));
                return Poll::Ready(());
            }
            if !gave && !again {
                return Poll::Pending;
            }
            // What was given has made room for more to start.
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<S: Source, F, Fut, R, E> Drop for Driver<S, F, Fut, R, E> {
    fn drop(&mut self) {
        // Says nothing to a stream that has ended; to others the task was dropped by its runtime.
        self.results.end(End::Over(Some(Stopped::Cancelled)));
    }
}
