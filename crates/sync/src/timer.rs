//! [`Timer`]: waiting for a deadline of a clock, from tasks and from threads.

use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::block_on::block_on;
use crate::clock::Clock;
use crate::sleepers::Key;

/// A clock whose deadlines can be waited for.
///
/// A sleep never ends early: when it does, [`now`](Clock::now) of the same value has reached the
/// deadline. Whoever implements this promises as much.
///
/// The trait is object safe, and `Arc<dyn Timer>` is what a long-lived value holds: a sleep costs
/// far more than a virtual call, and a type parameter would spread to every handle above it.
/// `Arc<dyn Timer>` converts to `Arc<dyn Clock>`. [`TimerExt`] adds what needs generics.
pub trait Timer: Clock {
    /// A future that ends when the clock has reached `deadline`.
    fn sleep_until(&self, deadline: Duration) -> Sleep;

    /// A future that ends `after` from now; with `Duration::MAX`, never.
    fn sleep(&self, after: Duration) -> Sleep {
        self.sleep_until(self.now().saturating_add(after))
    }
}

macro_rules! forward {
    ($($pointer:ty),*) => {$(
        impl<T: Timer + ?Sized> Timer for $pointer {
            fn sleep_until(&self, deadline: Duration) -> Sleep {
                (**self).sleep_until(deadline)
            }

            fn sleep(&self, after: Duration) -> Sleep {
                (**self).sleep(after)
            }
        }
    )*};
}

forward!(Arc<T>, Box<T>, &T);

/// Waits that every [`Timer`] offers.
pub trait TimerExt: Timer {
    /// Runs a future for `after` at most.
    ///
    /// The future is asked first, so a result that is there is never turned down. A future that is
    /// ready at its first poll costs no look at the clock; otherwise the time counts from the end
    /// of that first poll.
    ///
    /// # Errors
    ///
    /// [`Elapsed`] when the time is over and the future is still pending. The future is dropped.
    ///
    /// # Cancel safety
    ///
    /// Dropping the wait drops the future and the sleep, no more.
    fn timeout<F: Future>(
        &self,
        after: Duration,
        future: F,
    ) -> impl Future<Output = Result<F::Output, Elapsed>> {
        async move {
            let mut future = pin!(future);
            let mut sleep = None;
            poll_fn(|cx| {
                if let Poll::Ready(output) = future.as_mut().poll(cx) {
                    return Poll::Ready(Ok(output));
                }
                let sleep = sleep.get_or_insert_with(|| self.sleep(after));
                Pin::new(sleep).poll(cx).map(|()| Err(Elapsed { after }))
            })
            .await
        }
    }

    /// Puts the thread to sleep for `after`.
    ///
    /// Must not be called from a task: it would block the executor's thread.
    fn sleep_blocking(&self, after: Duration) {
        block_on(self.sleep(after));
    }

    /// Drives a future on this thread, for `after` at most; see [`timeout`](Self::timeout).
    ///
    /// With a [`WaitList`](crate::WaitList), `timer.timeout_blocking(limit, list.take())` is a
    /// blocking take with a time limit that stands in the same line as everybody else's.
    ///
    /// Must not be called from a task: it would block the executor's thread.
    ///
    /// # Errors
    ///
    /// [`Elapsed`] when the time is over and the future is still pending.
    fn timeout_blocking<F: Future>(
        &self,
        after: Duration,
        future: F,
    ) -> Result<F::Output, Elapsed> {
        block_on(self.timeout(after, future))
    }
}

impl<T: Timer + ?Sized> TimerExt for T {}

/// The time was over before the future was ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Elapsed {
    /// How long was waited.
    pub after: Duration,
}

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not ready after {:?}", self.after)
    }
}

impl Error for Elapsed {}

/// The future of [`Timer::sleep_until`]: ends when the clock has reached the deadline.
///
/// It takes its place among the sleepers at its first poll and gives it back when it ends or is
/// dropped. Polled again after its end, it is ready again.
#[must_use = "futures do nothing unless polled"]
pub struct Sleep {
    deadline: Duration,
    kind: Kind,
}

enum Kind {
    Listed {
        list: Arc<dyn Listing>,
        key: Option<Key>,
    },
    Foreign(Pin<Box<dyn Future<Output = ()> + Send + Sync>>),
    Over,
}

/// Where sleepers are listed, as a sleep sees it.
pub(crate) trait Listing: Send + Sync {
    /// Ready if the deadline is reached, in which case the key is spent; otherwise listed.
    fn poll(&self, deadline: Duration, key: &mut Option<Key>, cx: &mut Context<'_>) -> Poll<()>;

    /// Takes a sleeper off the list.
    fn cancel(&self, key: Key);
}

impl Sleep {
    /// A sleep until `deadline` that ends with `future`, for timers of other crates.
    pub fn from_future(
        deadline: Duration,
        future: impl Future<Output = ()> + Send + Sync + 'static,
    ) -> Self {
        Self {
            deadline,
            kind: Kind::Foreign(Box::pin(future)),
        }
    }

    pub(crate) fn listed(deadline: Duration, list: Arc<dyn Listing>) -> Self {
        Self {
            deadline,
            kind: Kind::Listed { list, key: None },
        }
    }

    /// The time of the timer's clock at which this ends.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        self.deadline
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = self.deadline;
        let polled = match &mut self.kind {
            Kind::Listed { list, key } => list.poll(deadline, key, cx),
            Kind::Foreign(future) => future.as_mut().poll(cx),
            Kind::Over => Poll::Ready(()),
        };
        if polled.is_ready() {
            self.kind = Kind::Over;
        }
        polled
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Kind::Listed {
            list,
            key: Some(key),
        } = &self.kind
        {
            list.cancel(*key);
        }
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep")
            .field("deadline", &self.deadline)
            .field("over", &matches!(self.kind, Kind::Over))
            .finish_non_exhaustive()
    }
}
