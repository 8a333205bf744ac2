//! [`gather`]: many futures known by id, run side by side, and an answer for every id.

mod error;
mod gathered;
mod timed;
mod work;

use std::convert::identity;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};
use std::time::Duration;

use brolly_sync::{ThreadTimer, Timer};

use crate::cancel::CancelToken;
use crate::config::checked_concurrency;
use crate::control::Control;
use crate::drive::Drive;
use crate::limiter::Limiter;
use timed::{TimeLimit, Timed};
use work::GatherWork;

pub use error::{GatherError, SourceError};
pub use gathered::Gathered;

/// How many futures run at a time when nothing was set.
const DEFAULT_LIMIT: usize = 64;

/// Asks many sources at once, each known by an id, and answers for every one of them.
///
/// Each future ends as the value it returned or as a [`SourceError`]: it failed, panicked, took
/// too long, or was cancelled. One that fails or hangs never hides another, and none is left out.
/// The answer is sorted by id, whatever the order in which the futures end.
///
/// Nothing runs before the returned value is awaited. 64 futures run at a time unless
/// [`limit`](Gather::limit) says otherwise; they start in the order given.
///
/// ```
/// use brolly_batch::{SourceError, gather};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let answer = gather(["pool-b", "pool-a"].map(|id| (id, async move {
///     if id == "pool-a" { Ok(7) } else { Err("is down") }
/// })))
/// .limit(8)
/// .await?;
/// assert_eq!(answer.get("pool-a"), Some(&Ok(7)));
/// assert_eq!(answer.get("pool-b"), Some(&Err(SourceError::Failed("is down"))));
/// # Ok(())
/// # }
/// ```
///
/// # Panics
///
/// Only if the iterator does, or comparing ids; before anything starts.
///
/// # Cost
///
/// Two allocations for each future pending at the same time, and three vectors; none per item.
/// The ids are sorted once.
#[doc(alias = "join_all")]
#[doc(alias = "fan_out")]
#[doc(alias = "collect_all")]
pub fn gather<K, Fut, V, E>(sources: impl IntoIterator<Item = (K, Fut)>) -> Gather<K, Fut>
where
    K: Ord,
    Fut: Future<Output = Result<V, E>>,
{
    let (mut ids, mut futures) = (Vec::new(), Vec::new());
    // Not `unzip`, which reserves whatever the size hint says, and aborts if it is absurd.
    for (id, future) in sources {
        ids.push(id);
        futures.push(future);
    }
    Gather {
        ids,
        futures,
        limit: DEFAULT_LIMIT,
        timeout: None,
        deadline: None,
        timer: None,
        control: Control::default(),
        limiter: None,
    }
}

/// What [`gather`] will run, and how. Await it for the answer.
///
/// # Errors
///
/// Awaiting it fails before anything starts, as [`GatherError`], if an id is there twice or a
/// setting is out of range. The futures are dropped without having been polled.
///
/// # Cancel safety
///
/// Dropping it while it is awaited drops the futures that run and those that have not started, at
/// once; the answers so far are lost.
#[must_use = "nothing runs before it is awaited"]
pub struct Gather<K, Fut> {
    ids: Vec<K>,
    futures: Vec<Fut>,
    limit: usize,
    timeout: Option<Duration>,
    deadline: Option<Duration>,
    timer: Option<Arc<dyn Timer>>,
    control: Control,
    limiter: Option<Limiter>,
}

impl<K, Fut> Gather<K, Fut> {
    /// The most futures that run at a time: 1 to 1,048,576; 64 unless set.
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// How long each future may take, counted from its own start and not from the start of the
    /// call; no limit unless set.
    ///
    /// A future that is over its time is dropped and answered as [`SourceError::TimedOut`]. One
    /// that is ready at its first poll is never late, and costs no look at the clock.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// How long the whole run may take, counted from its first poll; no limit unless set. What has
    /// not ended then is dropped and answered as [`SourceError::DeadlineExceeded`].
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Ends the run when this token says so. What has not started, or is dropped because it was
    /// cancelled and not only drained, is answered as [`SourceError::Cancelled`].
    pub fn cancel_with(mut self, token: &CancelToken) -> Self {
        self.control = self.control.cancel_with(token);
        self
    }

