//! [`AcquireLimiter`]: the future that waits for the right to run an item, in all lines at once.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::current;
use super::held::Held;
use super::loan::{Lent, Loan};
use super::permit::LimiterPermit;
use super::view::{Narrowed, Nested, View};
use crate::worker_pool::Acquire;

type Boxed = Pin<Box<dyn Future<Output = Held> + Send + Sync>>;

/// The future of [`Limiter::acquire`](super::Limiter::acquire).
///
/// It borrows nothing. As with any `async fn`, polling it again after its end panics.
#[must_use = "futures do nothing unless polled"]
pub struct AcquireLimiter {
    /// Becomes the permit's.
    through: Option<View>,
    wait: Wait,
}

enum Wait {
    /// Not polled yet. What it is nested under was settled where it was made, and is once more
    /// where it is polled, since it may have been handed to an item ready-made.
    Made(View),
    Root(Acquire),
    Inner(Boxed),
}

impl AcquireLimiter {
    #[inline]
    pub(super) fn new(view: View) -> Self {
        Self {
            through: None,
            wait: Wait::Made(view),
        }
    }

    #[inline]
    fn begin(&mut self) {
        if let Wait::Made(made) = &self.wait {
            let nested = current::nest(made);
            let view = nested.as_ref().unwrap_or(made);
            self.through = view.to_remember();
            self.wait = match view {
                View::Root(pool) => Wait::Root(pool.acquire()),
                view => Wait::Inner(hold(view)),
            };
        }
    }
}

impl Future for AcquireLimiter {
    type Output = LimiterPermit;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<LimiterPermit> {
        self.begin();
        let polled = match &mut self.wait {
            Wait::Made(_) => unreachable!("it has begun"),
            Wait::Root(acquire) => Pin::new(acquire).poll(cx).map(Held::Root),
            Wait::Inner(hold) => hold.as_mut().poll(cx),
        };
        polled.map(|held| LimiterPermit::new(self.through.take(), held))
    }
}

impl fmt::Debug for AcquireLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcquireLimiter").finish_non_exhaustive()
    }
}

/// Boxed, because views are within each other.
fn hold(view: &View) -> Boxed {
    match view {
        View::Root(pool) => {
            let permit = pool.acquire();
            Box::pin(async { Held::Root(permit.await) })
        }
        View::Narrowed(narrowed) => Box::pin(narrow(Arc::clone(narrowed))),
        View::Nested(nested) => Box::pin(nest(Arc::clone(nested))),
    }
}

async fn narrow(view: Arc<Narrowed>) -> Held {
    let gate = view.gate.acquire().await;
    let outer = hold(&view.outer).await;
    let running = view.running.acquire().await;
    Held::narrowed(running, outer, gate)
}

/// Whichever comes first: the loan, or what the outer view has. The loser leaves its line, and what
/// it was handed in the same moment passes on.
async fn nest(view: Arc<Nested>) -> Held {
    enum First {
        Loan(Lent),
        Outer(Held),
    }

    let first = {
        let mut loan = Some(Loan::borrow(&view.loan));
        let mut outer = hold(&view.outer);
        poll_fn(|cx| {
            match loan.as_mut().map(|loan| Pin::new(loan).poll(cx)) {
                Some(Poll::Ready(Some(lent))) => return Poll::Ready(First::Loan(lent)),
                Some(Poll::Ready(None)) => loan = None, // it has ended
                Some(Poll::Pending) | None => {}
            }
            outer.as_mut().poll(cx).map(First::Outer)
        })
        .await
    };
    let lent = match first {
        First::Outer(held) => return held,
        First::Loan(lent) => lent,
    };
    let mut also = Vec::with_capacity(view.also.len());
    for count in &view.also {
        also.push(count.acquire().await);
    }
    Held::lent(also, lent)
}
