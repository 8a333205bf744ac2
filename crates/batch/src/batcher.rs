//! [`Batcher`]: concurrent calls collapsed into bulk calls.

mod builder;
mod cell;
mod close;
mod error;
mod foreign;
mod line;
#[cfg(all(test, brolly_loom))]
mod models;
mod open;
mod shared;
mod state;
mod stats;
mod submit;
mod turn;

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use brolly_sync::block_on;

pub use builder::BatcherBuilder;
pub use close::Close;
pub use error::{BatchError, TrySubmitError};
pub use stats::BatcherStats;
pub use submit::Submit;

use shared::Shared;
use stats::Trigger;

/// Collapses concurrent calls, each with one key, into calls of a bulk function.
///
/// A call is given a place in the open batch of its partition. The batch starts when it has
/// `max_size` keys or `max_bytes`, when its first key has waited for the `linger`, when nobody came
/// for the `idle` time, when nothing is in flight (`eager`), by [`flush`](Self::flush), or because
/// there is no room. The bulk function then runs as a task of its own, and each caller takes its
/// own value out of the batch.
///
/// Clones are handles to the same batcher. When the last one is dropped, open batches start at
/// once and calls that were made go on without lingering.
///
/// All callers of a batch share one cell: a call costs no channel and no allocation of its own.
/// A key waits in memory until its batch starts, so there are never more than `capacity` of them,
/// and at most `max_in_flight` times `max_size` with the bulk function.
///
/// ```
/// use std::time::Duration;
///
/// use brolly_batch::{BatchError, Batcher};
/// use tokio::runtime::Handle;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let spawner = Handle::current();
/// # let spawner = move |task| drop(spawner.spawn(task));
/// let names = Batcher::builder()
///     .max_size(100)
///     .linger(Duration::from_millis(2))
///     .build(spawner, |ids: Vec<u32>| async move {
///         // One query for all of them.
///         Ok::<_, std::io::Error>(ids.iter().map(|id| format!("user {id}")).collect())
///     })?;
///
/// let (first, second) = tokio::join!(names.submit(1), names.submit(2));
/// assert_eq!((first?.as_str(), second?.as_str()), ("user 1", "user 2"));
/// assert_eq!(names.stats().batches, 1);
///
/// names.close().await;
/// assert!(matches!(names.submit(3).await, Err(BatchError::Closed)));
/// # Ok(())
/// # }
/// ```
#[doc(alias = "dataloader")]
#[doc(alias = "coalesce")]
pub struct Batcher<K, V, E, P = ()> {
    handles: Arc<Handles<K, V, E, P>>,
}

/// Starts what is open when the last handle goes.
struct Handles<K, V, E, P>(Arc<Shared<K, V, E, P>>);

impl<K, V, E> Batcher<K, V, E> {
    /// Begins a batcher that has `max_size` 100, a `linger` of 1 ms, `max_in_flight` 4 and a
    /// `capacity` of 10,000, and puts all keys into one partition.
    pub fn builder() -> BatcherBuilder<K, V, E> {
        BatcherBuilder::new()
    }
}

impl<K, V, E, P: Hash + Eq> Batcher<K, V, E, P> {
    /// Calls the bulk function for this key, together with whoever else calls in time.
    ///
    /// The call takes its place when the future is first polled: in a batch, or in line if there
    /// is no room. Room is given in order of arrival.
    ///
    /// A bulk function that waits for a call to its own batcher needs `max_in_flight` above one,
    /// or it waits for itself.
    ///
    /// # Errors
    ///
    /// [`BatchError`] says what befell the batch or this call.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up this call and no other; see [`Submit`].
    pub fn submit(&self, key: K) -> Submit<K, V, E, P> {
        Submit::new(Arc::clone(self.shared()), key)
    }

    /// Takes a place in a batch now, without standing in line. The future is to be awaited for the
    /// value.
    ///
    /// # Errors
    ///
    /// [`TrySubmitError`] gives the key back if there is no room, or somebody stands in line for
    /// it, or the batcher is closed.
    pub fn try_submit(&self, key: K) -> Result<Submit<K, V, E, P>, TrySubmitError<K>> {
        Submit::seated(Arc::clone(self.shared()), key)
    }

    /// [`submit`](Self::submit) for threads, which sleep meanwhile. Costs one more allocation.
    ///
    /// Must not be called from a task: it would block the executor's thread, and with it perhaps
    /// the batch it waits for.
    ///
    /// # Errors
    ///
    /// As for [`submit`](Self::submit).
    pub fn submit_blocking(&self, key: K) -> Result<V, BatchError<E>> {
        block_on(self.submit(key))
    }
}

impl<K, V, E, P> Batcher<K, V, E, P> {
    /// Starts every open batch, as far as there is room in flight; does not wait for them.
    pub fn flush(&self) {
        self.shared()
            .with(|state, after| state.flush(Trigger::Flush, after));
    }

    /// Takes no more calls from now on, whether the future is polled or not. It ends when every
    /// call is answered that was in a batch or in line; open batches start without lingering.
    ///
    /// Callers in line have to be polled or dropped, or this waits for them.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops the waiting; the batcher stays closed, and its calls go on.
    pub fn close(&self) -> Close<K, V, E, P> {
        self.shared().with(|state, after| state.close(after));
        Close::new(Arc::clone(self.shared()))
    }

    /// [`close`](Self::close) for threads. Must not be called from a task.
    pub fn close_blocking(&self) {
        block_on(self.close());
    }

    /// Whether [`close`](Self::close) was called, on any handle.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared().with(|state, _| state.is_closed())
    }

    /// What was done so far and what waits. Takes the batcher's lock.
    #[must_use]
    pub fn stats(&self) -> BatcherStats {
        self.shared().with(|state, _| state.stats())
    }

    fn new(shared: Shared<K, V, E, P>) -> Self {
        Self {
            handles: Arc::new(Handles(Arc::new(shared))),
        }
    }

    fn shared(&self) -> &Arc<Shared<K, V, E, P>> {
        &self.handles.0
    }
}

impl<K, V, E, P> Clone for Batcher<K, V, E, P> {
    fn clone(&self) -> Self {
        Self {
            handles: Arc::clone(&self.handles),
        }
    }
}

impl<K, V, E, P> Drop for Handles<K, V, E, P> {
    fn drop(&mut self) {
        self.0.with(|state, after| state.desert(after));
    }
}

impl<K, V, E, P> fmt::Debug for Batcher<K, V, E, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batcher")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