    /// A bound that this run shares with others, on top of its own [`limit`](Self::limit). A future
    /// starts, and its time begins to count, when it has a permit; within an item of the same
    /// limiter the first one needs none of its own.
    pub fn limiter(mut self, limiter: &Limiter) -> Self {
        self.limiter = Some(limiter.clone());
        self
    }

    /// What measures [`timeout`](Self::timeout) and [`deadline`](Self::deadline). Unless set, a
    /// thread that all calls of this process share; it starts with the first wait and stays.
    pub fn timer(mut self, timer: impl Timer + 'static) -> Self {
        self.timer = Some(Arc::new(timer));
        self
    }
}

impl<K, Fut, V, E> IntoFuture for Gather<K, Fut>
where
    K: Ord,
    Fut: Future<Output = Result<V, E>>,
{
    type Output = Result<Gathered<K, V, E>, GatherError<K>>;
    type IntoFuture = Gathering<K, Fut, V, E>;

    fn into_future(self) -> Self::IntoFuture {
        let limit = match checked_concurrency("limit", self.limit) {
            Ok(limit) => limit,
            Err(error) => return Gathering::refused(GatherError::Config(error)),
        };
        let timer = || self.timer.clone().unwrap_or_else(shared_timer);
        let time = self.timeout.map(|after| TimeLimit {
            after,
            timer: timer(),
        });
        let mut control = match self.deadline {
            Some(deadline) => self.control.deadline(timer(), deadline),
            None => self.control,
        };
        if let Some(limiter) = &self.limiter {
            control = control.limiter(limiter.gate());
        }
        match GatherWork::new(self.ids, self.futures, time) {
            Ok(work) => Gathering(State::Running(Drive::new(work, limit, control, identity))),
            Err(error) => Gathering::refused(error),
        }
    }
}

impl<K: fmt::Debug, Fut> fmt::Debug for Gather<K, Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gather")
            .field("ids", &self.ids)
            .field("limit", &self.limit)
            .field("timeout", &self.timeout)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// One thread for all calls without a timer of their own: a call lasts too short for having one.
fn shared_timer() -> Arc<dyn Timer> {
    static TIMER: LazyLock<Arc<ThreadTimer>> = LazyLock::new(|| Arc::new(ThreadTimer::new()));
    Arc::clone(&*TIMER) as Arc<dyn Timer>
}

/// The future of [`Gather`].
///
/// As with any `async fn`, polling it again after its end panics.
#[must_use = "futures do nothing unless polled"]
pub struct Gathering<K, Fut, V, E>(State<K, Fut, V, E>);

#[expect(clippy::large_enum_variant, reason = "next to all of them run")]
enum State<K, Fut, V, E> {
    Refused(Option<GatherError<K>>),
    Running(Running<K, Fut, V, E>),
}

type Running<K, Fut, V, E> =
    Drive<GatherWork<K, Fut, V, E>, fn(Timed<Fut>) -> Timed<Fut>, Timed<Fut>>;

impl<K, Fut, V, E> Gathering<K, Fut, V, E> {
    fn refused(error: GatherError<K>) -> Self {
        Self(State::Refused(Some(error)))
    }
}

/// Nothing but the futures is ever pinned, and those are boxed.
impl<K, Fut, V, E> Unpin for Gathering<K, Fut, V, E> {}

impl<K, Fut, V, E> Future for Gathering<K, Fut, V, E>
where
    Fut: Future<Output = Result<V, E>>,
{
    type Output = Result<Gathered<K, V, E>, GatherError<K>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Running(drive) => Pin::new(drive)
                .poll(cx)
                .map(|work| Ok(work.into_gathered())),
            State::Refused(error) => {
                Poll::Ready(Err(error.take().expect("polled after completion")))
            }
        }
    }
}

impl<K, Fut, V, E> fmt::Debug for Gathering<K, Fut, V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let started = match &self.0 {
            State::Running(drive) => drive.work().map(GatherWork::started),
            State::Refused(_) => None,
        };
        f.debug_struct("Gathering")
            .field("started", &started)
            .finish_non_exhaustive()
    }
}
