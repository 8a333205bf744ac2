//! [`WorkerPool`]: a number of permits, handed out fairly, that can change while they are in use.

mod acquire;
mod error;
mod line;
#[cfg(all(test, brolly_loom))]
mod models;
mod permits;

use std::fmt;
use std::sync::Arc;

use brolly_sync::block_on;

use crate::config::checked_concurrency;
use crate::error::ConfigError;
use line::Wish;
use permits::Permits;

pub use acquire::{Acquire, AcquireMany, WaitForCapacity};
pub use error::WeightError;

/// A number of permits, handed to tasks and threads in order of arrival.
///
/// Clones are handles to the same permits. Nothing polls: whoever waits is woken by the release or
/// the resize that serves it.
///
/// ```
/// use brolly_batch::WorkerPool;
///
/// let workers = WorkerPool::new(2)?;
/// let first = workers.acquire_blocking();
/// let second = workers.try_acquire().expect("one is left");
/// assert!(!workers.has_capacity());
/// drop(first);
/// assert_eq!(workers.active(), 1);
/// workers.resize(8)?;
/// let heavy = workers.try_acquire_many(7)?.expect("seven are free");
/// assert_eq!(workers.active(), 8);
/// # drop((second, heavy));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Fairness
///
/// There is one line. Its head is never overtaken, not even by one who wants less, so who wants
/// many permits gets them as soon as enough were given back. The price: while a heavy one waits at
/// the head, permits that would do for the next in line stay free.
///
/// # Waiting with a limit
///
/// The futures own all they need, so a [`Timer`](brolly_sync::Timer) can limit any wait:
///
/// ```
/// use std::time::Duration;
/// use brolly_batch::WorkerPool;
/// use brolly_sync::{ThreadTimer, TimerExt};
///
/// let workers = WorkerPool::new(1)?;
/// let held = workers.acquire_blocking();
/// let waited = ThreadTimer::new().timeout_blocking(Duration::from_millis(5), workers.acquire());
/// assert!(waited.is_err());
/// assert_eq!(workers.waiting(), 0);
/// # drop(held);
/// # Ok::<(), brolly_batch::ConfigError>(())
/// ```
///
/// # Cost
///
/// While nobody waits, a permit costs one atomic operation to take and one to give back, besides
/// the reference count of the pool. Waiting takes one short lock, and allocates only where the line
/// grows beyond its longest so far.
#[doc(alias = "semaphore")]
#[derive(Clone)]
pub struct WorkerPool {
    permits: Arc<Permits>,
}

impl WorkerPool {
    /// A pool of `max` permits, 1 to 1,048,576, all of them free.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`] if `max` is outside of that range.
    pub fn new(max: usize) -> Result<Self, ConfigError> {
        let max = checked_concurrency("max", max)?;
        Ok(Self::unchecked(saturating_weight(max)))
    }

    fn unchecked(max: u32) -> Self {
        Self {
            permits: Arc::new(Permits::new(max)),
        }
    }

    /// A pool of one permit that may [retire](Self::retire).
    pub(crate) fn of_one() -> Self {
        Self::unchecked(1)
    }

    /// Takes a permit, waiting in line while there is none.
    ///
    /// Permits go to waiters in the order of their first poll. The future borrows nothing, so it
    /// may be spawned, sent to another thread, or outlive the handle it came from:
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let workers = brolly_batch::WorkerPool::new(1)?;
    /// let waiter = tokio::spawn(workers.acquire());
    /// let permit = waiter.await?;
    /// assert_eq!(workers.active(), 1);
    /// # drop(permit);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the line; a permit that was already handed to it passes on to
    /// the next in line.
    #[inline]
    pub fn acquire(&self) -> Acquire {
        Acquire::new(Arc::clone(&self.permits))
    }

    /// Takes `weight` permits at once, waiting in line until that many are free.
    ///
    /// Taking all of them, `acquire_many(pool.max())`, waits until everybody else is done and keeps
    /// others out: a drain.
    ///
    /// # Errors
    ///
    /// [`WeightError::OutOfRange`] if `weight` is 0 or more than [`max`](Self::max), at once, or as
    /// soon as a [`resize`](Self::resize) makes it so. To wait on would block the line for as long
    /// as the pool stays that small; to run all the same would break its bound.
    ///
    /// # Cancel safety
    ///
    /// As [`acquire`](Self::acquire). Permits are taken all at once, so none are held while
    /// waiting for the others.
    #[inline]
    pub fn acquire_many(&self, weight: usize) -> AcquireMany {
        AcquireMany::new(Arc::clone(&self.permits), weight)
    }

    /// Takes a permit, putting the thread to sleep while there is none. Threads and tasks stand in
    /// the same line.
    ///
    /// Must not be called from a task: it would block the executor's thread.
    pub fn acquire_blocking(&self) -> Permit {
        match self.try_acquire() {
            Some(permit) => permit,
            None => block_on(self.acquire()),
        }
    }

