//! [`BulkSink`]: items into a store by bulk calls, and a bounded buffer for those it did not take.

mod batch;
mod builder;
mod contained;
mod error;
mod gate;
mod held;
mod ledger;
mod place;
mod report;
mod store;
mod work;

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;

use brolly_sync::WaitList;

use crate::cancel::CancelToken;
use crate::control::Control;
use crate::drive::Drive;
use crate::limiter::Limiter;
use crate::primitive::{Mutex, lock};
use batch::{Sender, Sent};
use held::{Batch, Held, Origin};
use ledger::Ledger;
use place::{Place, unless_stopping, within};
use work::{Sending, StopAt};

pub use builder::BulkSinkBuilder;
pub use error::SinkError;
pub use gate::{BatchOutcome, BulkGate, BulkPass, Rejected};
pub use ledger::SinkStats;
pub use report::{Flushed, Inserted};
pub use store::{BulkStore, Receipt};

/// Inserts items into a store by one call per batch, and keeps those that it did not take.
///
/// A bounded number of batches is under way at a time, over all tasks that use the sink. What
/// failed is tried again as far as the retry policy says, and then goes to a buffer of bounded size,
/// the oldest item first, from where [`flush`](Self::flush) sends it again. When the buffer is full
/// its oldest item is dropped, and counted. An item leaves the sink in one of three ways only: the
/// store has confirmed it, it was dropped from the full buffer, or
/// [`take_buffered`](Self::take_buffered) handed it out.
///
/// Delivery is **at least once**: see [`BulkStore`]. The buffer is memory: it does not outlive the
/// process, and nothing flushes it but a call.
///
/// Clones are handles to the same sink.
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use brolly_batch::BulkSink;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let table = Arc::new(Mutex::new(Vec::new()));
/// let rows = Arc::clone(&table);
/// let sink = BulkSink::builder().batch_size(20).max_concurrent(2).build(move |batch: &[u32]| {
///     let (rows, batch) = (Arc::clone(&rows), batch.to_vec());
///     async move {
///         rows.lock().unwrap().extend(batch); // one call for twenty items
///         Ok::<(), std::io::Error>(())
///     }
/// })?;
/// let inserted = sink.insert((0..50).collect()).await;
/// assert!(inserted.is_complete());
/// assert_eq!(table.lock().unwrap().len(), 50);
/// assert_eq!(sink.stats().calls, 3);
/// # Ok(())
/// # }
/// ```
pub struct BulkSink<T, S: BulkStore<T>> {
    shared: Arc<Shared<T, S>>,
}

struct Shared<T, S: BulkStore<T>> {
    sender: Sender<S, S::Error>,
    batch_size: usize,
    /// The most batches under way in one call, and over all calls.
    limit: usize,
    token: Option<CancelToken>,
    limiter: Option<Limiter>,
    strict_order: bool,
    /// One for each batch that may be under way. In strict order a call holds the only one.
    turns: WaitList<()>,
    ledger: Arc<Mutex<Ledger<T>>>,
}

impl<T, S: BulkStore<T>> BulkSink<T, S> {
    /// Starts from the defaults: batches of 20 items, 4 of them at a time, a buffer of 500 items,
    /// no order, no retries, no gate.
    pub fn builder() -> BulkSinkBuilder<T, S> {
        BulkSinkBuilder::new()
    }

    /// How many items the buffer holds.
    #[must_use]
    pub fn buffered(&self) -> usize {
        lock(&self.shared.ledger).buffered()
    }

    /// Where all items are, counted at this moment.
    #[must_use]
    pub fn stats(&self) -> SinkStats {
        lock(&self.shared.ledger).stats()
    }

    /// Takes everything out of the buffer, the oldest item first; it is the caller's from now on.
    /// For the end of a process, which the buffer does not survive.
    #[must_use = "the items are in no buffer any more"]
    pub fn take_buffered(&self) -> Vec<T> {
        let all = lock(&self.shared.ledger).take_all();
        all.into_values().collect()
    }
}

