//! [`WaitList`]: values handed from those who give to those who wait, in order of arrival.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::block_on::block_on;
use crate::primitive::{Mutex, lock};
use crate::queue::{Queue, Redeemed};

/// A store of values with a first-come, first-served queue of takers.
///
/// [`put`](Self::put) hands its value straight to whoever has waited longest, so nobody can
/// overtake: a value becomes idle only when nobody waits. Tasks and threads wait in the same
/// queue. A `WaitList<()>` holding `n` units is a fair semaphore; a list of connections is the
/// core of a pool.
///
/// Every operation takes one short lock and O(1) time. No waker is called, and no value or waker
/// is dropped, while the lock is held. Waiting allocates only when the queue grows beyond its
/// longest length so far.
///
/// ```
/// use brolly_sync::WaitList;
///
/// let list = WaitList::new(vec!["a"]);
/// let value = list.try_take().expect("one value is idle");
/// assert!(list.try_take().is_none());
///
/// std::thread::scope(|scope| {
///     let waiter = scope.spawn(|| list.take_blocking());
///     list.put(value); // kept, or handed to the waiter if it already waits
///     assert_eq!(waiter.join().expect("the waiter got it"), "a");
/// });
/// ```
#[doc(alias = "semaphore")]
#[doc(alias = "queue")]
pub struct WaitList<T> {
    queue: Mutex<Queue<T>>,
}

impl<T> WaitList<T> {
    /// A list that holds these values to begin with. The last one is taken first.
    #[must_use]
    pub fn new(idle: Vec<T>) -> Self {
        Self {
            queue: Mutex::new(Queue::new(idle)),
        }
    }

    /// Adds a value: the longest waiting taker gets it, or it is kept until somebody asks.
    ///
    /// Any value may be put, not only one that was taken before.
    pub fn put(&self, value: T) {
        let waker = lock(&self.queue).put(value);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Takes an idle value, the one put last, or returns `None`. Never overtakes a waiter.
    #[must_use]
    pub fn try_take(&self) -> Option<T> {
        lock(&self.queue).take_idle()
    }

    /// Takes a value, waiting in line if there is none.
    ///
    /// The place in line is taken at the first poll.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the line; a value that was already handed to it passes on to the
    /// next in line.
    ///
    /// # Panics
    ///
    /// As with any `async fn`, polling the future again after it has returned its value panics.
    pub fn take(&self) -> Take<'_, T> {
        Take {
            list: self,
            place: Place::Outside,
        }
    }

    /// Takes a value, putting the thread to sleep while there is none.
    ///
    /// Must not be called from a task: it would block the executor's thread.
    pub fn take_blocking(&self) -> T {
        match self.try_take() {
            Some(value) => value,
            None => block_on(self.take()),
        }
    }

    /// How many values are idle right now.
    #[must_use]
    pub fn idle(&self) -> usize {
        lock(&self.queue).idle()
    }

    /// How many takers are in line right now.
    #[must_use]
    pub fn waiting(&self) -> usize {
        lock(&self.queue).waiting()
    }
}

impl<T> fmt::Debug for WaitList<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (idle, waiting) = {
            let queue = lock(&self.queue);
            (queue.idle(), queue.waiting())
        };
        f.debug_struct("WaitList")
            .field("idle", &idle)
            .field("waiting", &waiting)
            .finish()
    }
}

/// The future of [`WaitList::take`].
#[must_use = "futures do nothing unless polled"]
pub struct Take<'a, T> {
    list: &'a WaitList<T>,
    place: Place,
}

/// Where a taker stands.
enum Place {
    /// It was not polled yet.
    Outside,
    /// In line, with this ticket.
    InLine(usize),
    /// It has returned its value, and one is all it gets.
    Served,
}

impl<T> Future for Take<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        // Cloning or dropping a waker may run foreign code, so both happen outside the lock, and
        // the state is looked at anew afterwards.
        let mut fresh = None;
        loop {
            let mut queue = lock(&self.list.queue);
            let ticket = match self.place {
                Place::InLine(ticket) => ticket,
                Place::Outside => {
                    if let Some(value) = queue.take_idle() {
                        drop(queue);
                        self.place = Place::Served;
                        return Poll::Ready(value);
                    }
                    if let Some(waker) = fresh.take() {
                        let ticket = queue.join(waker);
                        drop(queue);
                        self.place = Place::InLine(ticket);
                        return Poll::Pending;
                    }
                    drop(queue);
                    fresh = Some(cx.waker().clone());
                    continue;
                }
                Place::Served => {
                    drop(queue);
                    panic!("polled after completion");
                }
            };
            match queue.redeem(ticket, cx.waker()) {
                Redeemed::Granted(value) => {
                    drop(queue);
                    self.place = Place::Served;
                    return Poll::Ready(value);
                }
                Redeemed::Waiting => return Poll::Pending,
                Redeemed::StaleWaker => {
                    if let Some(waker) = fresh.take() {
                        let stale = queue.replace_waker(ticket, waker);
                        drop(queue);
                        drop(stale);
                        return Poll::Pending;
                    }
                    drop(queue);
                    fresh = Some(cx.waker().clone());
                }
            }
        }
    }
}

impl<T> Drop for Take<'_, T> {
    fn drop(&mut self) {
        if let Place::InLine(ticket) = self.place {
            let (next, own) = lock(&self.list.queue).cancel(ticket);
            drop(own);
            if let Some(waker) = next {
                waker.wake();
            }
        }
    }
}

impl<T> fmt::Debug for Take<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Take")
            .field("in_line", &matches!(self.place, Place::InLine(_)))
            .finish_non_exhaustive()
    }
}