    /// Takes `weight` permits at once, putting the thread to sleep until that many are free.
    ///
    /// Must not be called from a task: it would block the executor's thread.
    ///
    /// # Errors
    ///
    /// As [`acquire_many`](Self::acquire_many).
    pub fn acquire_many_blocking(&self, weight: usize) -> Result<Permit, WeightError> {
        block_on(self.acquire_many(weight))
    }

    /// Takes a permit if one is free. Never overtakes a waiter.
    #[inline]
    pub fn try_acquire(&self) -> Option<Permit> {
        self.try_take(1)
    }

    /// Takes `weight` permits at once if that many are free. Never overtakes a waiter.
    ///
    /// # Errors
    ///
    /// [`WeightError::OutOfRange`] if `weight` is 0 or more than [`max`](Self::max).
    pub fn try_acquire_many(&self, weight: usize) -> Result<Option<Permit>, WeightError> {
        let permit = match weight {
            0 => None,
            _ => self.try_take(saturating_weight(weight)),
        };
        if permit.is_some() {
            return Ok(permit);
        }
        let max = self.max();
        if weight == 0 || weight > max {
            return Err(WeightError::OutOfRange { weight, max });
        }
        Ok(None)
    }

    #[inline]
    fn try_take(&self, weight: u32) -> Option<Permit> {
        let wish = Wish {
            needs: weight,
            takes: weight,
        };
        self.permits.try_take(wish).then(|| Permit {
            permits: Arc::clone(&self.permits),
            weight,
        })
    }

    /// Waits, in line, until a permit is free, and takes none.
    ///
    /// For those who look before they prepare: by the time they ask, somebody else may have been
    /// faster. Who wants the permit itself calls [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the line and holds up nobody.
    pub fn wait_for_capacity(&self) -> WaitForCapacity {
        WaitForCapacity::new(Arc::clone(&self.permits))
    }

    /// Changes how many permits there are, while others are held and waited for.
    ///
    /// More permits serve those who wait at once. With fewer, those that are held stay so: the
    /// difference is owed, and paid by the next releases before anybody is served, so
    /// [`active`](Self::active) may exceed [`max`](Self::max) until then. Waits for more permits
    /// than are left end with a [`WeightError`].
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`] unless `max` is 1 to 1,048,576; nothing changes then.
    pub fn resize(&self, max: usize) -> Result<(), ConfigError> {
        let max = checked_concurrency("max", max)?;
        self.permits.resize(saturating_weight(max));
        Ok(())
    }

    /// Shrinks to nothing: whoever waits is refused, and what is given back is gone.
    pub(crate) fn retire(&self) {
        self.permits.resize(0);
    }

    /// Whether it has [retired](Self::retire) and all its permits came back.
    pub(crate) fn is_retired(&self) -> bool {
        let counts = self.permits.counts();
        counts.max == 0 && counts.active == 0
    }

    /// Whether both are handles to the same permits.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.permits, &other.permits)
    }

    /// How many permits are held, or handed to a waiter that has not run yet.
    #[must_use]
    pub fn active(&self) -> usize {
        self.permits.counts().active as usize
    }

    /// How many permits there are.
    #[must_use]
    pub fn max(&self) -> usize {
        self.permits.counts().max as usize
    }

    /// Whether [`try_acquire`](Self::try_acquire) would have succeeded at this moment.
    #[must_use]
    pub fn has_capacity(&self) -> bool {
        self.permits.has_free()
    }

    /// How many tasks and threads wait in line, for permits or for capacity.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.permits.counts().waiting
    }
}

impl fmt::Debug for WorkerPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.permits.counts();
        f.debug_struct("WorkerPool")
            .field("max", &counts.max)
            .field("active", &counts.active)
            .field("waiting", &counts.waiting)
            .finish()
    }
}

/// The right to do one piece of work, returned to its [`WorkerPool`] on drop.
///
/// It is owned: it may move to another task or thread and outlive the handle it came from. It can
/// be returned only once.
#[must_use = "a permit is returned as soon as it is dropped"]
pub struct Permit {
    permits: Arc<Permits>,
    weight: u32,
}

impl Permit {
    /// How many permits of the pool this is.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.weight as usize
    }

    /// The pool it returns to.
    #[must_use]
    pub fn pool(&self) -> WorkerPool {
        WorkerPool {
            permits: Arc::clone(&self.permits),
        }
    }
}

impl Drop for Permit {
    #[inline]
    fn drop(&mut self) {
        self.permits.give(self.weight);
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("weight", &self.weight)
            .finish_non_exhaustive()
    }
}

/// A weight as the core counts it. What saturates is more than any pool can have.
fn saturating_weight(weight: usize) -> u32 {
    u32::try_from(weight).unwrap_or(u32::MAX)
}
