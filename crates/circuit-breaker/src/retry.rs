//! [`Retry`]: another attempt after a while, for errors that may pass.

mod budget;
mod builder;
mod error;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use brolly_sync::{Backoff, Elapsed, Timer, TimerExt};

use crate::error_class::{Classify, ErrorClass};

pub use budget::RetryBudget;
pub use builder::RetryBuilder;
pub use error::{GaveUp, RetryError};

/// Runs an operation again, after a while, when its error may pass.
///
/// The wait before attempt n is `min(initial * factor^(n - 2), max)`, spread by the jitter, and never
/// shorter than what the error itself asks for: an open breaker is not called before its
/// `retry_after` is over. Waiting goes by a [`Timer`], so it works on any runtime and on none.
///
/// Clones share the timer and the budget.
///
/// ```
/// use brolly_circuit_breaker::{Decision, GaveUp, Retry};
/// use brolly_sync::ManualClock;
///
/// let retry = Retry::builder().max_attempts(1).timer(ManualClock::new()).build()?;
/// let gave_up = retry.run_blocking_if(|_: &&str| Decision::Retry, |_attempt| Err::<(), _>("down"));
/// let error = gave_up.unwrap_err();
/// assert_eq!((error.attempts, error.reason), (1, GaveUp::Attempts));
/// # Ok::<(), brolly_circuit_breaker::ConfigError>(())
/// ```
#[derive(Clone)]
#[doc(alias = "ExponentialBackoff")]
pub struct Retry {
    max_attempts: u32,
    max_elapsed: Option<Duration>,
    attempt_timeout: Option<Duration>,
    backoff: Backoff,
    /// Whether every run draws the same random numbers.
    is_seeded: bool,
    budget: Option<RetryBudget>,
    timer: Arc<dyn Timer>,
}

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decision {
    /// Try again after the next wait.
    Retry,
    /// Try again, and not before so much time has passed.
    RetryAfter(Duration),
    /// Nothing would change.
    GiveUp,
}

impl Decision {
    /// What the kind of an error suggests: permanent errors are not tried again.
    pub fn by_class<E: Classify>(error: &E) -> Self {
        match (error.class(), error.retry_after()) {
            (ErrorClass::Permanent, _) => Self::GiveUp,
            (_, Some(wait)) => Self::RetryAfter(wait),
            (_, None) => Self::Retry,
        }
    }
}

impl Retry {
    /// Settings to begin with: 3 attempts, waits of 1 s, doubled each time, up to 30 s, and up to a
    /// tenth longer at random.
    pub fn builder() -> RetryBuilder {
        RetryBuilder::new()
    }

    /// Settings for a hosting service: those of [`builder`](Self::builder).
    pub fn github() -> RetryBuilder {
        Self::builder()
    }

    /// Settings for a network: those of [`builder`](Self::builder).
    pub fn network() -> RetryBuilder {
        Self::builder()
    }

    /// Runs the future that `operation` makes, and again as long as its errors may pass. It is told
    /// the number of the attempt, from 1.
    ///
    /// # Errors
    ///
    /// [`RetryError`] with the last error, the number of attempts, and why there was no other.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the attempt or the wait it is in; nothing else is going on.
    pub async fn run<T, E, F>(&self, operation: impl FnMut(u32) -> F) -> Result<T, RetryError<E>>
    where
        F: Future<Output = Result<T, E>>,
        E: Classify,
    {
        self.run_if(Decision::by_class, operation).await
    }

