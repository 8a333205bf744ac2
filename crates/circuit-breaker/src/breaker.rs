//! [`CircuitBreaker`]: the handle that calls go through.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use crate::builder::CircuitBreakerBuilder;
use crate::error::{CallError, Rejection};
use crate::event::{Event, Reason};
use crate::gate::{Ending, Gate, Pass};
use crate::name::Name;
use crate::outcome::{AnyError, Classifier};
use crate::permit::Permit;
use crate::saved::{ImportError, SavedState};
use crate::snapshot::Snapshot;
use crate::state::State;

/// Lets calls through while the service behind it works, and rejects them at once while it does not.
///
/// Clones are handles to the same breaker. The type parameter is what decides on results; see
/// [`classify`](CircuitBreakerBuilder::classify).
///
/// The states and their changes are those of Michael Nygard, *Release It!*, 2007.
#[doc(alias = "StateMachine")]
#[doc(alias = "Recloser")]
pub struct CircuitBreaker<C = AnyError> {
    gate: Arc<Gate>,
    classifier: C,
}

impl CircuitBreaker {
    /// Settings to begin with; see [`CircuitBreakerBuilder`].
    pub fn builder() -> CircuitBreakerBuilder {
        CircuitBreakerBuilder::new()
    }

    /// Settings for a hosting service: opens at 5 failures within 120 s, for 60 s, and closes after
    /// two successes.
    pub fn github() -> CircuitBreakerBuilder {
        Self::builder()
            .name("github")
            .time_window(Duration::from_secs(120))
            .failures(5)
            .open_for(Duration::from_secs(60))
            .success_threshold(2)
    }

    /// Settings for a network: opens at 3 failures within 60 s, for 30 s, and closes after two
    /// successes.
    pub fn network() -> CircuitBreakerBuilder {
        Self::builder()
            .name("network")
            .time_window(Duration::from_secs(60))
            .failures(3)
            .open_for(Duration::from_secs(30))
            .success_threshold(2)
    }
}

impl Gate {
    pub(crate) fn into_breaker<C>(self, classifier: C) -> CircuitBreaker<C> {
        CircuitBreaker {
            gate: Arc::new(self),
            classifier,
        }
    }
}

impl<C> CircuitBreaker<C> {
    /// Runs the future that `operation` makes, if the breaker lets it through, and learns from its
    /// result.
    ///
    /// Nothing happens before the first poll. The future is `Send` if `operation`, its future and
    /// the handle are; it borrows the handle, and a clone moved into an async block makes one that
    /// borrows nothing.
    ///
    /// # Errors
    ///
    /// [`CallError::Rejected`] if it was not let through: `operation` was not called.
    /// [`CallError::Inner`] with its own error if it ran.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops what runs. The call then says nothing about the service, unless
    /// [`count_cancel_as_failure`](CircuitBreakerBuilder::count_cancel_as_failure) is set, and a
    /// probe gives its place to the next one.
    ///
    /// # Panics
    ///
    /// Only if `operation`, its future or the classifier does; such a call is a failure, unless
    /// [`count_panic_as_failure`](CircuitBreakerBuilder::count_panic_as_failure) says otherwise.
    #[doc(alias = "execute")]
    #[doc(alias = "fire")]
    pub async fn call<T, E, F>(&self, operation: impl FnOnce() -> F) -> Result<T, CallError<E>>
    where
        F: Future<Output = Result<T, E>>,
        C: Classifier<T, E>,
    {
        let mut running = Running {
            gate: &self.gate,
            pass: self.gate.admit()?,
            is_at_work: true,
        };
        let result = {
            let mut future = pin!(operation());
            poll_fn(|cx| {
                running.is_at_work = true;
                let polled = future.as_mut().poll(cx);
                running.is_at_work = polled.is_ready();
                polled
            })
            .await
        };
        let outcome = self.classifier.classify(&result);
        running.end(Ending::Result(outcome));
        result.map_err(CallError::Inner)
    }

