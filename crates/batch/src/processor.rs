//! [`BatchProcessor`]: the settings of bounded maps, and the maps.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use brolly_sync::{ThreadTimer, Timer};

use crate::batches::{Batched, Batches, MapBatches, call_blocking};
#[cfg(feature = "tokio")]
use crate::blocking_pool::{OnBlockingPool, on_blocking_pool};
use crate::cancel::CancelToken;
use crate::config::{
    BATCH_SIZE, DEFAULT_BATCH_SIZE, DEFAULT_MAX_CONCURRENT, checked_concurrency, checked_size,
};
use crate::control::Control;
use crate::error::{ConfigError, ItemError};
use crate::limiter::Limiter;
use crate::map::{Map, MapWork};
#[cfg(feature = "futures-core")]
use crate::stream::{FromStream, MapStream};
use crate::threads;
use crate::throttle::Throttle;

/// Maps many items through a function, a bounded number of them at a time.
///
/// The bound holds over all items of one call: the next item starts as soon as any one ends, and
/// there is no barrier between groups of items.
///
/// | input and function | call | what it gives |
/// |---|---|---|
/// | items, a future for each | [`map`](Self::map) | a result for every item; or the first failure, results and failures apart, or a stream: see [`Map`] |
/// | a stream of items | `map_stream`, with the feature `futures-core` | a [stream](crate::MapStream) of results |
/// | items, a future for each batch | [`map_batches`](Self::map_batches) | the outputs in order, and the batches that failed |
/// | items, a function that blocks | [`map_blocking`](Self::map_blocking), [`map_batches_blocking`](Self::map_batches_blocking) | the same, on threads |
///
/// Settings of all runs come from the [builder](Self::builder). [`cancel_with`](Self::cancel_with)
/// and [`deadline`](Self::deadline) make another processor, whose runs also end early; clones are
/// cheap, so it may be made for one run.
///
/// ```
/// use brolly_batch::{BatchProcessor, ItemError};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let processor = BatchProcessor::builder().max_concurrent(8).build()?;
/// let halves = processor
///     .map(1..=4, |n: u32| async move {
///         if n % 2 == 0 { Ok(n / 2) } else { Err(format!("{n} is odd")) }
///     })
///     .await;
/// assert_eq!(halves[0], Err(ItemError::Failed("1 is odd".to_owned())));
/// assert_eq!(halves[3], Ok(2));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct BatchProcessor {
    settings: Settings,
}

/// What every run of a processor takes along.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) max_concurrent: usize,
    pub(crate) batch_size: usize,
    timer: Arc<dyn Timer>,
    token: Option<CancelToken>,
    deadline: Option<Duration>,
    throttle: Option<Throttle>,
    limiter: Option<Limiter>,
}

impl Settings {
    pub(crate) fn timer(&self) -> Arc<dyn Timer> {
        Arc::clone(&self.timer)
    }

    /// What one run obeys besides its limit.
    pub(crate) fn control(&self) -> Control {
        let mut control = Control::default();
        if let Some(token) = &self.token {
            control = control.cancel_with(token);
        }
        if let Some(deadline) = self.deadline {
            control = control.deadline(self.timer(), deadline);
        }
        if let Some(throttle) = &self.throttle {
            control = control.throttle(throttle.run());
        }
        if let Some(limiter) = &self.limiter {
            control = control.limiter(limiter.gate());
        }
        control
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("max_concurrent", &self.max_concurrent)
            .field("batch_size", &self.batch_size)
            .field("token", &self.token)
            .field("deadline", &self.deadline)
            .field("throttle", &self.throttle)
            .field("limiter", &self.limiter)
            .finish_non_exhaustive()
    }
}

impl BatchProcessor {
    /// Starts from the defaults: 5 items at a time, 10 to a batch.
    pub fn builder() -> BatchProcessorBuilder {
        BatchProcessorBuilder {
            max_concurrent: DEFAULT_MAX_CONCURRENT,
            batch_size: DEFAULT_BATCH_SIZE,
            timer: None,
            throttle: None,
            limiter: None,
        }
    }

    /// The most items, or batches, in flight at once in one call.
    #[must_use]
    pub fn max_concurrent(&self) -> usize {
        self.settings.max_concurrent
    }

    /// How many items a batch has; the last one of a run may have fewer.
    #[must_use]
    pub fn batch_size(&self) -> usize {
        self.settings.batch_size
    }

    /// How many batches so many items make: 0 for 0.
    #[must_use]
    pub fn batch_count(&self, items: usize) -> usize {
        items.div_ceil(self.settings.batch_size)
    }

    /// The same processor, whose runs end when `token` says so. It replaces a token given before.
    ///
    /// What runs is dropped, or, when the token is only [drained](CancelToken::drain), ends
    /// normally; nothing more starts. Results stay aligned with the items: those that were dropped
    /// or never started are [`ItemError::Cancelled`]. To tell so, the rest of the iterator is pulled,
    /// 256 items at a poll; iterators without an end belong to the streaming forms, which just end.
    /// Blocking runs cannot drop what runs, so there both let it end.
    #[must_use]
    pub fn cancel_with(&self, token: &CancelToken) -> Self {
        let mut derived = self.clone();
        derived.settings.token = Some(token.clone());
        derived
    }

