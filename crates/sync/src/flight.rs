//! [`Flight`]: one run of a load, shared by everybody who wants its result.

mod shared;
mod waiters;

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::block_on::block_on;
use crate::timer::{Elapsed, Timer, TimerExt};
use shared::{Reentrant, Shared};

/// One run of a load whose result everybody shares who joined it: single flight.
///
/// The load is a future that belongs to the flight and not to the caller who started it. Whoever
/// takes part may poll it: tasks of any runtime and blocked threads alike, one at a time, always
/// the same future. When what it waits for happens, everybody who waits is woken and the first to
/// look goes on with it; so a participant that is dropped, or kept but never polled again, holds
/// up nobody, and nothing starts again from zero.
///
/// A flight is one run. What it is a run of, by which key it is found and how long its result is
/// kept is the business of a map above: [`join`](Self::join) tells it when a flight cannot be
/// joined any more and has to be replaced.
///
/// The result is cloned for each participant; wrap what is dear to clone in an `Arc`. A flight
/// costs two allocations, a third once somebody has to wait. Joining, leaving and looking take one
/// short lock, and none after the landing. No lock is held while foreign code runs: the load, its
/// destructor, wakers, the clone of a result.
///
/// ```
/// use brolly_sync::Flight;
///
/// let flight = Flight::new(async { "loaded once" });
/// let (mut first, mut second) = (flight.join().unwrap(), flight.join().unwrap());
/// let other = std::thread::spawn(move || second.wait());
/// assert_eq!(first.wait(), Ok("loaded once"));
/// assert_eq!(other.join().unwrap(), Ok("loaded once"));
/// ```
#[doc(alias = "singleflight")]
#[doc(alias = "shared")]
#[doc(alias = "coalesce")]
pub struct Flight<T> {
    shared: Arc<Shared<T>>,
}

/// A future that runs in the background.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs futures in the background: the handle of a runtime, or a closure around one.
pub trait Spawn: Send + Sync {
    /// Starts a task and does not wait for it.
    ///
    /// Dropping the task unfinished is allowed, as a runtime does that shuts down.
    fn spawn(&self, task: Task);
}

impl<F: Fn(Task) + Send + Sync> Spawn for F {
    fn spawn(&self, task: Task) {
        self(task);
    }
}

/// Why a flight has no result for a participant.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FlightError {
    /// The load panicked. Everybody is told the same; the load is not run again.
    Panicked {
        /// What it panicked with, if that was text.
        message: Arc<str>,
    },
    /// The load waits for its own flight, which would wait for ever. Only the participant inside
    /// the load is told; the flight goes on.
    Reentrant,
}

impl fmt::Display for FlightError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked { message } => write!(f, "the load panicked: {message}"),
            Self::Reentrant => f.write_str("the load waits for its own flight"),
        }
    }
}

impl Error for FlightError {}

impl<T: Send + Sync + 'static> Flight<T> {
    /// A flight that nobody takes part in yet. The load starts when the first participant looks.
    ///
    /// When the last participant leaves, the load is dropped and the flight abandoned.
    ///
    /// The load is polled wherever its participants are, blocked threads included. One that needs
    /// the context of a runtime wants [`with_spawner`](Self::with_spawner).
    #[must_use]
    pub fn new(load: impl Future<Output = T> + Send + 'static) -> Self {
        Self {
            shared: Arc::new(Shared::new(Box::pin(load), None)),
        }
    }

    /// A flight that continues in the background when its last participant leaves.
    ///
    /// Blocked threads leave polling to the spawner too, so that a load that needs its runtime is
    /// never polled outside of it by them. Should the spawner drop what it was given, the
    /// participants go on without it.
    #[must_use]
    pub fn with_spawner(
        load: impl Future<Output = T> + Send + 'static,
        spawner: Arc<dyn Spawn>,
    ) -> Self {
        Self {
            shared: Arc::new(Shared::new(Box::pin(load), Some(spawner))),
        }
    }

    /// A flight of a load that its first participant has polled already, and that has to wait; and
    /// that participant, which need not look before it is woken.
    ///
    /// `waker` is the one that the load was polled with last. Whoever else takes part looks at the
    /// load at once, so that nobody depends on the first participant.
    ///
    /// ```
    /// use std::future::{Future, pending};
    /// use std::task::{Context, Waker};
    ///
    /// use brolly_sync::Flight;
    ///
    /// let waker = Waker::noop();
    /// let mut load = Box::pin(pending::<u32>());
    /// assert!(load.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
    /// let (flight, first) = Flight::polled(load, None, waker.clone());
    /// assert_eq!(flight.joined(), 1);
    /// # drop(first);
    /// ```
    pub fn polled(
        load: impl Future<Output = T> + Send + 'static,
        spawner: Option<Arc<dyn Spawn>>,
        waker: Waker,
    ) -> (Self, Join<T>) {
        let (shared, seat) = Shared::polled(Box::pin(load), spawner, waker);
        let shared = Arc::new(shared);
        let flight = Self {
            shared: Arc::clone(&shared),
        };
        let first = Join {
            shared,
            seat: Some(seat),
            parks: false,
            expelled: false,
        };
        (flight, first)
    }

    /// Takes part. `None` if the flight was abandoned: everybody had left, and its load is gone.
    ///
    /// From here on the flight is not abandoned, whether the participant is polled or not.
    #[must_use]
    pub fn join(&self) -> Option<Join<T>> {
        self.shared.join().then(|| Join {
            shared: Arc::clone(&self.shared),
            seat: None,
            parks: false,
            expelled: false,
        })
    }

    /// The outcome, if the flight has landed.
    #[must_use]
    pub fn peek(&self) -> Option<Result<T, FlightError>>
    where
        T: Clone,
    {
        self.shared.outcome().cloned()
    }

    /// How many take part at the moment, a driver in the background included. Not counted any more
    /// once the flight has landed.
    #[must_use]
    pub fn joined(&self) -> usize {
        self.shared.joined()
    }
}

