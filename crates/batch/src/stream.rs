//! [`MapStream`]: the results of a bounded map one by one, while it runs.

mod flow;
mod handoff;
mod source;
mod spawned;

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use brolly_sync::Spawn;

use crate::cancel::Stopped;
use crate::error::ItemError;
use crate::map::MapWork;
use crate::planned::{Plan, Planned};
use crate::processor::Settings;
use flow::{Ended, Flow};
#[cfg(feature = "futures-core")]
pub use source::FromStream;
pub use source::{FromIter, Source};
pub use spawned::SpawnedStream;

/// How many items of an input stream one poll fetches.
const FETCHED_PER_POLL: usize = 256;

/// The results of a bounded map, each with the position of its item, while the map runs.
///
/// Made by [`Map::ordered`](crate::Map::ordered), [`Map::as_completed`](crate::Map::as_completed)
/// and `BatchProcessor::map_stream`. [`next`](Self::next) takes results one by one; with the
/// feature `futures-core` it is a `Stream` as well. Input may be endless.
///
/// ```
/// use brolly_batch::BatchProcessor;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let processor = BatchProcessor::builder().max_concurrent(4).build()?;
/// let mut squares = processor
///     .map(0_u64.., |n| async move { Ok::<_, std::io::Error>(n.saturating_mul(n)) })
///     .ordered();
/// while let Some((index, square)) = squares.next().await {
///     if square? > 50 {
///         assert_eq!(index, 8);
///         break; // dropping the stream drops what runs
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// # What is kept
///
/// Items are alive from their start until their result is taken. At most
/// [`max_concurrent`](crate::BatchProcessorBuilder::max_concurrent) of them are in flight, and at
/// most that and [`buffer`](Self::buffer) are alive, in both orders: when results are not taken, or
/// wait behind one that is slow, no more items start until there is room again.
///
/// # Who drives it
///
/// Nothing is spawned: futures run, and items start, only while the consumer polls the stream. Where
/// the consumer does something slow between two results, the work stands still meanwhile, and
/// timeouts within it run out. [`spawned`](Self::spawned) lets it go on by itself.
///
/// # How it ends
///
/// After the last result. When the run was cancelled or its deadline has passed, items in flight
/// that were dropped are reported as such; those that never started are not, since there may be no
/// end of them, and [`stopped`](Self::stopped) says why the stream has ended.
///
/// # Cancel safety
///
/// Dropping the stream drops the futures that run, the results not taken and the items not started.
/// Dropping the future of `next` loses nothing.
#[must_use = "nothing runs unless results are asked for"]
pub struct MapStream<S: Source, F, Fut, R, E> {
    run: Planned<Flow<S, R, E>, F, Fut>,
    limit: usize,
    /// The work of a run that has ended, with results that were not taken yet.
    ended: Option<Flow<S, R, E>>,
}

