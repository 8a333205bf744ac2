//! [`BatchCall`]: the future of one batch, or part of one, with its retries.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use brolly_sync::{Sleep, Timer};
use pin_project_lite::pin_project;

use super::AdaptiveBatchSize;
use super::cut::{Failure, Part};
use crate::error::ItemError;
use crate::panic::{Panic, contained};
use crate::retry::RetryPolicy;
use crate::shared_fn::SharedFn;

/// The policy of a run without retries.
#[derive(Clone, Copy, Debug)]
pub struct NoRetry;

impl<E> RetryPolicy<E> for NoRetry {
    fn delay(&self, _failures: u32, _error: &E) -> Option<Duration> {
        None
    }
}

/// Copies the items of a batch, where more than one call may need them.
type Copy<T> = fn(&Vec<T>) -> Vec<T>;

/// How the batches of a run are called.
pub(super) struct Calls<T, F, Fut, P> {
    shared: Arc<Shared<F, P>>,
    copy: Option<Copy<T>>,
    bisects: bool,
    size: Option<AdaptiveBatchSize>,
    future: PhantomData<fn() -> Fut>,
}

struct Shared<F, P> {
    f: SharedFn<F>,
    policy: P,
    timer: Arc<dyn Timer>,
}

impl<T, F, Fut, P> Calls<T, F, Fut, P> {
    pub(super) fn new(f: F, policy: P, timer: Arc<dyn Timer>) -> Self {
        let f = SharedFn::new(f);
        Self {
            shared: Arc::new(Shared { f, policy, timer }),
            copy: None,
            bisects: false,
            size: None,
            future: PhantomData,
        }
    }

    /// Exchanges the policy, before the first call.
    pub(super) fn with_policy<Q>(self, policy: Q) -> Calls<T, F, Fut, Q>
    where
        T: Clone,
    {
        let shared = Arc::into_inner(self.shared).expect("no call has begun");
        let f = shared.f.into_inner().expect("no call has begun");
        Calls {
            copy: Some(Vec::clone),
            bisects: self.bisects,
            size: self.size,
            ..Calls::new(f, policy, shared.timer)
        }
    }

    pub(super) fn bisect(&mut self)
    where
        T: Clone,
    {
        self.copy = Some(Vec::clone);
        self.bisects = true;
    }

    pub(super) fn adapt(&mut self, size: AdaptiveBatchSize) {
        self.size = Some(size);
    }

    pub(super) fn begin(&self, part: Part<T>) -> BatchCall<T, F, Fut, P> {
        BatchCall {
            shared: Arc::clone(&self.shared),
            copy: self.copy,
            bisects: self.bisects,
            size: self.size.clone(),
            start: part.start,
            count: part.items.len(),
            items: part.items,
            failures: 0,
            wait: None,
            begun: Duration::ZERO,
            attempt: None,
        }
    }
}

pin_project! {
    /// The future of one batch. Never panics itself: a panic of the function is a failure of the
    /// batch, which may still be split.
    #[must_use = "futures do nothing unless polled"]
    pub(crate) struct BatchCall<T, F, Fut, P> {
        shared: Arc<Shared<F, P>>,
        copy: Option<Copy<T>>,
        bisects: bool,
        size: Option<AdaptiveBatchSize>,
        start: usize,
        count: usize,
        items: Vec<T>,
        failures: u32,
        wait: Option<Sleep>,
        begun: Duration,
        #[pin]
        attempt: Option<Fut>,
    }
}

impl<T, F, Fut, P, R, E> Future for BatchCall<T, F, Fut, P>
where
    F: FnMut(Vec<T>) -> Fut,
    Fut: Future<Output = Result<Vec<R>, E>>,
    P: RetryPolicy<E>,
{
    type Output = Result<Vec<R>, Failure<T, E>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let polled = catch_unwind(AssertUnwindSafe(|| {
            if let Some(wait) = this.wait {
                ready!(Pin::new(wait).poll(cx));
                *this.wait = None;
            }
            if this.attempt.is_none() {
                let items = match this.copy {
                    Some(copy) => copy(this.items),
                    None => std::mem::take(this.items),
                };
                if this.size.is_some() {
                    *this.begun = this.shared.timer.now();
                }
                this.attempt.set(Some(this.shared.f.call(|f| f(items))));
            }
            let attempt = this.attempt.as_mut().as_pin_mut();
            let result = ready!(attempt.expect("it was just set").poll(cx));
            this.attempt.set(None);
            let error = match result {
                Ok(output) => {
                    if let Some(size) = this.size {
                        let elapsed = this.shared.timer.now().saturating_sub(*this.begun);
                        size.record(*this.count, elapsed);
                    }
                    return Poll::Ready(Ok(output));
                }
                Err(error) => error,
            };
            *this.failures = this.failures.saturating_add(1);
            let Some(delay) = this.shared.policy.delay(*this.failures, &error) else {
                return Poll::Ready(Err(error));
            };
            // One attempt at a poll, or a policy without waits could keep the thread for ever.
            let mut wait = this.shared.timer.sleep(delay);
            if Pin::new(&mut wait).poll(cx).is_ready() {
                cx.waker().wake_by_ref();
            }
            *this.wait = Some(wait);
            Poll::Pending
        }));
        let error = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(Ok(output))) => return Poll::Ready(Ok(output)),
            Ok(Poll::Ready(Err(error))) => ItemError::Failed(error),
            Err(payload) => {
                contained(|| this.attempt.set(None));
                ItemError::Panicked(Panic::new(*this.start, payload))
            }
        };
        let items = this.bisects.then(|| std::mem::take(this.items));
        Poll::Ready(Err(Failure { error, items }))
    }
}

impl<T, F, Fut, P> fmt::Debug for BatchCall<T, F, Fut, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchCall")
            .field("start", &self.start)
            .field("failures", &self.failures)
            .finish_non_exhaustive()
    }
}
