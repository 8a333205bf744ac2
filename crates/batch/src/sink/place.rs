//! [`Place`]: what a batch holds while it is under way, or a call in strict order.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

use brolly_sync::WaitList;

use crate::cancel::{CancelToken, Stage};
use crate::limiter::{Limiter, LimiterPermit};
use crate::panic::contained;

/// One of the sink's turns, and a permit of its limiter if it has one; given back on drop.
///
/// Nobody waits for a permit with a turn in hand: who holds the permit may be waiting for that very
/// turn, by an insert within an item of the same limiter.
pub(super) struct Place<'a> {
    _turn: Turn<'a>,
    permit: Option<LimiterPermit>,
}

impl<'a> Place<'a> {
    /// Waits for the turn first, so that batches in line keep no permits that others could use,
    /// unless permits are short.
    pub(super) async fn take(turns: &'a WaitList<()>, limiter: Option<&Limiter>) -> Self {
        let turn = Turn::take(turns).await;
        let Some(limiter) = limiter else {
            return Self::new(turn, None);
        };
        if let Some(permit) = limiter.try_acquire() {
            return Self::new(turn, Some(permit));
        }
        drop(turn);
        Self::in_order(turns, Some(limiter)).await
    }

    /// Waits for the permit first and never gives up its place in a line.
    pub(super) async fn in_order(turns: &'a WaitList<()>, limiter: Option<&Limiter>) -> Self {
        let permit = match limiter {
            Some(limiter) => Some(limiter.acquire().await),
            None => None,
        };
        Self::new(Turn::take(turns).await, permit)
    }

    fn new(turn: Turn<'a>, permit: Option<LimiterPermit>) -> Self {
        Self {
            _turn: turn,
            permit,
        }
    }
}

/// Waits for a place as long as the token lets anything start; `None` if it does not.
pub(super) async fn unless_stopping<'a>(
    token: Option<&CancelToken>,
    place: impl Future<Output = Place<'a>>,
) -> Option<Place<'a>> {
    let Some(token) = token else {
        return Some(place.await);
    };
    let mut place = pin!(place);
    let mut stopping = token.stopping();
    poll_fn(|cx| {
        if token.stage() != Stage::Open {
            return Poll::Ready(None);
        }
        // Whoever has to wait for a place is listed with the token, nobody else.
        match place.as_mut().poll(cx) {
            Poll::Ready(place) => Poll::Ready(Some(place)),
            Poll::Pending => Pin::new(&mut stopping).poll(cx).map(|()| None),
        }
    })
    .await
}

/// Runs code as an item of the limiter, if there is a place with a permit.
pub(super) fn within<R>(place: &mut Option<Place<'_>>, code: impl FnOnce() -> R) -> R {
    match place.as_mut().and_then(|place| place.permit.as_mut()) {
        Some(permit) => permit.enter(code),
        None => code(),
    }
}

/// The right to have something under way, given back on drop.
struct Turn<'a>(&'a WaitList<()>);

impl<'a> Turn<'a> {
    async fn take(turns: &'a WaitList<()>) -> Self {
        turns.take().await;
        Self(turns)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        contained(|| self.0.put(())); // it may wake another call, whose waker is foreign code
    }
}
