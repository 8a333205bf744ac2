//! [`Submit`]: one call to a batcher, from its key to its value.

use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::cell::{Seat, SharedBatch};
use super::error::{BatchError, TrySubmitError};
use super::foreign::contain;
use super::shared::{Item, Shared};
use super::state::{Arrival, Ask};

/// The future of [`Batcher::submit`](crate::Batcher::submit): ends with the key's value.
///
/// It owns its share of the batcher, so it may be spawned or outlive the handle it came from. It
/// panics when it is polled again after its end.
///
/// # Cancel safety
///
/// Dropping it gives up this call and no other. A key whose callers all left before its batch
/// started is not given to the bulk function, and a batch that nobody wants any more is dropped; a
/// batch that has started goes on to its end. A place in line passes on to the next.
#[must_use = "futures do nothing unless polled"]
pub struct Submit<K, V, E, P = ()> {
    shared: Arc<Shared<K, V, E, P>>,
    stage: Stage<K, V, E, P>,
}

enum Stage<K, V, E, P> {
    /// Not polled yet.
    New(K),
    /// Without a place in a batch; with a ticket it stands in line.
    Arriving(Item<K, P>, Option<u64>),
    Seated(SharedBatch<K, V, E>, Seat),
    /// Its key could not be looked at.
    Panicked(Arc<str>),
    Over,
}

impl<K, V, E, P: Hash + Eq> Submit<K, V, E, P> {
    pub(super) fn new(shared: Arc<Shared<K, V, E, P>>, key: K) -> Self {
        Self {
            shared,
            stage: Stage::New(key),
        }
    }

    /// Takes a place in a batch now, or gives the key back.
    pub(super) fn seated(
        shared: Arc<Shared<K, V, E, P>>,
        key: K,
    ) -> Result<Self, TrySubmitError<K>> {
        let mut call = Self::new(shared, key);
        call.look_at_key();
        let Stage::Arriving(item, _) = &mut call.stage else {
            return Ok(call);
        };
        let shared = &call.shared;
        let arrival = contain(|| {
            item.arrived = shared.arrival_time();
            shared.with(|state, after| state.arrive(item, Ask::Impatient, &mut None, None, after))
        });
        let refusal = match arrival {
            Ok(Arrival::Seated {
                batch,
                seat,
                is_new,
            }) => {
                call.take_seat(batch, seat, is_new);
                return Ok(call);
            }
            Ok(Arrival::Closed) => TrySubmitError::Closed,
            Ok(_) => TrySubmitError::Full,
            Err(message) => {
                call.stage = Stage::Panicked(message);
                return Ok(call);
            }
        };
        let key = item.take_key();
        call.stage = Stage::Over;
        Err(refusal(key))
    }

    fn look_at_key(&mut self) {
        let Stage::New(key) = mem::replace(&mut self.stage, Stage::Over) else {
            unreachable!("called with a new key only");
        };
        self.stage = match contain(|| self.shared.item(key)) {
            Ok(item) => Stage::Arriving(item, None),
            Err(message) => Stage::Panicked(message),
        };
    }

    fn take_seat(&mut self, batch: SharedBatch<K, V, E>, seat: Seat, is_new: bool) {
        let new = is_new.then(|| Arc::clone(&batch));
        // What is left of the item is dropped here, outside of all locks.
        self.stage = Stage::Seated(batch, seat);
        if let Some(batch) = new {
            self.shared.start(batch);
        }
    }

    /// Asks for a place. Returns whether the call is settled for now: it has one, in a batch or in
    /// line, and its waker with it.
    fn arrive(&mut self, waker: &Waker) -> Result<(), BatchError<E>> {
        let mut fresh = None;
        loop {
            let Stage::Arriving(item, ticket) = &mut self.stage else {
                unreachable!("called on arrival only");
            };
            let ask = match *ticket {
                Some(ticket) => Ask::InLine(ticket),
                None => Ask::Patient,
            };
            let shared = &self.shared;
            let arrival = contain(|| {
                if matches!(ask, Ask::Patient) && fresh.is_none() {
                    fresh = Some(waker.clone());
                }
                item.arrived = shared.arrival_time();
                shared.with(|state, after| state.arrive(item, ask, &mut fresh, Some(waker), after))
            });
            match arrival {
                Ok(Arrival::Seated {
                    batch,
                    seat,
                    is_new,
                }) => {
                    self.take_seat(batch, seat, is_new);
                    return Ok(());
                }
                Ok(Arrival::InLine(place)) => {
                    *ticket = Some(place);
                    return Ok(());
                }
                Ok(Arrival::Waits) => return Ok(()),
                Ok(Arrival::NeedsWaker) => fresh = Some(waker.clone()),
                Ok(Arrival::Closed) => {
                    self.stage = Stage::Over;
                    return Err(BatchError::Closed);
                }
                Ok(Arrival::Full) => unreachable!("only the impatient are told"),
                Err(message) => {
                    self.give_up();
                    return Err(BatchError::Panicked { message });
                }
            }
        }
    }
}

impl<K, V, E, P> Submit<K, V, E, P> {
    #[inline(never)]
    fn give_up(&mut self) {
        match mem::replace(&mut self.stage, Stage::Over) {
            Stage::Arriving(_, Some(ticket)) => self
                .shared
                .with(|state, after| state.leave_line(ticket, after)),
            Stage::Seated(batch, seat) => {
                let is_forsaken = batch.leave(seat);
                if is_forsaken {
                    self.shared
                        .with(|state, after| state.withdraw(&batch, None, after));
                }
            }
            _ => {}
        }
    }
}

/// Nothing in it is pinned.
impl<K, V, E, P> Unpin for Submit<K, V, E, P> {}

impl<K, V, E, P: Hash + Eq> Future for Submit<K, V, E, P> {
    type Output = Result<V, BatchError<E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if matches!(this.stage, Stage::New(_)) {
            this.look_at_key();
        }
        match &this.stage {
            Stage::Arriving(..) => match this.arrive(cx.waker()) {
                Ok(()) => Poll::Pending,
                Err(error) => Poll::Ready(Err(error)),
            },
            Stage::Seated(batch, seat) => {
                let polled = batch.poll(*seat, cx);
                if polled.is_ready() {
                    this.stage = Stage::Over;
                }
                polled
            }
            Stage::Panicked(_) => match mem::replace(&mut this.stage, Stage::Over) {
                Stage::Panicked(message) => Poll::Ready(Err(BatchError::Panicked { message })),
                _ => unreachable!("matched above"),
            },
            Stage::New(_) => unreachable!("looked at above"),
            Stage::Over => panic!("polled after completion"),
        }
    }
}

impl<K, V, E, P> Drop for Submit<K, V, E, P> {
    #[inline]
    fn drop(&mut self) {
        if !matches!(self.stage, Stage::Over) {
            self.give_up();
        }
    }
}

impl<K, V, E, P> fmt::Debug for Submit<K, V, E, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match &self.stage {
            Stage::New(_) => "new",
            Stage::Arriving(..) => "in line",
            Stage::Seated(..) => "in a batch",
            Stage::Panicked(_) | Stage::Over => "over",
        };
        f.debug_struct("Submit")
            .field("stage", &stage)
            .finish_non_exhaustive()
    }
}