    /// The same processor, whose runs end when `after` has passed since their first poll or call.
    /// It replaces a deadline given before. What is over by then, and only that, has a result; the
    /// rest is [`ItemError::DeadlineExceeded`], by the rules of [`cancel_with`](Self::cancel_with).
    ///
    /// The time is the [timer](BatchProcessorBuilder::timer)'s. Zero starts nothing; `Duration::MAX`
    /// never comes.
    #[must_use]
    pub fn deadline(&self, after: Duration) -> Self {
        let mut derived = self.clone();
        derived.settings.deadline = Some(after);
        derived
    }

    /// Maps every item through `f`, at most [`max_concurrent`](Self::max_concurrent) futures at a
    /// time, and returns the results in the order of the items.
    ///
    /// - An error is that item's result; the others go on.
    /// - A panic in `f` or in its future becomes [`ItemError::Panicked`]; the others go on. (Where
    ///   panics abort the process, they still do.)
    /// - The iterator is pulled only when an item can start, so it is never ahead of the results
    ///   by more than the limit. A panic of the iterator itself is the caller's.
    /// - Nothing is spawned: all futures run in the calling task, on any runtime, and may borrow
    ///   from it. Work that computes for long blocks the task it runs in, so use
    ///   [`map_blocking`](Self::map_blocking) or spawn inside `f` for more than one core.
    /// - One poll starts at most 256 items, polls every woken future at most once, and then lets
    ///   the runtime's other tasks have a turn.
    ///
    /// # Cancel safety
    ///
    /// Dropping the returned future drops the futures that are running and the items not yet
    /// started, at once; results so far are lost.
    ///
    /// # Cost
    ///
    /// Two allocations per future pending at the same time, none per item beyond what `f` itself
    /// allocates, and the vector of results.
    pub fn map<I, F, Fut, R, E>(&self, items: I, f: F) -> Map<I::IntoIter, F, Fut, R, E>
    where
        I: IntoIterator,
        F: FnMut(I::Item) -> Fut,
        Fut: Future<Output = Result<R, E>>,
    {
        Map::new(self.settings.clone(), items.into_iter(), f)
    }

    /// The same for functions that block or compute, without any runtime: maps on scoped threads, at
    /// most [`max_concurrent`](Self::max_concurrent) of them including the calling one, and returns
    /// when all items are done.
    ///
    /// Threads are started as items need them and end with the call. Where the system refuses to
    /// start one, those that exist do the work. The contract for order, errors, panics and
    /// laziness is that of [`map`](Self::map).
    ///
    /// # Panics
    ///
    /// Only if the iterator does; the items already started end first.
    #[doc(alias = "map_sync")]
    pub fn map_blocking<I, F, R, E>(&self, items: I, f: F) -> Vec<Result<R, ItemError<E>>>
    where
        I: IntoIterator,
        I::IntoIter: Send,
        I::Item: Send,
        F: Fn(I::Item) -> Result<R, E> + Sync,
        R: Send,
        E: Send,
    {
        let Settings { max_concurrent, .. } = self.settings;
        let work = MapWork::new(items.into_iter());
        threads::run(work, max_concurrent, self.settings.control(), f).into_results()
    }

    /// Cuts the items into batches of [`batch_size`](Self::batch_size) consecutive ones, the last of
    /// which may be shorter, and calls `f` with each, at most [`max_concurrent`](Self::max_concurrent)
    /// batches at a time.
    ///
    /// `f` returns any number of outputs. Those of all batches come one after the other, in the
    /// order of the items; batches that failed or panicked are reported with their positions, and
    /// the others go on. A batch is cut only when it can start. See [`MapBatches`] for retries,
    /// splitting batches that fail, a size that adapts itself, and progress.
    ///
    /// # Cancel safety
    ///
    /// Dropping the returned future drops the batches that are running and the items not yet
    /// started, at once; outputs so far are lost.
    pub fn map_batches<I, F, Fut, R, E>(
        &self,
        items: I,
        f: F,
    ) -> MapBatches<I::IntoIter, F, Fut, R, E>
    where
        I: IntoIterator,
        F: FnMut(Vec<I::Item>) -> Fut,
        Fut: Future<Output = Result<Vec<R>, E>>,
    {
        MapBatches::new(self.settings.clone(), items.into_iter(), f)
    }

    /// [`map_batches`](Self::map_batches) for functions that block or compute, on scoped threads as
    /// in [`map_blocking`](Self::map_blocking).
    ///
    /// # Panics
    ///
    /// Only if the iterator does; the batches already started end first.
    pub fn map_batches_blocking<I, F, R, E>(&self, items: I, f: F) -> Batched<R, E>
    where
        I: IntoIterator,
        I::IntoIter: Send,
        I::Item: Send,
        F: Fn(Vec<I::Item>) -> Result<Vec<R>, E> + Sync,
        R: Send,
        E: Send,
    {
        let Settings {
            max_concurrent,
            batch_size,
            ..
        } = self.settings;
        let work = Batches::new(items.into_iter(), batch_size);
        let control = self.settings.control();
        threads::run(work, max_concurrent, control, |part| {
            call_blocking(&f, part)
        })
        .into_batched()
    }

