//! [`Map`]: a bounded, ordered map over an iterator, as [`Work`] and as a future.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::cancel::Stopped;
use crate::error::ItemError;
use crate::modes::{CollectErrors, FailFast};
use crate::panic::Panic;
use crate::planned::{Plan, Planned};
use crate::processor::Settings;
use crate::progress::{BatchDone, Counted, Numbered, Watch, Watched, counting};
use crate::retry::{Attempts, RetryPolicy, trying};
use crate::stream::{FromIter, MapStream};
use crate::work::Work;

/// Bytes of results reserved ahead on the word of an iterator's size hint, which may be wrong.
const MAX_RESERVED_BYTES: usize = 1 << 20;

/// How many items that will never start are marked at a time, so that a poll stays short.
const STOPPED_AT_ONCE: usize = 256;

/// The future of [`BatchProcessor::map`](crate::BatchProcessor::map), and what its other forms are
/// made from.
///
/// Awaited as it is, it returns a result for every item, in the order of the items. The methods
/// make it into something else before it starts; they panic if it was polled already.
/// [`retry`](Self::retry) and the methods about progress leave it a map, so they come first, in
/// this order:
///
/// ```
/// use std::time::Duration;
/// use brolly_batch::{BatchProcessor, LinearRetry};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let processor = BatchProcessor::builder().batch_size(2).build()?;
/// let mut seen = Vec::new();
/// let doubled = processor
///     .map(1..=3_u8, |n| async move { Ok::<_, std::io::Error>(2 * n) })
///     .retry(LinearRetry::new(3, Duration::from_millis(10)))
///     .on_progress(|batch| seen.push((batch.index, batch.done)))
///     .fail_fast()
///     .await?;
/// assert_eq!(doubled, [2, 4, 6]);
/// assert_eq!(seen, [(0, 2), (1, 3)]);
/// # Ok(())
/// # }
/// ```
///
/// As with any `async fn`, polling it again after it has returned its results panics.
#[must_use = "futures do nothing unless polled"]
pub struct Map<I: Iterator, F, Fut, R, E> {
    run: Planned<MapWork<I, R, E>, F, Fut>,
}

impl<I: Iterator, F, Fut, R, E> Map<I, F, Fut, R, E> {
    pub(crate) fn new(settings: Settings, items: I, f: F) -> Self {
        Self {
            run: Planned::new(settings, MapWork::new(items), f),
        }
    }
}