    /// The same, where `decide` says what to do about an error.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    ///
    /// # Cancel safety
    ///
    /// As [`run`](Self::run).
    #[doc(alias = "retry_if")]
    pub async fn run_if<T, E, F>(
        &self,
        decide: impl Fn(&E) -> Decision,
        mut operation: impl FnMut(u32) -> F,
    ) -> Result<T, RetryError<E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        let mut run = Run::new(self);
        loop {
            run.attempts += 1;
            let attempt = operation(run.attempts);
            let outcome = match self.attempt_timeout {
                Some(limit) => self.timer.timeout(limit, attempt).await,
                None => Ok(attempt.await),
            };
            match run.judge(outcome, &decide) {
                Judged::Done(value) => return Ok(value),
                Judged::Failed(error) => return Err(error),
                Judged::Wait(wait) => self.timer.sleep(wait).await,
            }
        }
    }

    /// Runs `operation` on this thread, and again as long as its errors may pass; the thread sleeps in
    /// between. An attempt that runs cannot be stopped, so
    /// [`attempt_timeout`](RetryBuilder::attempt_timeout) has no meaning here.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn run_blocking<T, E: Classify>(
        &self,
        operation: impl FnMut(u32) -> Result<T, E>,
    ) -> Result<T, RetryError<E>> {
        self.run_blocking_if(Decision::by_class, operation)
    }

    /// The same, where `decide` says what to do about an error.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn run_blocking_if<T, E>(
        &self,
        decide: impl Fn(&E) -> Decision,
        mut operation: impl FnMut(u32) -> Result<T, E>,
    ) -> Result<T, RetryError<E>> {
        let mut run = Run::new(self);
        loop {
            run.attempts += 1;
            match run.judge(Ok(operation(run.attempts)), &decide) {
                Judged::Done(value) => return Ok(value),
                Judged::Failed(error) => return Err(error),
                Judged::Wait(wait) => self.timer.sleep_blocking(wait),
            }
        }
    }
}

/// One run: how many attempts there were, and the waits between them.
struct Run<'a> {
    retry: &'a Retry,
    attempts: u32,
    backoff: Backoff,
    /// When it began, if there is a limit.
    started: Option<Duration>,
}

enum Judged<T, E> {
    Done(T),
    Wait(Duration),
    Failed(RetryError<E>),
}

impl<'a> Run<'a> {
    fn new(retry: &'a Retry) -> Self {
        if let Some(budget) = &retry.budget {
            budget.deposit();
        }
        Self {
            retry,
            attempts: 0,
            backoff: match retry.is_seeded {
                true => retry.backoff.clone(),
                false => retry.backoff.fresh(),
            },
            started: retry.max_elapsed.map(|_| retry.timer.now()),
        }
    }

    /// What follows from the end of an attempt.
    fn judge<T, E>(
        &mut self,
        outcome: Result<Result<T, E>, Elapsed>,
        decide: impl Fn(&E) -> Decision,
    ) -> Judged<T, E> {
        let (decision, last) = match outcome {
            Ok(Ok(value)) => return Judged::Done(value),
            Ok(Err(error)) => (decide(&error), Some(error)),
            Err(_) => (Decision::Retry, None),
        };
        match self.next_wait(decision) {
            Ok(wait) => Judged::Wait(wait),
            Err(reason) => Judged::Failed(RetryError {
                reason,
                attempts: self.attempts,
                last,
            }),
        }
    }

    fn next_wait(&mut self, decision: Decision) -> Result<Duration, GaveUp> {
        let at_least = match decision {
            Decision::Retry => Duration::ZERO,
            Decision::RetryAfter(wait) => wait,
            Decision::GiveUp => return Err(GaveUp::Permanent),
        };
        if self.attempts >= self.retry.max_attempts {
            return Err(GaveUp::Attempts);
        }
        let wait = self.backoff.next_delay().max(at_least);
        if let (Some(started), Some(limit)) = (self.started, self.retry.max_elapsed) {
            let elapsed = self.retry.timer.now().saturating_sub(started);
            if elapsed.saturating_add(wait) > limit {
                return Err(GaveUp::Elapsed);
            }
        }
        let is_allowed = self.retry.budget.as_ref().is_none_or(RetryBudget::withdraw);
        if is_allowed {
            Ok(wait)
        } else {
            Err(GaveUp::Budget)
        }
    }
}

impl fmt::Debug for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retry")
            .field("max_attempts", &self.max_attempts)
            .field("max_elapsed", &self.max_elapsed)
            .field("attempt_timeout", &self.attempt_timeout)
            .field("backoff", &self.backoff)
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}