    /// Runs `operation` on this thread, if the breaker lets it through, and learns from its result.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    ///
    /// # Panics
    ///
    /// As [`call`](Self::call).
    // Always inlined: as a call, its result goes through memory, which takes longer than all the rest.
    #[doc(alias = "run")]
    #[inline(always)]
    pub fn call_sync<T, E>(
        &self,
        operation: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, CallError<E>>
    where
        C: Classifier<T, E>,
    {
        let running = Running {
            gate: &self.gate,
            pass: self.gate.admit()?,
            is_at_work: true,
        };
        let result = operation();
        let outcome = self.classifier.classify(&result);
        running.end(Ending::Result(outcome));
        result.map_err(CallError::Inner)
    }

    /// Runs the future that `operation` makes, and if it was rejected or failed, the one that
    /// `fallback` makes, which is told the cause.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use brolly_circuit_breaker::{CallError, CircuitBreaker};
    ///
    /// let breaker = CircuitBreaker::builder().build()?;
    /// breaker.force_open();
    /// let answer = breaker.call_or(
    ///     || async { Err::<&str, &str>("never runs") },
    ///     |cause| async move {
    ///         match cause {
    ///             CallError::Rejected(_) => Ok("from yesterday"),
    ///             other => Err(other),
    ///         }
    ///     },
    /// );
    /// assert_eq!(answer.await, Ok("from yesterday"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// What the fallback returns, of its own type. The breaker learns nothing from it.
    ///
    /// # Cancel safety
    ///
    /// As [`call`](Self::call).
    #[doc(alias = "fallback")]
    pub async fn call_or<T, E, X, F, G>(
        &self,
        operation: impl FnOnce() -> F,
        fallback: impl FnOnce(CallError<E>) -> G,
    ) -> Result<T, X>
    where
        F: Future<Output = Result<T, E>>,
        G: Future<Output = Result<T, X>>,
        C: Classifier<T, E>,
    {
        match self.call(operation).await {
            Ok(value) => Ok(value),
            Err(cause) => fallback(cause).await,
        }
    }

    /// Runs `operation`, and if it was rejected or failed, `fallback`, which is told the cause.
    ///
    /// # Errors
    ///
    /// What the fallback returns, of its own type. The breaker learns nothing from it.
    pub fn call_sync_or<T, E, X>(
        &self,
        operation: impl FnOnce() -> Result<T, E>,
        fallback: impl FnOnce(CallError<E>) -> Result<T, X>,
    ) -> Result<T, X>
    where
        C: Classifier<T, E>,
    {
        self.call_sync(operation).or_else(fallback)
    }

    /// The right to make one call, whose result the holder tells.
    ///
    /// # Errors
    ///
    /// [`Rejection`] if no call is let through at this time.
    #[doc(alias = "can_execute")]
    #[doc(alias = "is_call_permitted")]
    #[doc(alias = "allow")]
    pub fn try_acquire(&self) -> Result<Permit<'_>, Rejection> {
        Ok(Permit::borrowed(&self.gate, self.gate.admit()?))
    }