    /// [`map`](Self::map) over the items of a stream, as a stream of results, in the order in which
    /// they come unless told otherwise. The input is polled only when an item can start.
    #[cfg(feature = "futures-core")]
    #[cfg_attr(docsrs, doc(cfg(feature = "futures-core")))]
    pub fn map_stream<S, F, Fut, R, E>(
        &self,
        items: S,
        f: F,
    ) -> MapStream<FromStream<S>, F, Fut, R, E>
    where
        S: futures_core::Stream,
        F: FnMut(S::Item) -> Fut,
        Fut: Future<Output = Result<R, E>>,
    {
        MapStream::new(self.settings.clone(), FromStream::new(items), f)
    }

    /// [`map`](Self::map) for functions that block, on the threads that the tokio runtime has for
    /// them: where the caller is a task and must not block.
    ///
    /// A function that has started cannot be stopped: when the map is dropped or cancelled it still
    /// runs to its end, and its result is lost. One that waits for a thread is not started any more.
    /// A permit of the limiter stays with a function until that has ended.
    ///
    /// Must be polled within a runtime: an item that is not, panics, as does one whose runtime shuts
    /// down.
    #[cfg(feature = "tokio")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
    #[expect(
        clippy::type_complexity,
        reason = "it names how the function is wrapped, so that auto traits show"
    )]
    pub fn map_on_blocking_pool<I, F, R, E>(
        &self,
        items: I,
        f: F,
    ) -> Map<
        I::IntoIter,
        impl FnMut(I::Item) -> OnBlockingPool<Result<R, E>> + use<I, F, R, E>,
        OnBlockingPool<Result<R, E>>,
        R,
        E,
    >
    where
        I: IntoIterator,
        I::Item: Send + 'static,
        F: Fn(I::Item) -> Result<R, E> + Send + Sync + 'static,
        R: Send + 'static,
        E: Send + 'static,
    {
        Map::new(
            self.settings.clone(),
            items.into_iter(),
            on_blocking_pool(f, self.settings.limiter.clone()),
        )
    }
}

/// Collects the settings of a [`BatchProcessor`].
#[derive(Clone)]
#[must_use = "a builder does nothing until it builds"]
pub struct BatchProcessorBuilder {
    max_concurrent: usize,
    batch_size: usize,
    timer: Option<Arc<dyn Timer>>,
    throttle: Option<Throttle>,
    limiter: Option<Limiter>,
}

impl BatchProcessorBuilder {
    /// The most items in flight at once in one call: 1 to 1,048,576; 5 unless set. Where whole
    /// batches are mapped, the most batches.
    pub fn max_concurrent(mut self, limit: usize) -> Self {
        self.max_concurrent = limit;
        self
    }

    /// How many items a batch has: 1 to 1,073,741,824; 10 unless set. It is what
    /// [`map_batches`](BatchProcessor::map_batches) calls its function with, and the step in which a
    /// [`map`](BatchProcessor::map) reports progress; it does not hold up any item.
    pub fn batch_size(mut self, items: usize) -> Self {
        self.batch_size = items;
        self
    }

    /// What deadlines and waits between retries are measured by. Unless set, a timer of the
    /// processor's own, which starts a thread with the first wait.
    pub fn timer(mut self, timer: impl Timer + 'static) -> Self {
        self.timer = Some(Arc::new(timer));
        self
    }

    /// Runs each item, or batch, on a permit of this limiter, besides the processor's own limit.
    ///
    /// Processors that share a limiter share its bound; a run within an item of another one begins
    /// on the permit of that item.
    pub fn limiter(mut self, limiter: &Limiter) -> Self {
        self.limiter = Some(limiter.clone());
        self
    }

    /// Starts items only when this throttle admits them.
    pub fn throttle(mut self, throttle: &Throttle) -> Self {
        self.throttle = Some(throttle.clone());
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`] names the setting, its value and what is allowed.
    pub fn build(self) -> Result<BatchProcessor, ConfigError> {
        Ok(BatchProcessor {
            settings: Settings {
                max_concurrent: checked_concurrency("max_concurrent", self.max_concurrent)?,
                batch_size: checked_size("batch_size", self.batch_size, BATCH_SIZE)?,
                timer: self.timer.unwrap_or_else(|| Arc::new(ThreadTimer::new())),
                token: None,
                deadline: None,
                throttle: self.throttle,
                limiter: self.limiter,
            },
        })
    }
}

impl fmt::Debug for BatchProcessorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchProcessorBuilder")
            .field("max_concurrent", &self.max_concurrent)
            .field("batch_size", &self.batch_size)
            .field("throttle", &self.throttle)
            .field("limiter", &self.limiter)
            .finish_non_exhaustive()
    }
}
