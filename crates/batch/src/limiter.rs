//! [`Limiter`]: one bound on concurrency that operations share, also those within each other.

mod acquire;
mod current;
mod gate;
mod held;
mod loan;
#[cfg(all(test, brolly_loom))]
mod models;
mod permit;
mod surroundings;
mod view;

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;

use brolly_sync::block_on;

use crate::config::checked_concurrency;
use crate::error::ConfigError;
use crate::worker_pool::WorkerPool;
use view::View;

pub use acquire::AcquireLimiter;
pub use permit::LimiterPermit;
pub(crate) use surroundings::Surroundings;

/// One bound on concurrency for operations that share it, on top of each other or side by side.
///
/// Give every operation of a chain a clone of the same limiter, and the number of items that run
/// at once, over all of them, never exceeds its bound. An operation within an item of another
/// operation follows the rule by which `make -j` shares its jobs with the `make` it calls: its
/// first item runs on the permit that the outer item holds anyway, and further ones on permits
/// that are free. So an outer item that waits for its inner ones wastes no permit, and nesting
/// never deadlocks, not even with a bound of one:
///
/// ```
/// use brolly_batch::Limiter;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let limiter = Limiter::new(1)?;
/// let inner = limiter.clone();
/// let answer = limiter.run(async move { inner.run(async { 6 * 7 }).await }).await;
/// assert_eq!(answer, 42);
/// # Ok(())
/// # }
/// ```
///
/// # Which permit an item holds
///
/// [`run`](Self::run), [`run_blocking`](Self::run_blocking) and the operations of this crate make
/// an item's permit known to the code that runs in it, on the thread that runs it, and on those
/// that blocking operations within it use; there, [`acquire`](Self::acquire) nests by itself. What
/// an item moves elsewhere by other means, to a spawned task or
/// another thread, takes the nested limiter along: [`here`](Self::here) in the item, or
/// [`LimiterPermit::limiter`] where the permit was acquired by hand.
///
/// # How it is made
///
/// A permit that is nested under has a line of its own with one place, its loan. A nested item
/// stands in the lines of the loan and of the outer limiter at once and takes whichever serves it
/// first. When a permit is dropped while its loan is out, it is returned to its pool only after
/// the loan: each of those items still runs on a permit. Waiting costs one place in line for each
/// item around it that still runs, and permits and views within each other go as deep as items do:
/// thousands of levels take as much of the stack as any recursion.
///
/// # What can wait for itself
///
/// An item of a stream that is not spawned runs only while somebody asks for the next result, and
/// holds its permit all the while: whoever takes results from such a stream must not wait for a
/// permit of the same limiter in between.
///
/// Two limiters that were narrowed with [`at_most`](Self::at_most) and are each used within the
/// other's items are two bounds taken in two orders, and can wait for each other as two locks can.
#[doc(alias = "jobserver")]
#[doc(alias = "semaphore")]
#[derive(Clone)]
pub struct Limiter {
    view: View,
}

impl Limiter {
    /// A limiter of at most `max` items at once, 1 to 1,048,576, with a pool of its own.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`] if `max` is outside of that range.
    pub fn new(max: usize) -> Result<Self, ConfigError> {
        WorkerPool::new(max).map(Self::from)
    }

    /// The pool its permits come from in the end. Resizing that takes effect in running operations.
    #[must_use]
    pub fn pool(&self) -> WorkerPool {
        self.view.root().clone()
    }

    /// The most items that can run at once through this limiter: the least of its own bound and
    /// those it is within.
    #[must_use]
    pub fn bound(&self) -> usize {
        self.view.bound()
    }

    /// A limiter within this one, of at most `max` items at once. Its items count in both.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`] unless `max` is 1 to 1,048,576.
    pub fn at_most(&self, max: usize) -> Result<Self, ConfigError> {
        let max = checked_concurrency("at_most", max)?;
        let view = View::narrowed(&self.view, max)?;
        Ok(Self { view })
    }

    /// The limiter as it is seen from here: nested under the permit of the innermost item of it
    /// that runs on this thread, or itself where there is none.
    #[must_use]
    pub fn here(&self) -> Self {
        Self {
            view: self.nested_view().unwrap_or_else(|| self.view.clone()),
        }
    }

    /// Waits for the right to run one item, in order of arrival; seen from [here](Self::here), and
    /// at its first poll from where that is.
    ///
    /// Whoever holds a permit and asks for another by hand must ask
    /// [`LimiterPermit::limiter`], or may wait for itself.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves every line it stands in; what was already handed to it passes on
    /// to the next in line.
    #[inline]
    pub fn acquire(&self) -> AcquireLimiter {
        AcquireLimiter::new(self.nested_view().unwrap_or_else(|| self.view.clone()))
    }

    /// The same for threads: sleeps while there is no permit.
    ///
    /// Must not be called from a task: it would block the executor's thread.
    pub fn acquire_blocking(&self) -> LimiterPermit {
        match self.try_acquire() {
            Some(permit) => permit,
            None => block_on(self.acquire()),
        }
    }

    /// The right to run one item, if it can be had now. Never overtakes a waiter.
    #[inline]
    pub fn try_acquire(&self) -> Option<LimiterPermit> {
        let nested = self.nested_view();
        let view = nested.as_ref().unwrap_or(&self.view);
        let held = view.try_hold()?;
        Some(LimiterPermit::new(view.to_remember(), held))
    }

    /// What [`here`](Self::here) sees, if that is not this limiter itself.
    #[inline]
    fn nested_view(&self) -> Option<View> {
        current::nest(&self.view)
    }

    /// Runs a future as one item: waits for a permit, and holds it until the future has ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping it leaves the line, or drops the future and then returns the permit.
    pub fn run<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        let permit = self.acquire();
        async move {
            let mut permit = permit.await;
            let mut future = pin!(future);
            poll_fn(|cx| permit.enter(|| future.as_mut().poll(cx))).await
        }
    }

    /// Calls a function as one item, on this thread, which sleeps while there is no permit.
    ///
    /// Must not be called from a task: it would block the executor's thread.
    pub fn run_blocking<R>(&self, function: impl FnOnce() -> R) -> R {
        self.acquire_blocking().enter(function)
    }
}

impl From<WorkerPool> for Limiter {
    /// Permits that a pool's other users and the operations of this limiter take from each other.
    fn from(pool: WorkerPool) -> Self {
        Self {
            view: View::Root(pool),
        }
    }
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiter")
            .field("bound", &self.bound())
            .field("pool", self.view.root())
            .finish_non_exhaustive()
    }
}
