//! [`AdaptiveLimit`]: a limit on concurrency that finds its size from latencies and outcomes.

mod algorithm;
mod builder;
mod sample;
mod search;
mod shared;
mod stats;
mod window;

use std::fmt;
use std::sync::Arc;

use brolly_sync::{Clock, block_on};

use crate::error::ConfigError;
use crate::limiter::Limiter;
use crate::worker_pool::WorkerPool;
use search::Search;
use shared::Shared;

pub use algorithm::{Aimd, Gradient, LimitAlgorithm};
pub use builder::AdaptiveLimitBuilder;
pub use sample::{AcquireSample, LimitSample};
pub use stats::{AdaptiveStats, LimitDecision, LimitReason, Verdict};

/// A limit on concurrency that finds its size between two bounds, from how long items take and how
/// they end.
///
/// Clones are handles to the same limit. It owns a [`WorkerPool`] and resizes it; whoever waits
/// stands in that pool's one fair line.
///
/// ```
/// use brolly_batch::{AdaptiveLimit, Verdict};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let limit = AdaptiveLimit::builder().min(2).max(100).build()?;
/// for _ in 0..10 {
///     let sample = limit.acquire().await;
///     // ... one request ...
///     sample.end(Verdict::Success);
/// }
/// assert_eq!(limit.stats().successes, 10);
/// assert_eq!(limit.history().len(), 1);
/// # Ok(())
/// # }
/// ```
///
/// # How it decides
///
/// Samples make windows, each of as many items as the limit allows at once (and no fewer than the
/// configured number), so that a decision follows about as often as an item ends in one place. At
/// the end of a window the [`LimitAlgorithm`] moves the limit. An item that ended with
/// [`Verdict::Overload`] ends the window at once. After the limit was lowered, items that had
/// started before say nothing more about it, so one bad moment lowers it once.
///
/// - While less than half of the limit is in use the limit stays: whether more would be fine was
///   not seen.
/// - Under a steady overload it does not grow: see [`Gradient`].
/// - Every decision is kept with its reason, the last 64 of them: [`history`](Self::history).
///
/// # Operations
///
/// An operation takes the limit as [`limiter`](Self::limiter). Its items hold permits already, so
/// what they do is measured by [`measure`](Self::measure), which takes none.
#[doc(alias = "aimd")]
#[doc(alias = "concurrency-limits")]
#[derive(Clone)]
pub struct AdaptiveLimit {
    shared: Arc<Shared>,
}

impl AdaptiveLimit {
    /// Starts from the defaults: 1 to 1,024, 10 to begin with, found by [`Gradient`].
    pub fn builder() -> AdaptiveLimitBuilder {
        AdaptiveLimitBuilder::new()
    }

    fn new(
        (min, max, initial): (usize, usize, usize),
        least_samples: usize,
        algorithm: LimitAlgorithm,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ConfigError> {
        let pool = WorkerPool::new(initial)?;
        let search = Search::new(algorithm, min, max, initial);
        Ok(Self {
            shared: Arc::new(Shared::new(clock, pool, search, least_samples)),
        })
    }

    /// Waits in line for a permit, then starts a sample that holds it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the line; a permit that was already handed to it passes on to
    /// the next in line.
    pub fn acquire(&self) -> AcquireSample {
        AcquireSample::new(self.clone())
    }

    /// The same for threads: sleeps while there is no permit.
    ///
    /// Must not be called from a task: it would block the executor's thread.
    pub fn acquire_blocking(&self) -> LimitSample {
        match self.try_acquire() {
            Some(sample) => sample,
            None => block_on(self.acquire()),
        }
    }

    /// Starts a sample if a permit is free. Never overtakes a waiter.
    pub fn try_acquire(&self) -> Option<LimitSample> {
        let permit = self.shared.pool().try_acquire()?;
        Some(LimitSample::new(Arc::clone(&self.shared), Some(permit)))
    }

    /// Starts a sample that holds no permit, for an item that holds one already.
    pub fn measure(&self) -> LimitSample {
        LimitSample::new(Arc::clone(&self.shared), None)
    }

    /// The limit now.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.shared.limit()
    }

    /// The pool that follows the limit. Resized by hand it stays so until the limit changes.
    #[must_use]
    pub fn pool(&self) -> WorkerPool {
        self.shared.pool().clone()
    }

    /// The limit as operations take it.
    #[must_use]
    pub fn limiter(&self) -> Limiter {
        Limiter::from(self.pool())
    }

    /// The latest decisions, 64 at most, the oldest first.
    #[must_use]
    pub fn history(&self) -> Vec<LimitDecision> {
        self.shared.history()
    }

    /// Counts since it was built, and where it stands.
    #[must_use]
    pub fn stats(&self) -> AdaptiveStats {
        self.shared.stats()
    }
}

impl fmt::Debug for AdaptiveLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdaptiveLimit")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