impl<T, S> BulkSink<T, S>
where
    T: Send + Sync,
    S: BulkStore<T>,
{
    /// Stores the items and says what became of each.
    ///
    /// The items belong to the sink from this call on, before the future is polled. The future
    /// borrows nothing, so it may be spawned or outlive the handle it came from.
    ///
    /// Batches of all calls take turns in order of arrival; one that has to wait for a permit of the
    /// sink's limiter waits for its turn once more when it has it. A call that is kept but not
    /// polled keeps the turns that it was given, and a store that waits for an `insert` or `flush`
    /// of its own sink may wait for itself.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future at any time, even unpolled, puts every item into the buffer that the
    /// store has not confirmed, in its place by age. The batches under way are dropped: the store
    /// may have taken them or not, so a later flush may bring them twice.
    ///
    /// # Cost
    ///
    /// Two allocations per batch, the vector of results, and what the store does. A failed item
    /// costs one insertion into a sorted map.
    #[must_use = "the items go to the buffer unless it is awaited"]
    pub fn insert(
        &self,
        items: Vec<T>,
    ) -> impl Future<Output = Inserted<S::Error>> + Send + use<T, S> {
        let shared = Arc::clone(&self.shared);
        let held = Held::new(&shared.ledger, items);
        async move {
            let mut place = shared.place_of_call().await;
            let work = Sending::insert(held, shared.batch_size, shared.strict_order);
            shared.run(&mut place, work).await.into_inserted()
        }
    }

    /// Sends what is in the buffer when it begins, the oldest items first, each once. What fails is
    /// in the buffer again when this ends, at the place it had.
    ///
    /// It ends early when the gate turns a batch away, and in strict order at the first item that
    /// is not stored. Two flushes at a time share the buffer: no item is under way in both, but
    /// what one could not store the other may try once more.
    ///
    /// # Cancel safety
    ///
    /// As with [`insert`](Self::insert): what the store has not confirmed is in the buffer, in
    /// order.
    #[must_use = "nothing is sent unless it is awaited"]
    pub fn flush(&self) -> impl Future<Output = Flushed<S::Error>> + Send + use<T, S> {
        let shared = Arc::clone(&self.shared);
        async move {
            let mut place = shared.place_of_call().await;
            let stop_at = match shared.strict_order {
                true => StopAt::AnyFailure,
                false => StopAt::Rejection,
            };
            let origin = Origin::new(&shared.ledger);
            let work = Sending::flush(origin, shared.batch_size, stop_at);
            shared.run(&mut place, work).await.into_flushed()
        }
    }
}

impl<T, S> Shared<T, S>
where
    T: Send + Sync,
    S: BulkStore<T>,
{
    async fn run(
        &self,
        place: &mut Option<Place<'_>>,
        work: Sending<T, S::Error>,
    ) -> Sending<T, S::Error> {
        let send = |batch: Batch<T>| async {
            let mut place = None;
            if !self.strict_order {
                let own = Place::take(&self.turns, self.limiter.as_ref());
                place = unless_stopping(self.token.as_ref(), own).await;
                if place.is_none() {
                    return Ok(Sent::cancelled(&batch)); // it has not started
                }
            }
            let mut sending = pin!(self.sender.send(batch));
            Ok(poll_fn(|cx| within(&mut place, || sending.as_mut().poll(cx))).await)
        };
        let mut drive = Drive::new(work, self.limit, self.control(), send);
        poll_fn(|cx| within(place, || Pin::new(&mut drive).poll(cx))).await
    }

    fn control(&self) -> Control {
        let control = Control::default();
        match &self.token {
            Some(token) => control.cancel_with(token),
            None => control,
        }
    }

    /// In strict order a call has a place and its batches run in it; else each batch has its own.
    /// There is none either if the sink is told to stop, and then the call sends nothing.
    async fn place_of_call(&self) -> Option<Place<'_>> {
        if !self.strict_order {
            return None;
        }
        let place = Place::in_order(&self.turns, self.limiter.as_ref());
        unless_stopping(self.token.as_ref(), place).await
    }
}

impl<T, S: BulkStore<T>> Clone for BulkSink<T, S> {
    /// Another handle to the same sink.
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T, S: BulkStore<T>> fmt::Debug for BulkSink<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkSink")
            .field("batch_size", &self.shared.batch_size)
            .field("max_concurrent", &self.shared.limit)
            .field("strict_order", &self.shared.strict_order)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
