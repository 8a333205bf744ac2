//! [`PriorityQueue`]: what is most urgent first, and nothing starves.

mod builder;
mod error;
#[cfg(all(test, brolly_loom))]
mod models;
mod order;
mod urgency;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use brolly_sync::{Clock, WaitList};

pub use builder::PriorityQueueBuilder;
pub use error::PushError;
use order::Order;
pub use urgency::Urgency;

use crate::panic::contained;
use crate::primitive::{Mutex, lock};

/// A bounded queue that gives out the most urgent item first, and every item in the end.
///
/// Class 0 is the most urgent. Of two items of one class the one with the earlier deadline goes
/// first, one without a deadline after all that have one, and of equals the one pushed first.
///
/// **Aging.** An item rises by one class each time the clock passes a multiple of
/// [`aging`](PriorityQueueBuilder::aging), so nothing that is pushed later than
/// `(class + 1) * aging` after an item goes before it, however urgent. From then on at most
/// `capacity - 1` other items can. Ranks are fixed at the push and never change, so aging costs
/// nothing; `docs/design/batch.md` in the repository says how.
///
/// **Takers** (tasks and threads) stand in one line, first come, first served. A taker gets what
/// is most urgent when it runs, not when it was woken.
///
/// Clones are handles to the same queue, and it is closed when the last one is dropped: who still
/// waits for an item could wait for ever. Pushing and taking cost O(log n) and take two short locks;
/// no waker is called and no item is dropped while one is held.
///
/// ```
/// use std::time::Duration;
/// use brolly_batch::{PriorityQueue, Urgency};
///
/// let queue = PriorityQueue::builder().capacity(100).build()?;
/// queue.push("tidy up", 7)?;
/// queue.push("report", 2)?;
/// queue.push("reply", Urgency::class(2).within(Duration::from_secs(5)))?;
/// assert_eq!(queue.pop_blocking().expect("it is open").item, "reply");
/// assert_eq!(queue.pop_blocking().expect("it is open").item, "report");
/// queue.close();
/// assert_eq!(queue.pop_blocking().expect("one is left").item, "tidy up");
/// assert!(queue.pop_blocking().is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "heap")]
#[doc(alias = "deadline")]
pub struct PriorityQueue<T> {
    shared: Arc<Shared<T>>,
    closes: Arc<ClosesWithLastHandle<T>>,
}

/// What all handles have together and takers have not.
struct ClosesWithLastHandle<T>(Arc<Shared<T>>);

/// An item that was taken from a [`PriorityQueue`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Popped<T> {
    /// The item.
    pub item: T,
    /// The class it was pushed with.
    pub class: u8,
    /// How long it was in the queue.
    pub waited: Duration,
    /// How long its deadline was over when it was taken; `None` if it came in time or had none. A
    /// late item is handed out all the same: whether it is still of use, its taker knows.
    pub late_by: Option<Duration>,
}

/// Invariant: until the queue is closed, there are as many units in `ready` (idle or handed to a
/// taker that has not run yet) as items, or fewer while a push is between its two steps. So who
/// holds a unit finds an item. Closing adds one unit, which each taker that finds nothing passes
/// on, so that all of them learn of it.
struct Shared<T> {
    state: Mutex<State<T>>,
    ready: WaitList<()>,
    clock: Arc<dyn Clock>,
    capacity: usize,
}

struct State<T> {
    order: Order<T>,
    closed: bool,
}

impl<T> PriorityQueue<T> {
    /// Starts from the defaults: 1,024 items, aging by a class every 10 seconds, the system's
    /// clock.
    pub fn builder() -> PriorityQueueBuilder<T> {
        PriorityQueueBuilder::new()
    }

