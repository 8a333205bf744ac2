//! [`Timed`]: a future with a limit to its time, counted from its first poll.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use brolly_sync::{Sleep, Timer};
use pin_project_lite::pin_project;

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
        time: Option<TimeLimit>,
        // From the end of the first poll on, if that left the future pending.
        sleep: Option<Sleep>,
    }
}

/// How a future ended that returned no value.
pub(super) enum Ended<E> {
    Failed(E),
    TimedOut { after: Duration },
}

impl<Fut> Timed<Fut> {
    pub(super) fn new(future: Fut, time: Option<TimeLimit>) -> Self {
        Self {
            future,
            time,
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
        if let Poll::Ready(result) = this.future.poll(cx) {
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