    /// The same, as a value that borrows nothing and may move to another task or thread.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    pub fn try_acquire_owned(&self) -> Result<Permit<'static>, Rejection> {
        let pass = self.gate.admit()?;
        Ok(Permit::owned(Arc::clone(&self.gate), pass))
    }

    /// The breaker's name; empty if it has none.
    #[must_use]
    pub fn name(&self) -> &Name {
        self.gate.name()
    }

    /// The state as a call would meet it at this time: open becomes half-open when its time is over,
    /// whether or not a call has come.
    #[doc(alias = "is_open")]
    #[must_use]
    pub fn state(&self) -> State {
        self.gate.state()
    }

    /// What the breaker is and has counted, at this moment.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.gate.snapshot()
    }

    /// Closes it and forgets what it has learned; totals and events stay. Calls in flight no longer
    /// matter to it. False if it was closed before, which is no event.
    #[doc(alias = "close")]
    pub fn reset(&self) -> bool {
        self.gate.set(State::Closed, Reason::Manual, true)
    }

    /// Rejects all calls from now on, until [`reset`](Self::reset). False if it did before.
    #[doc(alias = "isolate")]
    #[doc(alias = "trip")]
    pub fn force_open(&self) -> bool {
        self.gate.set(State::ForcedOpen, Reason::Manual, false)
    }

    /// Lets all calls through from now on and learns nothing from them, until
    /// [`reset`](Self::reset). False if it did before.
    pub fn disable(&self) -> bool {
        self.gate.set(State::Disabled, Reason::Manual, false)
    }

    /// Lets all calls through from now on and watches them without ever opening, until
    /// [`reset`](Self::reset). False if it did before.
    pub fn metrics_only(&self) -> bool {
        self.gate.set(State::MetricsOnly, Reason::Manual, false)
    }

    /// The events in the log, the oldest first; see [`events_since`](Self::events_since).
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.events_since(0)
    }

    /// The events in the log whose number is greater than this, the oldest first.
    ///
    /// The log keeps the latest [`event_capacity`](CircuitBreakerBuilder::event_capacity) events of
    /// all breakers of one template. Numbers have no gaps, so a first event that is not the one
    /// after `sequence` tells how many are gone.
    #[must_use]
    pub fn events_since(&self, sequence: u64) -> Vec<Event> {
        self.gate.log().since(sequence)
    }

    /// How many events no listener was told of because the log was full of newer ones, and how many
    /// times a listener panicked.
    #[must_use]
    pub fn lost_events(&self) -> (u64, u64) {
        self.gate.log().lost()
    }

    /// What the breaker has learned, as data for another process or a later run.
    #[must_use]
    pub fn export(&self) -> SavedState {
        self.gate.export()
    }

    /// Takes over what another breaker has learned. Settings and totals stay its own.
    ///
    /// Of a window that holds more than this one's, it takes the latest calls; slices of another
    /// width are counted by their age, give or take a slice. A change of state is an
    /// event.
    ///
    /// # Errors
    ///
    /// [`ImportError`] if the data is of another kind of window or does not add up; the breaker is
    /// unchanged.
    pub fn import(&self, saved: &SavedState) -> Result<(), ImportError> {
        self.gate.import(saved)
    }

    /// A handle to the same breaker that decides on results in another way.
    pub fn with_classifier<D>(&self, classifier: D) -> CircuitBreaker<D> {
        CircuitBreaker {
            gate: Arc::clone(&self.gate),
            classifier,
        }
    }

    #[cfg(feature = "tower")]
    pub(crate) fn classifier(&self) -> &C {
        &self.classifier
    }

    /// Whether both are handles to the same breaker.
    #[must_use]
    pub fn is_same_as<D>(&self, other: &CircuitBreaker<D>) -> bool {
        Arc::ptr_eq(&self.gate, &other.gate)
    }
}

/// A call that runs; dropped without an end, it was cancelled, or it panicked.
struct Running<'a> {
    gate: &'a Gate,
    pass: Pass,
    /// Whether its own code runs at this moment. Only then does an unwinding thread say something
    /// about this call: one that waits is dropped as well when its neighbour panics.
    is_at_work: bool,
}

impl Running<'_> {
    #[inline]
    fn end(self, ending: Ending) {
        let (gate, pass) = (self.gate, self.pass);
        std::mem::forget(self);
        gate.end(pass, ending);
    }
}

impl Drop for Running<'_> {
    #[cold]
    fn drop(&mut self) {
        let ending = match self.is_at_work {
            true => Ending::Panicked,
            false => Ending::Cancelled,
        };
        self.gate.end(self.pass, ending);
    }
}

impl<C: Clone> Clone for CircuitBreaker<C> {
    fn clone(&self) -> Self {
        Self {
            gate: Arc::clone(&self.gate),
            classifier: self.classifier.clone(),
        }
    }
}

impl<C> fmt::Debug for CircuitBreaker<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreaker")
            .field("name", self.name())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
