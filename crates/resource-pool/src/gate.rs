//! [`Gate`]: who is asked before a creation begins, as a circuit breaker is; neither needs to know
//! the other.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use crate::panics::contain;

/// Asked before each creation begins. While it refuses, the manager is left alone, and callers that
/// would need a new resource are told at once for how long.
///
/// Called outside of every lock, by the task that is about to create; it must not wait. A gate that
/// panics lets pass. A closure is a gate, and so is a circuit breaker behind one:
///
/// ```
/// use std::time::Duration;
///
/// use brolly_circuit_breaker::CircuitBreaker;
/// use brolly_resource_pool::{Gate, Made, Pass, Refused};
///
/// fn gate(breaker: CircuitBreaker) -> impl Gate {
///     move || match breaker.try_acquire_owned() {
///         // Dropped without a word, the permit counts as a call that was cancelled.
///         Ok(permit) => Ok(Pass::new(move |made| match made {
///             Made::Succeeded => permit.success(),
///             Made::Failed => permit.failure(),
///         })),
///         Err(rejection) => {
///             let retry_after = rejection.retry_after();
///             Err(Refused::for_now(retry_after.unwrap_or(Duration::MAX)))
///         }
///     }
/// }
///
/// let breaker = CircuitBreaker::builder().consecutive_failures(1).build()?;
/// let gate = gate(breaker.clone());
/// gate.ask().unwrap().fail();
/// assert!(gate.ask().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "circuit_breaker")]
pub trait Gate: Send + Sync {
    /// May a creation begin?
    ///
    /// # Errors
    ///
    /// [`Refused`]: not now.
    fn ask(&self) -> Result<Pass, Refused>;
}

impl<F: Fn() -> Result<Pass, Refused> + Send + Sync> Gate for F {
    fn ask(&self) -> Result<Pass, Refused> {
        self()
    }
}

/// The right to create one resource. Whoever has it tells how that went, once; dropped, nothing is
/// known.
#[must_use = "a pass that is dropped tells nothing"]
pub struct Pass(Option<Box<dyn FnOnce(Made) + Send>>);

/// How a creation went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// There is a resource.
    Succeeded,
    /// There is none: the manager failed, panicked, or was not ready in time.
    Failed,
}

impl Pass {
    /// A pass whose end is told to `end`. If nothing is known, that is dropped uncalled.
    pub fn new(end: impl FnOnce(Made) + Send + 'static) -> Self {
        Self(Some(Box::new(end)))
    }

    /// A pass that nobody wants to hear of again.
    pub fn silent() -> Self {
        Self(None)
    }

    /// There is a resource.
    pub fn succeed(self) {
        self.end(Made::Succeeded);
    }

    /// There is none.
    pub fn fail(self) {
        self.end(Made::Failed);
    }

    fn end(self, made: Made) {
        if let Some(end) = self.0 {
            end(made);
        }
    }
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pass").field(&self.0.is_some()).finish()
    }
}

/// A gate lets nothing pass for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("refused for the next {retry_after:?}")]
#[non_exhaustive]
pub struct Refused {
    /// Not before so long from now. `Duration::MAX` where nobody knows.
    pub retry_after: Duration,
}

impl Refused {
    /// Not before so long from now.
    #[must_use]
    pub fn for_now(retry_after: Duration) -> Self {
        Self { retry_after }
    }
}

/// The gate of a pool, at arm's length. The default is open.
#[derive(Default)]
pub(crate) struct Gatekeeper(Option<Box<dyn Gate>>);

impl Gatekeeper {
    pub(crate) fn new(gate: impl Gate + 'static) -> Self {
        Self(Some(Box::new(gate)))
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.is_some()
    }

    /// Asks. A gate that panics is none.
    pub(crate) fn ask(&self) -> Result<Ticket, Refused> {
        match &self.0 {
            None => Ok(Ticket(None)),
            Some(gate) => match contain(|| gate.ask()) {
                Ok(answer) => answer.map(|pass| Ticket(Some(pass))),
                Err(_) => Ok(Ticket(None)),
            },
        }
    }
}

/// A pass whose panics end here, in its destructor too.
#[derive(Default)]
pub(crate) struct Ticket(Option<Pass>);

impl Ticket {
    pub(crate) fn tell(mut self, made: Made) {
        if let Some(pass) = self.0.take() {
            let _ = contain(|| pass.end(made));
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let pass = self.0.take();
        crate::panics::discard(pass);
    }
}