impl<I, F, Fut, R, E> Map<I, F, Fut, R, E>
where
    I: Iterator,
    F: FnMut(I::Item) -> Fut,
    Fut: Future<Output = Result<R, E>>,
{
    /// Ends the map at the first item that has no result: the others are dropped, nothing more
    /// starts, and the failure says which item it was. Otherwise returns all results in the order
    /// of the items.
    ///
    /// "First" is first in time. Futures that are woken together are polled together, so some of
    /// them may still run to their end in the poll in which another one fails.
    ///
    /// # Errors
    ///
    /// [`FirstFailure`](crate::FirstFailure): the item, what became of it, and how many had
    /// succeeded. A run that was cancelled, or past its deadline, before all items had ended is a
    /// failure of the first item that it concerns; one that was drained lets what runs end first.
    ///
    /// # Cancel safety
    ///
    /// That of [`BatchProcessor::map`](crate::BatchProcessor::map).
    pub fn fail_fast(self) -> FailFast<I, F, Fut, R, E> {
        FailFast::new(self.run.into_plan())
    }

    /// Sorts the results into those that succeeded and those that did not, with their positions.
    ///
    /// # Cancel safety
    ///
    /// That of [`BatchProcessor::map`](crate::BatchProcessor::map).
    pub fn collect_errors(self) -> CollectErrors<I, F, Fut, R, E> {
        CollectErrors::new(self)
    }

    /// Hands out each result as soon as those of all items before it are out; see [`MapStream`].
    pub fn ordered(self) -> MapStream<FromIter<I>, F, Fut, R, E> {
        MapStream::from_map(self.run.into_plan()).ordered()
    }

    /// Hands out each result as soon as it is there; see [`MapStream`].
    pub fn as_completed(self) -> MapStream<FromIter<I>, F, Fut, R, E> {
        MapStream::from_map(self.run.into_plan())
    }

    /// Tries an item that failed again, for as long as `policy` says so, with a clone of the item
    /// for each attempt.
    ///
    /// An item that waits for its next attempt keeps its place among those in flight: a run whose
    /// items fail slows down, rather than to pull in more. What counts as the item's result is that
    /// of its last attempt. Panics are not tried again.
    ///
    /// The waits are the timer's of the processor. Costs one allocation a run.
    #[expect(
        clippy::type_complexity,
        reason = "it names how the function is wrapped, so that auto traits show"
    )]
    pub fn retry<P>(
        self,
        policy: P,
    ) -> Map<
        I,
        impl FnMut(I::Item) -> Attempts<I::Item, F, Fut, P>,
        Attempts<I::Item, F, Fut, P>,
        R,
        E,
    >
    where
        I::Item: Clone,
        P: RetryPolicy<E>,
    {
        let plan = self.run.into_plan();
        let f = trying(plan.begin, policy, plan.settings.timer());
        Map {
            run: Planned::new(plan.settings, plan.work, f),
        }
    }

    /// Calls `callback` exactly once for each batch of
    /// [`batch_size`](crate::BatchProcessorBuilder::batch_size) consecutive items, when the last of
    /// them has ended, in the order in which the batches end. That the last batch is complete, if it
    /// is shorter, is known once the iterator has ended.
    ///
    /// Batches are a measure of progress here and no barrier: their items overlap. A batch with
    /// items that were dropped or never started is not reported. A panic of the callback is caught
    /// and ignored; it is called again for the next batch.
    ///
    /// [`Progress::channel`](crate::Progress::channel) makes a callback that others can watch.
    ///
    /// Items are counted when they have finally ended, so [`retry`](Self::retry) comes before this:
    ///
    /// ```compile_fail,E0277
    /// # use brolly_batch::{BatchProcessor, LinearRetry};
    /// # let processor = BatchProcessor::builder().build().unwrap();
    /// # let policy = LinearRetry::new(2, std::time::Duration::ZERO);
    /// let map = processor.map(0..9, |n| async move { Ok::<i32, ()>(n) });
    /// let _ = map.on_progress(|_| ()).retry(policy);
    /// ```
    ///
    /// Costs one lock an item.
    #[expect(
        clippy::type_complexity,
        reason = "it names how the function is wrapped, so that auto traits show"
    )]
    pub fn on_progress<C>(
        self,
        callback: C,
    ) -> Map<Watched<I, C>, impl FnMut(Numbered<I::Item>) -> Counted<Fut, C>, Counted<Fut, C>, R, E>
    where
        C: FnMut(BatchDone),
    {
        let Plan {
            settings,
            work,
            begin,
        } = self.run.into_plan();
        let watch = Watch::new(settings.batch_size, work.expected(), callback);
        let work = work.with_items(|items| Watched::new(items, &watch));
        Map {
            run: Planned::new(settings, work, counting(begin, watch)),
        }
    }
}

impl<I, F, Fut, R, E> Future for Map<I, F, Fut, R, E>
where
    I: Iterator,
    F: FnMut(I::Item) -> Fut,
    Fut: Future<Output = Result<R, E>>,
{
    type Output = Vec<Result<R, ItemError<E>>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.run).poll(cx).map(MapWork::into_results)
    }
}

impl<I: Iterator, F, Fut, R, E> fmt::Debug for Map<I, F, Fut, R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let work = self.run.work();
        f.debug_struct("Map")
            .field("started", &work.map(|work| work.started))
            .finish_non_exhaustive()
    }
}