impl<S, F, Fut, R, E> MapStream<S, F, Fut, R, E>
where
    S: Source,
    F: FnMut(S::Item) -> Fut,
    Fut: Future<Output = Result<R, E>>,
{
    /// Results leave in the order of the items. One slow item holds back those after it, and in
    /// the end, by the bound on live items, the run.
    ///
    /// # Panics
    ///
    /// When the stream was polled already; so do the other settings.
    pub fn ordered(self) -> Self {
        self.with(|flow| flow.set_ordered(true))
    }

    /// Results leave as they come.
    pub fn as_completed(self) -> Self {
        self.with(|flow| flow.set_ordered(false))
    }

    /// How many results may wait to be taken while as many items as ever are in flight; as many as
    /// `max_concurrent` unless set. With 0, an item starts only when a result was taken.
    pub fn buffer(self, results: usize) -> Self {
        let live_at_most = self.limit.saturating_add(results);
        self.with(|flow| flow.set_live_at_most(live_at_most))
    }

    /// The next result with the position of its item, or `None` after the last.
    ///
    /// # Panics
    ///
    /// Only if the source of items does.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing. While nobody asks for results, the work stands still.
    #[expect(
        clippy::should_implement_trait,
        reason = "the next of a stream, as everywhere, which is not an iterator's"
    )]
    #[must_use = "futures do nothing unless polled"]
    pub fn next(&mut self) -> impl Future<Output = Option<(usize, Result<R, ItemError<E>>)>> {
        poll_fn(|cx| self.poll_result(cx))
    }

    /// Why the run ended early, if it did.
    pub fn stopped(&self) -> Option<Stopped> {
        self.flow().and_then(Flow::stopped)
    }

    /// Lets the work go on by itself, as a task of `spawner`, whatever the consumer does.
    ///
    /// The bound on live items stays what it was, except that a [`buffer`](Self::buffer) of 0 counts
    /// as 1: the task fills the buffer and then waits for room. Dropping the stream that is returned
    /// ends the task and drops what runs.
    ///
    /// On a runtime with several threads the futures still run within one task, beside the consumer
    /// and not beside each other. The task is no part of the item it may be started from: with a
    /// limiter that the item runs on a permit of, it waits for permits of its own.
    pub fn spawned(self, spawner: &dyn Spawn) -> SpawnedStream<R, E>
    where
        S: Send + 'static,
        S::Item: Send,
        F: Send + 'static,
        Fut: Send + 'static,
        R: Send + 'static,
        E: Send + 'static,
    {
        let room = self
            .flow()
            .map_or(1, |flow| flow.live_at_most().saturating_sub(self.limit));
        spawned::spawn(self.buffer(0), room.max(1), spawner)
    }

    fn poll_result(&mut self, cx: &mut Context<'_>) -> Poll<Option<Ended<R, E>>> {
        let again = !self.has_plenty() && self.poll_work(cx);
        match self.take() {
            Some(result) => Poll::Ready(Some(result)),
            None if self.ended.is_some() => Poll::Ready(None),
            None => {
                if again {
                    cx.waker().wake_by_ref();
                }
                Poll::Pending
            }
        }
    }

    /// Goes on with the work, and has the task woken when there is more to do. Returns whether there
    /// is at once: items could start that were not fetched.
    fn poll_work(&mut self, cx: &mut Context<'_>) -> bool {
        if self.ended.is_some() {
            return false;
        }
        let in_flight = self.run.in_flight();
        let flow = self.run.work_mut().expect("the run has not ended");
        let may_have_more = flow.fetch(in_flight, self.limit, FETCHED_PER_POLL, cx);
        if let Poll::Ready(flow) = Pin::new(&mut self.run).poll(cx) {
            self.ended.insert(flow).close();
            return false;
        }
        let in_flight = self.run.in_flight(); // some may have ended in this poll
        let mut flow = self.run.work().into_iter();
        may_have_more && flow.any(|flow| flow.is_starved(in_flight, self.limit))
    }
}

impl<S: Source, F, Fut, R, E> MapStream<S, F, Fut, R, E> {
    pub(crate) fn new(settings: Settings, source: S, f: F) -> Self {
        let limit = settings.max_concurrent;
        let flow = Flow::new(source, limit.saturating_mul(2));
        Self {
            run: Planned::new(settings, flow, f),
            limit,
            ended: None,
        }
    }

    fn flow(&self) -> Option<&Flow<S, R, E>> {
        self.ended.as_ref().or_else(|| self.run.work())
    }

    /// Whether nothing runs, and most of what may live is results to be taken. To go on with the work
    /// would then cost each of them a look at everything, for one item that starts.
    fn has_plenty(&self) -> bool {
        self.run.in_flight() == 0 && self.run.work().is_some_and(Flow::has_plenty)
    }

    /// The next result that may leave, without any work.
    fn take(&mut self) -> Option<Ended<R, E>> {
        let flow = match &mut self.ended {
            Some(flow) => Some(flow),
            None => self.run.work_mut(),
        };
        flow.and_then(Flow::take)
    }

    fn with(self, change: impl FnOnce(&mut Flow<S, R, E>)) -> Self {
        let limit = self.limit;
        let Plan {
            settings,
            mut work,
            begin,
        } = self.run.into_plan();
        change(&mut work);
        Self {
            run: Planned::new(settings, work, begin),
            limit,
            ended: None,
        }
    }
}

impl<I: Iterator, F, Fut, R, E> MapStream<FromIter<I>, F, Fut, R, E> {
    pub(crate) fn from_map(plan: Plan<MapWork<I, R, E>, F>) -> Self {
        let (items, at_most) = plan.work.into_items();
        Self::new(plan.settings, FromIter::new(items, at_most), plan.begin)
    }
}

#[cfg(feature = "futures-core")]
impl<S, F, Fut, R, E> futures_core::Stream for MapStream<S, F, Fut, R, E>
where
    S: Source,
    F: FnMut(S::Item) -> Fut,
    Fut: Future<Output = Result<R, E>>,
{
    type Item = (usize, Result<R, ItemError<E>>);

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_result(cx)
    }
}

/// Only futures and input streams are ever pinned, and those are boxed.
impl<S: Source, F, Fut, R, E> Unpin for MapStream<S, F, Fut, R, E> {}

impl<S: Source, F, Fut, R, E> fmt::Debug for MapStream<S, F, Fut, R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapStream")
            .field("live", &self.flow().map(Flow::live))
            .finish_non_exhaustive()
    }
}
