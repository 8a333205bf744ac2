//! [`Get`]: a caller that waits for a value, as a future and as a thread.
//!
//! The futures here are written by hand, and hand what they hold to the waiting part by value. So where
//! a value is there, nothing of them has an address, and the compiler makes one look of them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::error::LoadError;
use crate::lazy::never;
use crate::published::Guard;
use crate::shared::{Entered, Outcome, Seat, Shared, Wish};
use crate::slot::Slot;

/// The future of a value.
#[must_use = "futures do nothing unless polled"]
pub(crate) struct Get<'a, T: Send + Sync + 'static, E: Send + Sync + 'static> {
    shared: &'a Arc<Shared<T, E>>,
    wish: Wish,
    seat: Slot<Seat<T, E>>,
}

impl<'a, T: Send + Sync + 'static, E: Send + Sync + 'static> Get<'a, T, E> {
    #[inline]
    pub(crate) fn new(shared: &'a Arc<Shared<T, E>>, wish: Wish) -> Self {
        Self {
            shared,
            wish,
            seat: Slot::empty(),
        }
    }
}

impl<T: Send + Sync + 'static, E: Send + Sync + 'static> Future for Get<'_, T, E> {
    type Output = Result<Guard<T>, LoadError<E>>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        // Who wants a new value, or waits for one already, is not served by what is there.
        if this.wish == Wish::Any
            && this.seat.is_empty()
            && let Some(value) = this.shared.ready()
        {
            return Poll::Ready(Ok(value));
        }
        match wait(this.seat.take(), this.shared, this.wish, cx) {
            Ok(outcome) => Poll::Ready(outcome.map(Guard::of)),
            Err(seat) => {
                this.seat.put(seat);
                Poll::Pending
            }
        }
    }
}

/// The future of a value that cannot fail to load: it panics in the place of an error.
#[must_use = "futures do nothing unless polled"]
pub(crate) struct Sure<F>(pub(crate) F);

impl<F, V> Future for Sure<F>
where
    F: Future<Output = Result<V, LoadError>> + Unpin,
{
    type Output = V;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<V> {
        match Pin::new(&mut self.0).poll(cx) {
            Poll::Ready(Ok(value)) => Poll::Ready(value),
            Poll::Ready(Err(error)) => never(&error),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// Takes a seat if there is none yet, and looks whether the wait is over; else gives the seat back.
#[cold]
#[inline(never)]
pub(crate) fn wait<T, E>(
    seat: Option<Box<Seat<T, E>>>,
    shared: &Arc<Shared<T, E>>,
    wish: Wish,
    cx: &mut Context<'_>,
) -> Result<Outcome<T, E>, Box<Seat<T, E>>>
where
    T: Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    let mut seat = match seat {
        Some(seat) => seat,
        None => match aboard(shared, wish) {
            Ok(seat) => Box::new(seat),
            Err(outcome) => return Ok(outcome),
        },
    };
    match Pin::new(&mut seat.join).poll(cx) {
        Poll::Ready(ending) => Ok(seat.settle(shared, ending)),
        Poll::Pending => Err(seat),
    }
}

/// Waits for a value on this thread.
#[cold]
#[inline(never)]
pub(crate) fn wait_blocking<T, E>(shared: &Arc<Shared<T, E>>, wish: Wish) -> Outcome<T, E>
where
    T: Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    let mut seat = match aboard(shared, wish) {
        Ok(seat) => seat,
        Err(outcome) => return outcome,
    };
    let ending = seat.join.wait();
    seat.settle(shared, ending)
}

/// A seat to wait in, or what there is without waiting.
fn aboard<T, E>(shared: &Arc<Shared<T, E>>, wish: Wish) -> Result<Seat<T, E>, Outcome<T, E>>
where
    T: Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    match shared.enter(wish) {
        Entered::Aboard(seat) => Ok(seat),
        Entered::Found(value) => Err(Ok(value)),
        Entered::Failed(error) => Err(Err(error)),
        Entered::Behind(value, join) => {
            // The last one to leave hands the load to the spawner.
            drop(join);
            Err(Ok(value))
        }
    }
}