/// Items in order of the iterator; results filed by position.
pub(crate) struct MapWork<I, R, E> {
    items: Option<I>,
    /// How many there will be, as the iterator said before its first item. It is asked only then: a
    /// size hint is code of the caller's, and the engines count on [`next`](Work::next) being the
    /// one place where that runs.
    at_least: usize,
    at_most: usize,
    started: usize,
    /// A gap, left by an item that is overtaken by a later one, holds a placeholder until then.
    results: Vec<Result<R, ItemError<E>>>,
}

impl<I: Iterator, R, E> MapWork<I, R, E> {
    pub(crate) fn new(items: I) -> Self {
        // No result is of size zero, since each can hold a panic.
        let most_reserved = const { MAX_RESERVED_BYTES / size_of::<Result<R, ItemError<E>>>() };
        let (at_least, at_most) = items.size_hint();
        Self {
            items: Some(items),
            at_least,
            at_most: at_most.unwrap_or(usize::MAX),
            started: 0,
            results: Vec::with_capacity(at_least.min(most_reserved)),
        }
    }

    /// Files the result of an item that did not end next in line.
    #[cold]
    fn file(&mut self, tag: usize, result: Result<R, ItemError<E>>) {
        while self.results.len() <= tag {
            self.push(Err(ItemError::Panicked(Panic::placeholder())));
        }
        self.results[tag] = result;
    }

    #[inline]
    fn push(&mut self, result: Result<R, ItemError<E>>) {
        if self.results.len() == self.results.capacity() {
            self.grow();
        }
        self.results.push(result);
    }

    /// Doubles the room for results, or makes it what the size hint said if that is less.
    #[cold]
    fn grow(&mut self) {
        let length = self.results.len();
        let expected = self.at_least.saturating_sub(length);
        self.results.reserve_exact(expected.min(length)); // if 0, the vector grows as it likes
    }

    pub(crate) fn started(&self) -> usize {
        self.started
    }

    /// The items, before the first of them, and how many there are at most.
    pub(crate) fn into_items(self) -> (Option<I>, usize) {
        (self.items, self.at_most)
    }

    /// How many items there are, if the iterator promised that.
    pub(crate) fn expected(&self) -> Option<usize> {
        (self.at_least == self.at_most).then_some(self.at_least)
    }

    /// The same with an iterator around this one, of as many items. Nobody asks for a hint again.
    pub(crate) fn with_items<J>(self, wrap: impl FnOnce(I) -> J) -> MapWork<J, R, E> {
        MapWork {
            items: self.items.map(wrap),
            at_least: self.at_least,
            at_most: self.at_most,
            started: self.started,
            results: self.results,
        }
    }

    pub(crate) fn into_results(self) -> Vec<Result<R, ItemError<E>>> {
        debug_assert_eq!(self.started, self.results.len(), "every item has ended");
        self.results
    }
}

impl<I: Iterator, R, E> Work for MapWork<I, R, E> {
    type Item = I::Item;
    type Output = R;
    type Error = E;

    #[inline]
    fn next(&mut self) -> Option<(usize, I::Item)> {
        let Some(item) = self.items.as_mut()?.next() else {
            self.items = None; // an iterator is never asked again after its end
            return None;
        };
        let tag = self.started;
        self.started += 1;
        Some((tag, item))
    }

    #[inline]
    fn finish(&mut self, tag: usize, result: Result<R, ItemError<E>>) {
        if tag == self.results.len() {
            self.push(result);
        } else {
            self.file(tag, result);
        }
    }

    fn stop(&mut self, why: Stopped) -> bool {
        for _ in 0..STOPPED_AT_ONCE {
            let Some((tag, _dropped)) = self.next() else {
                return false;
            };
            self.finish(tag, Err(why.into()));
        }
        true
    }

    fn may_have_next(&self) -> bool {
        self.items.is_some() && self.started < self.at_most
    }

    fn most_in_flight(&self) -> usize {
        self.at_most
    }
}
