//! [`RetryPolicy`]: whether and when a failed item is tried again, and [`Attempts`], which does so.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use brolly_sync::{Sleep, Timer};
use pin_project_lite::pin_project;

use crate::shared_fn::SharedFn;

/// Decides whether something that failed is tried again, and after what wait.
///
/// Any `Fn(u32, &E) -> Option<Duration>` is one; [`LinearRetry`] is one that is ready made.
pub trait RetryPolicy<E>: Send + Sync {
    /// How long to wait before the next attempt, or `None` to give up. `failures` counts the
    /// attempts so far, from 1.
    fn delay(&self, failures: u32, error: &E) -> Option<Duration>;
}

impl<E, F> RetryPolicy<E> for F
where
    F: Fn(u32, &E) -> Option<Duration> + Send + Sync,
{
    fn delay(&self, failures: u32, error: &E) -> Option<Duration> {
        self(failures, error)
    }
}

/// So many attempts, with a wait between them that grows by the same step each time.
///
/// ```
/// use std::time::Duration;
/// use brolly_batch::{LinearRetry, RetryPolicy};
///
/// let policy = LinearRetry::new(3, Duration::from_millis(100));
/// assert_eq!(policy.delay(1, &"busy"), Some(Duration::from_millis(100)));
/// assert_eq!(policy.delay(2, &"busy"), Some(Duration::from_millis(200)));
/// assert_eq!(policy.delay(3, &"busy"), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinearRetry {
    attempts: u32,
    step: Duration,
}

impl LinearRetry {
    /// At most `attempts` in all, the first included (0 counts as 1); after the n-th failure the
    /// wait is n times `step`, saturating.
    #[must_use]
    pub fn new(attempts: u32, step: Duration) -> Self {
        Self { attempts, step }
    }
}

impl<E> RetryPolicy<E> for LinearRetry {
    fn delay(&self, failures: u32, _error: &E) -> Option<Duration> {
        (failures < self.attempts).then(|| self.step.saturating_mul(failures))
    }
}

/// What all items of a run share that are tried again.
struct Trial<F, P> {
    f: SharedFn<F>,
    policy: P,
    timer: Arc<dyn Timer>,
}

pin_project! {
    /// The future of one item that is tried until it succeeds or its policy gives up; see
    /// [`Map::retry`](crate::Map::retry).
    ///
    /// As with any `async fn`, polling it again after its end panics.
    #[must_use = "futures do nothing unless polled"]
    pub struct Attempts<T, F, Fut, P> {
        trial: Arc<Trial<F, P>>,
        item: T,
        failures: u32,
        wait: Option<Sleep>,
        #[pin]
        attempt: Option<Fut>,
    }
}

/// Makes a function of items into one that tries them again.
pub(crate) fn trying<T, F, Fut, P>(
    f: F,
    policy: P,
    timer: Arc<dyn Timer>,
) -> impl FnMut(T) -> Attempts<T, F, Fut, P>
where
    F: FnMut(T) -> Fut,
{
    let f = SharedFn::new(f);
    let trial = Arc::new(Trial { f, policy, timer });
    move |item| Attempts {
        trial: Arc::clone(&trial),
        item,
        failures: 0,
        wait: None,
        attempt: None,
    }
}

impl<T, F, Fut, P, R, E> Future for Attempts<T, F, Fut, P>
where
    T: Clone,
    F: FnMut(T) -> Fut,
    Fut: Future<Output = Result<R, E>>,
    P: RetryPolicy<E>,
{
    type Output = Result<R, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Some(wait) = this.wait {
            ready!(Pin::new(wait).poll(cx));
            *this.wait = None;
        }
        if this.attempt.is_none() {
            let item = this.item.clone();
            this.attempt.set(Some(this.trial.f.call(|f| f(item))));
        }
        let attempt = this.attempt.as_mut().as_pin_mut();
        let result = ready!(attempt.expect("it was just set").poll(cx));
        this.attempt.set(None);
        let Err(error) = result else {
            return Poll::Ready(result);
        };
        *this.failures = this.failures.saturating_add(1);
        let Some(delay) = this.trial.policy.delay(*this.failures, &error) else {
            return Poll::Ready(Err(error));
        };
        // One attempt at a poll, or a policy without waits could keep the thread for ever.
        let mut wait = this.trial.timer.sleep(delay);
        if Pin::new(&mut wait).poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        *this.wait = Some(wait);
        Poll::Pending
    }
}

impl<T, F, Fut, P> fmt::Debug for Attempts<T, F, Fut, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempts")
            .field("failures", &self.failures)
            .field("waiting", &self.wait.is_some())
            .finish_non_exhaustive()
    }
}
