//! [`Permit`]: the right to make one call, and the duty to tell how it ended.

use std::fmt;
use std::sync::Arc;
use std::thread;

use crate::gate::{Ending, Gate, Pass};
use crate::outcome::Outcome;
use crate::state::State;

/// The right to make one call. Whoever has it says how the call ended, once; a permit that is
/// dropped without a word was cancelled, or, if the thread unwinds, panicked.
///
/// A permit belongs to the state that it was given in: when the breaker has changed since, it goes
/// to the totals only.
///
/// A permit that is leaked (`mem::forget`) never ends. As a probe it keeps its place until
/// [`max_half_open_wait`](crate::CircuitBreakerBuilder::max_half_open_wait) is over.
///
/// ```
/// use brolly_circuit_breaker::CircuitBreaker;
///
/// let breaker = CircuitBreaker::builder().consecutive_failures(1).build()?;
/// breaker.try_acquire()?.success();
/// drop(breaker.try_acquire()?); // cancelled
/// breaker.try_acquire()?.failure();
/// assert!(breaker.try_acquire().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a permit that is dropped counts as a cancelled call"]
pub struct Permit<'a> {
    gate: Held<'a>,
    pass: Pass,
    was_panicking: bool,
}

enum Held<'a> {
    Borrowed(&'a Gate),
    Owned(Arc<Gate>),
    /// The end was told.
    Spent,
}

impl<'a> Permit<'a> {
    pub(crate) fn borrowed(gate: &'a Gate, pass: Pass) -> Self {
        Self::new(Held::Borrowed(gate), pass)
    }

    pub(crate) fn owned(gate: Arc<Gate>, pass: Pass) -> Self {
        Self::new(Held::Owned(gate), pass)
    }

    fn new(gate: Held<'a>, pass: Pass) -> Self {
        Self {
            gate,
            pass,
            was_panicking: thread::panicking(),
        }
    }

    /// The service works.
    #[doc(alias = "record_success")]
    #[doc(alias = "on_success")]
    pub fn success(self) {
        self.record(Outcome::Success);
    }

    /// The service does not work.
    #[doc(alias = "record_failure")]
    #[doc(alias = "on_error")]
    pub fn failure(self) {
        self.record(Outcome::Failure);
    }

    /// The call says nothing about the service.
    pub fn ignore(self) {
        self.record(Outcome::Ignored);
    }

    /// Whatever the call meant.
    pub fn record(mut self, outcome: Outcome) {
        self.end(Ending::Result(outcome));
    }

    /// Whether this is a probe of a half-open breaker.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.pass.state() == State::HalfOpen
    }

    /// For those who know why it ended without a word.
    #[cfg(feature = "tower")]
    pub(crate) fn end_as(mut self, ending: Ending) {
        self.end(ending);
    }

    fn end(&mut self, ending: Ending) {
        match std::mem::replace(&mut self.gate, Held::Spent) {
            Held::Borrowed(gate) => gate.end(self.pass, ending),
            Held::Owned(gate) => gate.end(self.pass, ending),
            Held::Spent => {}
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let has_panicked = thread::panicking() && !self.was_panicking;
        self.end(match has_panicked {
            true => Ending::Panicked,
            false => Ending::Cancelled,
        });
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("is_probe", &self.is_probe())
            .finish_non_exhaustive()
    }
}
