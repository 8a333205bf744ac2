//! [`Close`]: waiting until a batcher that takes no more calls has answered all it had.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::shared::Shared;

/// The future of [`Batcher::close`](crate::Batcher::close): ends when every call is answered.
///
/// # Cancel safety
///
/// Dropping it stops the waiting. The batcher stays closed.
#[must_use = "the batcher is closed already; this waits until it is drained"]
pub struct Close<K, V, E, P = ()> {
    shared: Arc<Shared<K, V, E, P>>,
    ticket: Option<u64>,
}

impl<K, V, E, P> Close<K, V, E, P> {
    pub(super) fn new(shared: Arc<Shared<K, V, E, P>>) -> Self {
        Self {
            shared,
            ticket: None,
        }
    }
}

/// Nothing in it is pinned.
impl<K, V, E, P> Unpin for Close<K, V, E, P> {}

impl<K, V, E, P> Future for Close<K, V, E, P> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let mut fresh = Some(cx.waker().clone());
        let mut stale = None;
        let polled = this.shared.with(|state, _| {
            if state.is_drained() {
                stale = this
                    .ticket
                    .take()
                    .and_then(|ticket| state.closers().leave(ticket));
                return Poll::Ready(());
            }
            let closers = state.closers();
            let waiting = this.ticket.and_then(|ticket| closers.waiting(ticket));
            let fresh = fresh.take().expect("cloned above");
            match waiting {
                Some(own) => stale = Some(std::mem::replace(own, fresh)),
                None => this.ticket = Some(closers.join(fresh)),
            }
            Poll::Pending
        });
        drop((fresh, stale));
        polled
    }
}

impl<K, V, E, P> Drop for Close<K, V, E, P> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            let waker = self.shared.with(|state, _| state.closers().leave(ticket));
            drop(waker);
        }
    }
}

impl<K, V, E, P> fmt::Debug for Close<K, V, E, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Close")
            .field("waits", &self.ticket.is_some())
            .finish_non_exhaustive()
    }
}
