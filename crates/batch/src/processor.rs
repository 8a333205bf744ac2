//! [`BatchProcessor`]: the settings of a bounded map, and the map itself.

use std::future::Future;

use crate::config::{DEFAULT_MAX_CONCURRENT, checked_concurrency};
use crate::control::Control;
use crate::error::{ConfigError, ItemError};
use crate::map::{Map, MapWork};
use crate::threads;

/// Maps many items through a function, a bounded number of them at a time.
///
/// The bound holds over all items of one call: the next item starts as soon as any one ends, and
/// there is no barrier between groups of items.
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
    max_concurrent: usize,
}

impl BatchProcessor {
    /// Starts from the defaults: 5 items at a time.
    pub fn builder() -> BatchProcessorBuilder {
        BatchProcessorBuilder {
            max_concurrent: DEFAULT_MAX_CONCURRENT,
        }
    }

    /// The most items in flight at once in one call.
    #[must_use]
    pub fn max_concurrent(&self) -> usize {
        self.max_concurrent
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
        Map::new(items.into_iter(), self.max_concurrent, f)
    }

    /// The same for functions that block or compute: maps on scoped threads, at most
    /// [`max_concurrent`](Self::max_concurrent) of them including the calling one, and returns
    /// when all items are done.
    ///
    /// Threads are started as items need them and end with the call. Where the system refuses to
    /// start one, those that exist do the work. The contract for order, errors, panics and
    /// laziness is that of [`map`](Self::map).
    ///
    /// # Panics
    ///
    /// Only if the iterator does; the items already started end first.
    pub fn map_blocking<I, F, R, E>(&self, items: I, f: F) -> Vec<Result<R, ItemError<E>>>
    where
        I: IntoIterator,
        I::IntoIter: Send,
        I::Item: Send,
        F: Fn(I::Item) -> Result<R, E> + Sync,
        R: Send,
        E: Send,
    {
        let work = MapWork::new(items.into_iter());
        threads::run(work, self.max_concurrent, Control::default(), f).into_results()
    }
}

/// Collects the settings of a [`BatchProcessor`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it builds"]
pub struct BatchProcessorBuilder {
    max_concurrent: usize,
}

impl BatchProcessorBuilder {
    /// The most items in flight at once in one call: 1 to 1,048,576; 5 unless set.
    pub fn max_concurrent(mut self, limit: usize) -> Self {
        self.max_concurrent = limit;
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`] names the setting, its value and what is allowed.
    pub fn build(self) -> Result<BatchProcessor, ConfigError> {
        Ok(BatchProcessor {
            max_concurrent: checked_concurrency("max_concurrent", self.max_concurrent)?,
        })
    }
}
