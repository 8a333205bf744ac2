//! [`MapBatches`]: a bounded map whose function takes whole batches of items.

mod call;
mod cut;
mod size;

use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::cancel::Stopped;
use crate::error::ItemError;
use crate::panic::contained;
use crate::planned::{Plan, Planned};
use crate::processor::Settings;
use crate::progress::BatchDone;
use crate::retry::RetryPolicy;
use crate::work::Work;
pub use call::NoRetry;
use call::{BatchCall, Calls};
use cut::{Cut, Failure, Part, Size};
pub use size::{AdaptiveBatchSize, AdaptiveBatchSizeBuilder};

/// What has come of a map over batches.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Batched<R, E> {
    /// What the batches that succeeded returned, one after the other in the order of the items.
    pub output: Vec<R>,
    /// The items without output and why, in the order of the items. Empty if all is well.
    pub failed: Vec<FailedBatch<E>>,
}

/// Consecutive items without output: a batch or, after a [`bisect`](MapBatches::bisect), a part of
/// one. Items that never started are one entry, however many they are.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailedBatch<E> {
    /// The positions of the items among the inputs.
    pub items: Range<usize>,
    /// What became of them. For a panic, [`Panic::index`](crate::Panic::index) is the position of the
    /// first of them.
    pub error: ItemError<E>,
}

/// The future of [`BatchProcessor::map_batches`](crate::BatchProcessor::map_batches).
///
/// The methods change what it does before it starts; they panic if it was polled already.
///
/// ```
/// use std::time::Duration;
/// use brolly_batch::{BatchProcessor, ItemError, LinearRetry};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let processor = BatchProcessor::builder().batch_size(4).build()?;
/// let batched = processor
///     .map_batches(0..10, |batch: Vec<i32>| async move {
///         if batch.contains(&6) { Err("six is refused") } else { Ok(batch) }
///     })
///     .retry(LinearRetry::new(2, Duration::from_millis(1)))
///     .bisect()
///     .await;
/// assert_eq!(batched.output, [0, 1, 2, 3, 4, 5, 7, 8, 9]);
/// assert_eq!(batched.failed[0].items, 6..7);
/// assert_eq!(batched.failed[0].error, ItemError::Failed("six is refused"));
/// # Ok(())
/// # }
/// ```
///
/// As with any `async fn`, polling it again after its end panics.
#[must_use = "futures do nothing unless polled"]
pub struct MapBatches<I: Iterator, F, Fut, R, E, P = NoRetry, C = fn(BatchDone)> {
    run: Run<I, F, Fut, R, E, P>,
    callback: Option<C>,
}

type Run<I, F, Fut, R, E, P> = Planned<
    Calling<I, F, Fut, R, E, P>,
    fn(Call<I, F, Fut, P>) -> Call<I, F, Fut, P>,
    Call<I, F, Fut, P>,
>;

/// The items of the work are futures already, which call the function themselves when polled.
type Call<I, F, Fut, P> = BatchCall<<I as Iterator>::Item, F, Fut, P>;

impl<I, F, Fut, R, E> MapBatches<I, F, Fut, R, E>
where
    I: Iterator,
{
    pub(crate) fn new(settings: Settings, items: I, f: F) -> Self {
        let work = Calling {
            cut: Cut::new(items, settings.batch_size),
            calls: Calls::new(f, NoRetry, settings.timer()),
        };
        Self {
            run: Planned::new(settings, work, std::convert::identity),
            callback: None,
        }
    }
}

impl<I, F, Fut, R, E, P, C> MapBatches<I, F, Fut, R, E, P, C>
where
    I: Iterator,
{
    /// Tries a batch that failed again, for as long as `policy` says so, with a clone of its items
    /// for each attempt.
    ///
    /// A batch that waits for its next attempt keeps its place among those in flight. Panics are not
    /// tried again. The waits are the timer's of the processor.
    pub fn retry<Q>(self, policy: Q) -> MapBatches<I, F, Fut, R, E, Q, C>
    where
        I::Item: Clone,
        Q: RetryPolicy<E>,
    {
        let plan = self.run.into_plan();
        let work = Calling {
            cut: plan.work.cut,
            calls: plan.work.calls.with_policy(policy),
        };
        MapBatches {
            run: Planned::new(plan.settings, work, std::convert::identity),
            callback: self.callback,
        }
    }

    /// Halves a batch that has finally failed or panicked, again and again, until what fails is a
    /// single item, so that it costs nobody else their output.
    ///
    /// Each half is a call of the function like any other, with the same policy of retries, and runs
    /// before further batches are cut. The function must bear to be called with items that it has
    /// seen before. If k items of a batch of n are poison, that takes at most about 2 k log2 n more
    /// calls, and never more than 2 n.
    pub fn bisect(self) -> Self
    where
        I::Item: Clone,
    {
        self.with(|work| work.calls.bisect())
    }

    /// Cuts batches of a size that adapts itself instead of a fixed one, and has it adapt itself to
    /// these batches.
    pub fn adaptive(self, size: &AdaptiveBatchSize) -> Self {
        self.with(|work| {
            work.cut.set_size(Size::Adaptive(size.clone()));
            work.calls.adapt(size.clone());
        })
    }

    /// Calls `callback` exactly once for each batch, when the last of its items has ended, in the
    /// order in which the batches end. One that was split is one batch still. A batch with items that
    /// were dropped or never started is not reported.
    ///
    /// A panic of the callback is caught and ignored; it is called again for the next batch.
    /// [`Progress::channel`](crate::Progress::channel) makes a callback that others can watch.
    pub fn on_progress<D>(self, callback: D) -> MapBatches<I, F, Fut, R, E, P, D>
    where
        D: FnMut(BatchDone),
    {
        MapBatches {
            run: self.run,
            callback: Some(callback),
        }
    }

    fn with(self, change: impl FnOnce(&mut Calling<I, F, Fut, R, E, P>)) -> Self {
        let Plan {
            settings,
            mut work,
            begin,
        } = self.run.into_plan();
        change(&mut work);
        Self {
            run: Planned::new(settings, work, begin),
            callback: self.callback,
        }
    }
}

