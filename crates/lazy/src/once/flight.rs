//! [`Departure`]: where those who want to write a cell find each other.

use std::any::Any;
use std::sync::Arc;

use brolly_sync::{Flight, Join, WaitList};

use crate::loader::{BoxFuture, Giver, handed};
use crate::panics::{Fallout, discard};
use crate::primitive::{Mutex, lock};
use crate::recursion::{Identity, Running};

/// How an initialiser ended.
pub(super) enum Ending<T> {
    /// With a value, which the first to come puts into the cell: the flight does not know it.
    Brought(Arc<Mutex<Option<T>>>),
    /// With a value that is in the cell.
    Written,
    /// With an error, whose type those know who have one of the same.
    Failed(Arc<dyn Any + Send + Sync>),
    Panicked(Arc<str>),
}

impl<T> Clone for Ending<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Brought(value) => Self::Brought(Arc::clone(value)),
            Self::Written => Self::Written,
            Self::Failed(failure) => Self::Failed(Arc::clone(failure)),
            Self::Panicked(message) => Self::Panicked(Arc::clone(message)),
        }
    }
}

impl<T> Ending<T> {
    fn has_value(&self) -> bool {
        matches!(self, Self::Brought(_) | Self::Written)
    }
}

/// What the one who runs its initialiser gives to the flight.
pub(super) enum Step<T> {
    /// To be polled by all who wait.
    Future(BoxFuture<Ending<T>>),
    /// Over already.
    Ended(Ending<T>),
}

/// One run of an initialiser.
pub(super) struct Ticket {
    /// What a thread is inside of while it runs the initialiser.
    pub(super) identity: Identity,
    pub(super) fallout: Fallout,
}

/// The initialiser that is under way, if there is one.
pub(super) struct Departure<T>(Mutex<Option<Leaving<T>>>);

struct Leaving<T> {
    ticket: Arc<Ticket>,
    flight: Flight<Ending<T>>,
}

/// What a caller gets who found no value.
pub(super) enum Boarded<T: Send + Sync + 'static> {
    /// A place in somebody else's run.
    Aboard(Join<Ending<T>>),
    /// A place in a run of its own, to which it owes a step.
    Lead(Join<Ending<T>>, Giver<Step<T>>, Arc<Ticket>),
    /// The caller is inside of the initialiser.
    Inside,
    /// There is a value by now.
    Written,
}

impl<T> Departure<T> {
    #[cfg(not(brolly_loom))]
    pub(super) const fn new() -> Self {
        Self(Mutex::new(None))
    }

    #[cfg(brolly_loom)]
    pub(super) fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// Takes a run away that is of no use any more, since there is a value or nobody to wait.
    pub(super) fn clear(&self) {
        let leaving = lock(&self.0).take();
        discard(leaving);
    }
}

impl<T: Send + Sync + 'static> Departure<T> {
    /// A place in the run that is under way, or in a new one if there is none and the cell is not
    /// written.
    pub(super) fn board(&self, is_written: impl FnOnce() -> bool) -> Boarded<T> {
        let mut departure = lock(&self.0);
        if let Some(leaving) = &*departure {
            if Running::is(&leaving.ticket.identity) {
                return Boarded::Inside;
            }
            // One that has failed is history, and nobody can join one that was abandoned.
            let is_history = match leaving.flight.peek() {
                Some(Ok(ending)) => !ending.has_value(),
                Some(Err(_)) => true,
                None => false,
            };
            if !is_history && let Some(join) = leaving.flight.join() {
                return Boarded::Aboard(join);
            }
        }
        // A value takes the run away: so this is asked after the run was looked for.
        if is_written() {
            return Boarded::Written;
        }
        let ticket = Arc::new(Ticket {
            identity: Identity::new(),
            fallout: Fallout::default(),
        });
        let (giver, arrival) = handed();
        let flight = Flight::new(run(arrival));
        let join = flight.join().expect("nobody has left who never came");
        let leaving = Leaving {
            ticket: Arc::clone(&ticket),
            flight,
        };
        let history = departure.replace(leaving);
        drop(departure);
        discard(history);
        Boarded::Lead(join, giver, ticket)
    }
}

/// The load of a flight: what the one who leads it gives.
async fn run<T: Send + 'static>(arrival: Arc<WaitList<Option<Step<T>>>>) -> Ending<T> {
    match arrival.take().await {
        Some(Step::Future(future)) => future.await,
        Some(Step::Ended(ending)) => ending,
        None => Ending::Panicked(Arc::from("its caller was gone")),
    }
}
