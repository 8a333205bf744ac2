//! [`Get`]: a caller that waits for a value, as a future and as a thread.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use crate::error::LoadError;
use crate::published::Guard;
use crate::shared::{Entered, Outcome, Seat, Shared, Wish};

/// The future of a value.
///
/// Small, and without a seat for as long as nothing has to be waited for: the compiler makes a look
/// at a value that is there of it.
#[must_use = "futures do nothing unless polled"]
pub(crate) struct Get<'a, T: Send + Sync + 'static, E: Send + Sync + 'static> {
    shared: &'a Arc<Shared<T, E>>,
    wish: Wish,
    seat: Option<Seat<T, E>>,
}

impl<'a, T: Send + Sync + 'static, E: Send + Sync + 'static> Get<'a, T, E> {
    #[inline]
    pub(crate) fn new(shared: &'a Arc<Shared<T, E>>, wish: Wish) -> Self {
        Self {
            shared,
            wish,
            seat: None,
        }
    }

    #[cold]
    #[inline(never)]
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<Outcome<T, E>> {
        let mut seat = match self.seat.take() {
            Some(seat) => seat,
            None => match aboard(self.shared, self.wish) {
                Ok(seat) => seat,
                Err(outcome) => return Poll::Ready(outcome),
            },
        };
        match Pin::new(&mut seat.join).poll(cx) {
            Poll::Ready(ending) => Poll::Ready(seat.settle(self.shared, ending)),
            Poll::Pending => {
                self.seat = Some(seat);
                Poll::Pending
            }
        }
    }
}

impl<T: Send + Sync + 'static, E: Send + Sync + 'static> Future for Get<'_, T, E> {
    type Output = Result<Guard<T>, LoadError<E>>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.seat.is_none()
            && self.wish == Wish::Any
            && let Some(value) = self.shared.ready()
        {
            return Poll::Ready(Ok(value));
        }
        let outcome = ready!(self.wait(cx));
        Poll::Ready(outcome.map(Guard::of))
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
