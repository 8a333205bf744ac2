//! [`Init`]: a caller with an initialiser, as a future and as a thread.

use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use brolly_sync::{FlightError, Join};

use super::Once;
use super::flight::{Boarded, Ending, Step, Ticket};
use crate::error::LoadError;
use crate::loader::{Contained, Giver};
use crate::panics::{catch, discard, message};
use crate::primitive::{Mutex, lock};
use crate::recursion::Running;
use crate::slot::Slot;

/// The future of a value, with an initialiser in case there is none.
#[must_use = "futures do nothing unless polled"]
pub(super) struct Init<'a, T: Send + Sync + 'static, F> {
    once: &'a Once<T>,
    /// Until it is called.
    init: Option<F>,
    seat: Slot<Seat<T>>,
}

/// A place in a run.
struct Seat<T: Send + Sync + 'static> {
    join: Join<Ending<T>>,
    /// The run, if this caller began it.
    begun: Option<Arc<Ticket>>,
}

/// Nothing in it is pinned: the initialiser is moved out before it is called.
impl<T: Send + Sync + 'static, F> Unpin for Init<'_, T, F> {}

impl<'a, T: Send + Sync + 'static, F> Init<'a, T, F> {
    #[inline]
    pub(super) fn new(once: &'a Once<T>, init: F) -> Self {
        Self {
            once,
            init: Some(init),
            seat: Slot::empty(),
        }
    }
}

impl<'a, T, E, F, Fut> Future for Init<'a, T, F>
where
    T: Send + Sync + 'static,
    E: Send + Sync + 'static,
    F: FnOnce() -> Fut,
    Fut: Future<Output = Result<T, E>> + Send + 'static,
{
    type Output = Result<&'a T, LoadError<E>>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Some(value) = this.once.get() {
            return Poll::Ready(Ok(value));
        }
        match wait(this.once, this.init.take(), this.seat.take(), cx) {
            Ok(result) => Poll::Ready(result),
            Err((init, seat)) => {
                this.init = init;
                this.seat.put(seat);
                Poll::Pending
            }
        }
    }
}

/// Takes a seat if there is none yet, and looks whether the wait is over; else gives everything back.
/// By value, as in `get.rs`.
#[cold]
#[inline(never)]
#[expect(clippy::type_complexity, reason = "an end, or what was given")]
fn wait<'a, T, E, F, Fut>(
    once: &'a Once<T>,
    mut init: Option<F>,
    mut seat: Option<Box<Seat<T>>>,
    cx: &mut Context<'_>,
) -> Result<Result<&'a T, LoadError<E>>, (Option<F>, Box<Seat<T>>)>
where
    T: Send + Sync + 'static,
    E: Send + Sync + 'static,
    F: FnOnce() -> Fut,
    Fut: Future<Output = Result<T, E>> + Send + 'static,
{
    loop {
        let mut taken = match seat.take() {
            Some(seat) => seat,
            None => match once.board() {
                Boarded::Aboard(join) => Box::new(Seat { join, begun: None }),
                Boarded::Lead(join, giver, ticket) => {
                    let init = init.take();
                    lead(
                        init.expect("a run of its own is the last of a call"),
                        giver,
                        &ticket,
                    );
                    let begun = Some(ticket);
                    Box::new(Seat { join, begun })
                }
                Boarded::Inside => return Ok(Err(LoadError::Recursive)),
                Boarded::Written => return Ok(Ok(once.written())),
            },
        };
        let Poll::Ready(ending) = Pin::new(&mut taken.join).poll(cx) else {
            return Err((init, taken));
        };
        if let Some(result) = once.settle(ending, taken.begun.as_deref()) {
            return Ok(result);
        }
    }
}