    fn new(capacity: usize, aging: Duration, clock: Arc<dyn Clock>) -> Self {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                order: Order::new(aging),
                closed: false,
            }),
            ready: WaitList::new(Vec::new()),
            clock,
            capacity,
        });
        Self {
            closes: Arc::new(ClosesWithLastHandle(Arc::clone(&shared))),
            shared,
        }
    }

    /// Adds an item, at once or not at all. A plain number is a class without a deadline.
    ///
    /// # Errors
    ///
    /// [`PushError::Full`] when [`capacity`](Self::capacity) items are in the queue, and
    /// [`PushError::Closed`] after [`close`](Self::close); both give the item back.
    pub fn push(&self, item: T, urgency: impl Into<Urgency>) -> Result<(), PushError<T>> {
        let urgency = urgency.into();
        let now = self.shared.clock.now();
        {
            let mut state = lock(&self.shared.state);
            if state.closed {
                return Err(PushError::Closed(item));
            }
            if state.order.len() >= self.shared.capacity {
                return Err(PushError::Full(item));
            }
            state.order.push(item, urgency, now);
        }
        self.shared.put_unit();
        Ok(())
    }

    /// Takes the most urgent item if there is one. Never overtakes a waiting taker.
    #[must_use = "the item has left the queue"]
    pub fn try_pop(&self) -> Option<Popped<T>> {
        self.shared.ready.try_take()?;
        self.shared.redeem()
    }

    /// Takes the most urgent item, waiting in line while there is none. `None` once the queue is
    /// closed and empty.
    ///
    /// The place in line is taken at the first poll. The future borrows nothing, and keeps no queue
    /// open.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the line. It holds no item until it is ready, so none can be
    /// lost; a wake-up that was already its own passes on to the next in line.
    pub fn pop(&self) -> impl Future<Output = Option<Popped<T>>> + Send + use<T>
    where
        T: Send,
    {
        let shared = Arc::clone(&self.shared);
        async move {
            shared.ready.take().await;
            shared.redeem()
        }
    }

    /// Takes the most urgent item, putting the thread to sleep while there is none. `None` once the
    /// queue is closed and empty.
    ///
    /// Must not be called from a task: it would block the executor's thread.
    #[must_use = "the item has left the queue"]
    pub fn pop_blocking(&self) -> Option<Popped<T>> {
        self.shared.ready.take_blocking();
        self.shared.redeem()
    }

    /// Ends the pushing. Takers get what is left, and then `None`. Closing again does nothing.
    pub fn close(&self) {
        self.shared.close();
    }

    /// Whether [`close`](Self::close) was called.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        lock(&self.shared.state).closed
    }

    /// How many items are in the queue.
    #[must_use]
    pub fn len(&self) -> usize {
        lock(&self.shared.state).order.len()
    }

    /// Whether no item is in the queue.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many items may be in the queue.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.shared.capacity
    }

    /// How many tasks and threads wait in line for an item.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.ready.waiting()
    }
}

impl<T> Shared<T> {
    /// Makes a unit ready. If that wakes a taker whose waker panics, it is the taker's concern.
    fn put_unit(&self) {
        contained(|| self.ready.put(()));
    }

    fn close(&self) {
        let was_closed = std::mem::replace(&mut lock(&self.state).closed, true);
        if !was_closed {
            self.put_unit();
        }
    }

    /// Trades a unit of `ready` for an item.
    fn redeem(&self) -> Option<Popped<T>> {
        let now = self.clock.now();
        let popped = lock(&self.state).order.pop();
        let Some(entry) = popped else {
            // By the invariant the queue is closed, and this was the unit of its closing.
            self.put_unit();
            return None;
        };
        let late_by = entry.deadline.and_then(|at| now.checked_sub(at));
        Some(Popped {
            item: entry.item,
            class: entry.class,
            waited: now.saturating_sub(entry.pushed),
            late_by: late_by.filter(|by| !by.is_zero()),
        })
    }
}

impl<T> Clone for PriorityQueue<T> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            closes: Arc::clone(&self.closes),
        }
    }
}

impl<T> Drop for ClosesWithLastHandle<T> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl<T> fmt::Debug for PriorityQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PriorityQueue")
            .field("len", &self.len())
            .field("capacity", &self.shared.capacity)
            .field("waiting", &self.waiting())
            .field("closed", &self.is_closed())
            .finish()
    }
}
