//! [`Timed`]: a future that starts when a limiter lets it, with a limit to its time from then on.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use brolly_sync::{Sleep, Timer};
use pin_project_lite::pin_project;

use crate::limiter::{AcquireLimiter, Limiter, LimiterPermit};

/// What each future of a run obeys.
#[derive(Clone, Default)]
pub(super) struct Limits {
    pub(super) time: Option<TimeLimit>,
    pub(super) limiter: Option<Limiter>,
}

/// How long a future may take, and what measures it.
#[derive(Clone)]
pub(super) struct TimeLimit {
    pub(super) after: Duration,
    pub(super) timer: Arc<dyn Timer>,
}

pin_project! {
    /// Asks the future first and the clock second, so a result that is there is never turned down.
    pub(super) struct Timed<Fut> {
        #[pin]
        future: Fut,
        // Behind the future, so that the permit outlives it.
        admission: Admission,
        time: Option<TimeLimit>,
        // From the end of the first poll on, if that left the future pending.
        sleep: Option<Sleep>,
    }
}

/// Whether a future may run.
enum Admission {
    Free,
    InLine(AcquireLimiter),
    Permitted(LimiterPermit),
}

/// How a future ended that returned no value.
pub(super) enum Ended<E> {
    Failed(E),
    TimedOut { after: Duration },
}

impl<Fut> Timed<Fut> {
    /// To be called where the run is polled: what it is nested in is what the thread runs then.
    pub(super) fn new(future: Fut, limits: &Limits) -> Self {
        Self {
            future,
            admission: match &limits.limiter {
                Some(limiter) => Admission::InLine(limiter.acquire()),
                None => Admission::Free,
            },
            time: limits.time.clone(),
            sleep: None,
        }
    }
}

impl<Fut, V, E> Future for Timed<Fut>
where
    Fut: Future<Output = Result<V, E>>,
{
    type Output = Result<V, Ended<E>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Admission::InLine(acquire) = this.admission {
            let Poll::Ready(permit) = Pin::new(acquire).poll(cx) else {
                return Poll::Pending;
            };
            *this.admission = Admission::Permitted(permit);
        }
        let polled = match this.admission {
            Admission::Permitted(permit) => permit.enter(|| this.future.poll(cx)),
            _ => this.future.poll(cx),
        };
        if let Poll::Ready(result) = polled {
            return Poll::Ready(result.map_err(Ended::Failed));
        }
        let Some(TimeLimit { after, timer }) = this.time else {
            return Poll::Pending;
        };
        let after = *after;
        let sleep = this.sleep.get_or_insert_with(|| timer.sleep(after));
        Pin::new(sleep)
            .poll(cx)
            .map(|()| Err(Ended::TimedOut { after }))
    }
}