impl<I, F, Fut, R, E, P, C> Future for MapBatches<I, F, Fut, R, E, P, C>
where
    I: Iterator,
    F: FnMut(Vec<I::Item>) -> Fut,
    Fut: Future<Output = Result<Vec<R>, E>>,
    P: RetryPolicy<E>,
    C: FnMut(BatchDone),
{
    type Output = Batched<R, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { run, callback } = &mut *self;
        let mut polled = Pin::new(&mut *run).poll(cx);
        if let Some(callback) = callback {
            let work = match &mut polled {
                Poll::Ready(work) => Some(work),
                Poll::Pending => run.work_mut(),
            };
            report(work.map(|work| &mut work.cut), callback);
        }
        if polled.is_ready() {
            *callback = None; // whoever watches through it hears that it is over
        }
        polled.map(|work| work.cut.into_batched())
    }
}

fn report<I: Iterator, R, E>(cut: Option<&mut Cut<I, R, E>>, callback: &mut impl FnMut(BatchDone)) {
    let Some(cut) = cut else { return };
    while let Some(batch) = cut.next_complete() {
        contained(|| callback(batch));
    }
}

/// Only futures are ever pinned, and those are boxed.
impl<I: Iterator, F, Fut, R, E, P, C> Unpin for MapBatches<I, F, Fut, R, E, P, C> {}

impl<I: Iterator, F, Fut, R, E, P, C> fmt::Debug for MapBatches<I, F, Fut, R, E, P, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let work = self.run.work();
        f.debug_struct("MapBatches")
            .field("batches", &work.map(|work| work.cut.batches()))
            .finish_non_exhaustive()
    }
}

/// The batches, as futures that call a function with them.
struct Calling<I: Iterator, F, Fut, R, E, P> {
    cut: Cut<I, R, E>,
    calls: Calls<I::Item, F, Fut, P>,
}

impl<I, F, Fut, R, E, P> Work for Calling<I, F, Fut, R, E, P>
where
    I: Iterator,
{
    type Item = BatchCall<I::Item, F, Fut, P>;
    type Output = Vec<R>;
    type Error = Failure<I::Item, E>;

    fn next(&mut self) -> Option<(usize, Self::Item)> {
        let (tag, part) = self.cut.next()?;
        Some((tag, self.calls.begin(part)))
    }

    fn finish(&mut self, tag: usize, result: Result<Self::Output, ItemError<Self::Error>>) {
        self.cut.finish(tag, result);
    }

    fn stop(&mut self, why: Stopped) -> bool {
        self.cut.stop(why)
    }

    fn turned_back(&mut self, tag: usize, why: Stopped) {
        self.cut.turned_back(tag, why);
    }

    fn index(&self, tag: usize) -> usize {
        self.cut.start_of(tag)
    }

    fn may_have_next(&self) -> bool {
        self.cut.may_have_next()
    }

    fn most_in_flight(&self) -> usize {
        self.cut.at_most()
    }
}

/// The batches, as what a function on a thread is called with.
pub(crate) struct Batches<I: Iterator, R, E>(Cut<I, R, E>);

impl<I: Iterator, R, E> Batches<I, R, E> {
    pub(crate) fn new(items: I, batch_size: usize) -> Self {
        Self(Cut::new(items, batch_size))
    }

    pub(crate) fn into_batched(self) -> Batched<R, E> {
        self.0.into_batched()
    }
}

/// Calls a function with a batch on this thread.
pub(crate) fn call_blocking<T, R, E>(
    f: &impl Fn(Vec<T>) -> Result<Vec<R>, E>,
    part: Part<T>,
) -> Result<Vec<R>, Failure<T, E>> {
    f(part.items).map_err(|error| Failure {
        error: ItemError::Failed(error),
        items: None,
    })
}

impl<I: Iterator, R, E> Work for Batches<I, R, E> {
    type Item = Part<I::Item>;
    type Output = Vec<R>;
    type Error = Failure<I::Item, E>;

    fn next(&mut self) -> Option<(usize, Self::Item)> {
        self.0.next()
    }

    fn finish(&mut self, tag: usize, result: Result<Self::Output, ItemError<Self::Error>>) {
        self.0.finish(tag, result);
    }

    fn stop(&mut self, why: Stopped) -> bool {
        self.0.stop(why)
    }

    fn turned_back(&mut self, tag: usize, why: Stopped) {
        self.0.turned_back(tag, why);
    }

    fn index(&self, tag: usize) -> usize {
        self.0.start_of(tag)
    }

    fn may_have_next(&self) -> bool {
        self.0.may_have_next()
    }

    fn most_in_flight(&self) -> usize {
        self.0.at_most()
    }
}
