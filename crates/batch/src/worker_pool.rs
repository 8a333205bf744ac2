//! [`WorkerPool`]: a fixed number of permits, handed out fairly.

use std::future::Future;
use std::sync::Arc;

use brolly_sync::WaitList;

use crate::config::checked_concurrency;
use crate::error::ConfigError;

/// A fixed number of permits, handed to tasks and threads in order of arrival.
///
/// Clones are handles to the same permits. Nothing polls: whoever waits is woken by the release
/// that serves it.
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
/// # drop(second);
/// # Ok::<(), brolly_batch::ConfigError>(())
/// ```
#[doc(alias = "semaphore")]
#[derive(Clone, Debug)]
pub struct WorkerPool {
    permits: Arc<WaitList<()>>,
    max: usize,
}

impl WorkerPool {
    /// A pool of `max` permits, 1 to 1,048,576, all of them free.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`] if `max` is outside of that range.
    pub fn new(max: usize) -> Result<Self, ConfigError> {
        let max = checked_concurrency("max", max)?;
        Ok(Self {
            permits: Arc::new(WaitList::new(vec![(); max])),
            max,
        })
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
    pub fn acquire(&self) -> impl Future<Output = Permit> + Send + use<> {
        let permits = Arc::clone(&self.permits); // becomes the permit's
        async move {
            permits.take().await;
            Permit { permits }
        }
    }

    /// Takes a permit, putting the thread to sleep while there is none. Threads and tasks stand in
    /// the same line.
    ///
    /// Must not be called from a task: it would block the executor's thread.
    pub fn acquire_blocking(&self) -> Permit {
        self.permits.take_blocking();
        self.permit()
    }

    /// Takes a permit if one is free. Never overtakes a waiter.
    pub fn try_acquire(&self) -> Option<Permit> {
        self.permits.try_take().map(|()| self.permit())
    }

    /// How many permits are held, or handed to a waiter that has not run yet.
    #[must_use]
    pub fn active(&self) -> usize {
        self.max - self.permits.idle()
    }

    /// How many permits there are.
    #[must_use]
    pub fn max(&self) -> usize {
        self.max
    }

    /// Whether [`try_acquire`](Self::try_acquire) would have succeeded at this moment.
    #[must_use]
    pub fn has_capacity(&self) -> bool {
        self.permits.idle() > 0
    }

    /// How many tasks and threads wait in line.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.permits.waiting()
    }

    fn permit(&self) -> Permit {
        Permit {
            permits: Arc::clone(&self.permits),
        }
    }
}

/// The right to do one piece of work, returned to its [`WorkerPool`] on drop.
///
/// It is owned: it may move to another task or thread and outlive the handle it came from. It can
/// be returned only once.
#[derive(Debug)]
#[must_use = "a permit is returned as soon as it is dropped"]
pub struct Permit {
    permits: Arc<WaitList<()>>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.permits.put(());
    }
}