/// Calls an initialiser for its future, and gives that to the flight.
fn lead<T, E, F, Fut>(init: F, giver: Giver<Step<T>>, ticket: &Arc<Ticket>)
where
    T: Send + Sync + 'static,
    E: Send + Sync + 'static,
    F: FnOnce() -> Fut,
    Fut: Future<Output = Result<T, E>> + Send + 'static,
{
    let called = catch(|| {
        let _running = Running::of(ticket.identity.clone());
        init()
    });
    let future = match called {
        Ok(future) => future,
        Err(payload) => {
            let ending = Ending::Panicked(message(&payload));
            ticket.fallout.keep(payload);
            giver.give(Step::Ended(ending));
            return;
        }
    };
    let future = Contained::new(Box::pin(future), ticket.identity.clone());
    let ticket = Arc::clone(ticket);
    giver.give(Step::Future(Box::pin(async move {
        match future.await {
            Ok(Ok(value)) => Ending::Brought(Arc::new(Mutex::new(Some(value)))),
            Ok(Err(failure)) => Ending::Failed(Arc::new(failure)),
            Err(payload) => {
                let ending = Ending::Panicked(message(&payload));
                ticket.fallout.keep(payload);
                ending
            }
        }
    })));
}

/// Runs an initialiser on this thread, or waits for one.
#[cold]
#[inline(never)]
pub(super) fn init_blocking<T, E>(
    once: &Once<T>,
    init: impl FnOnce() -> Result<T, E>,
) -> Result<&T, LoadError<E>>
where
    T: Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    loop {
        match once.board() {
            Boarded::Aboard(mut join) => {
                if let Some(result) = once.settle(join.wait(), None) {
                    return result;
                }
            }
            Boarded::Lead(join, giver, ticket) => {
                return lead_here(once, init, join, giver, &ticket);
            }
            Boarded::Inside => return Err(LoadError::Recursive),
            Boarded::Written => return Ok(once.written()),
        }
    }
}

fn lead_here<'a, T, E>(
    once: &'a Once<T>,
    init: impl FnOnce() -> Result<T, E>,
    mut join: Join<Ending<T>>,
    giver: Giver<Step<T>>,
    ticket: &Ticket,
) -> Result<&'a T, LoadError<E>>
where
    T: Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    let called = catch(|| {
        let _running = Running::of(ticket.identity.clone());
        init()
    });
    let end = |ending| {
        giver.give(Step::Ended(ending));
        // The flight lands before this returns: who comes afterwards is not told of it.
        drop(join.wait());
    };
    match called {
        Ok(Ok(value)) => {
            discard(once.value.set(value));
            once.departure.clear();
            end(Ending::Written);
            Ok(once.written())
        }
        Ok(Err(failure)) => {
            let failure = Arc::new(failure);
            end(Ending::Failed(failure.clone()));
            Err(LoadError::Failed(failure))
        }
        Err(payload) => {
            end(Ending::Panicked(message(&payload)));
            resume_unwind(payload)
        }
    }
}

impl<T: Send + Sync + 'static> Once<T> {
    fn board(&self) -> Boarded<T> {
        self.departure.board(|| self.is_initialized())
    }

    /// The value, after somebody has said that it is there.
    fn written(&self) -> &T {
        self.get().expect("what is written once stays")
    }

    /// What the end of a run means to a caller; `None` if it means nothing and it has to run its own.
    ///
    /// # Panics
    ///
    /// With what the initialiser panicked with, if this caller began the run.
    fn settle<E: Send + Sync + 'static>(
        &self,
        ending: Result<Ending<T>, FlightError>,
        begun: Option<&Ticket>,
    ) -> Option<Result<&T, LoadError<E>>> {
        if let Some(value) = self.get() {
            return Some(Ok(value));
        }
        let message = match ending {
            Ok(Ending::Brought(parcel)) => {
                self.unpack(&parcel);
                return Some(Ok(self.written()));
            }
            Ok(Ending::Written) => return Some(Ok(self.written())),
            Ok(Ending::Failed(failure)) => {
                return failure.downcast::<E>().ok().map(LoadError::Failed).map(Err);
            }
            Ok(Ending::Panicked(message)) | Err(FlightError::Panicked { message }) => message,
            // The only other way for a flight to have no result for a participant.
            Err(_) => return Some(Err(LoadError::Recursive)),
        };
        if let Some(ticket) = begun {
            ticket.fallout.resume();
        }
        Some(Err(LoadError::Panicked { message }))
    }

    /// Puts into the cell what was brought, unless somebody else has.
    fn unpack(&self, parcel: &Mutex<Option<T>>) {
        // Under the lock: who finds the parcel empty finds the cell written.
        let mut parcel = lock(parcel);
        let Some(value) = parcel.take() else {
            return;
        };
        let unwanted = self.value.set(value);
        drop(parcel);
        discard(unwanted);
        self.departure.clear();
    }
}