impl<T: Send + Sync + 'static> Clone for Flight<T> {
    /// Another handle to the same flight. Handles do not take part.
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for Flight<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flight")
            .field("joined", &self.joined())
            .field("landed", &self.shared.outcome().is_some())
            .finish_non_exhaustive()
    }
}

/// One participant of a [`Flight`]: a future of its outcome.
///
/// Polled again after its end, it returns the outcome again.
///
/// # Cancel safety
///
/// Dropping it leaves the flight. The others continue the same load; the last one to leave drops
/// it, or hands it to the spawner.
///
/// # Errors
///
/// [`FlightError`]: the load panicked, or this participant is awaited by the load itself. The
/// latter is noticed when the load polls it directly, however many futures or other flights lie
/// between; a load that waits for another task or thread that waits for the flight is a deadlock
/// like any other.
#[must_use = "futures do nothing unless polled"]
pub struct Join<T: Send + Sync + 'static> {
    shared: Arc<Shared<T>>,
    seat: Option<usize>,
    /// Leaves polling to the spawner.
    parks: bool,
    /// Was found to be inside the load, and takes part no longer.
    expelled: bool,
}

impl<T: Clone + Send + Sync + 'static> Join<T> {
    /// Waits for the outcome on this thread, which polls the load itself unless the flight has a
    /// spawner.
    ///
    /// Must not be called from a task: it would block the executor's thread.
    ///
    /// # Errors
    ///
    /// As for the future.
    pub fn wait(&mut self) -> Result<T, FlightError> {
        self.parks = true;
        let outcome = block_on(&mut *self);
        self.parks = false;
        outcome
    }

    /// Waits for the outcome on this thread, for `limit` at most. Afterwards this still takes part,
    /// and may wait again.
    ///
    /// # Errors
    ///
    /// [`Elapsed`] when the time is over; inside, the errors of the future.
    pub fn wait_timeout<C: Timer + ?Sized>(
        &mut self,
        timer: &C,
        limit: Duration,
    ) -> Result<Result<T, FlightError>, Elapsed> {
        self.parks = true;
        let outcome = timer.timeout_blocking(limit, &mut *self);
        self.parks = false;
        outcome
    }
}

impl<T: Clone + Send + Sync + 'static> Future for Join<T> {
    type Output = Result<T, FlightError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if this.expelled {
            return Poll::Ready(Err(FlightError::Reentrant));
        }
        match this.shared.poll(&mut this.seat, this.parks, cx.waker()) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(outcome)) => Poll::Ready(outcome.clone()),
            Poll::Ready(Err(Reentrant)) => {
                // Kept inside the load, it would keep the load alive for ever.
                this.expelled = true;
                this.shared.leave(this.seat.take());
                Poll::Ready(Err(FlightError::Reentrant))
            }
        }
    }
}

impl<T: Send + Sync + 'static> Drop for Join<T> {
    fn drop(&mut self) {
        if !self.expelled {
            self.shared.leave(self.seat.take());
        }
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for Join<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Join")
            .field("landed", &self.shared.outcome().is_some())
            .finish_non_exhaustive()
    }
}
