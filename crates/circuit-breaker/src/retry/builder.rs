//! [`RetryBuilder`]: what a retry is told before it is made.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use brolly_sync::{Backoff, BackoffBuilder, BackoffError, Jitter, ThreadTimer, Timer};

use super::{Retry, RetryBudget};
use crate::error::ConfigError;

/// Settings of a [`Retry`], checked by [`build`](Self::build).
#[must_use = "nothing is built yet"]
pub struct RetryBuilder {
    max_attempts: u32,
    max_elapsed: Option<Duration>,
    attempt_timeout: Option<Duration>,
    backoff: BackoffBuilder,
    max: Duration,
    is_seeded: bool,
    budget: Option<RetryBudget>,
    timer: Option<Arc<dyn Timer>>,
}

/// The longest wait where nothing else is said.
const MAX: Duration = Duration::from_secs(30);

impl RetryBuilder {
    pub(super) fn new() -> Self {
        Self {
            max_attempts: 3,
            max_elapsed: None,
            attempt_timeout: None,
            backoff: Backoff::builder()
                .initial(Duration::from_secs(1))
                .max(MAX)
                .factor(2.0)
                .jitter(Jitter::Above(0.1)),
            max: MAX,
            is_seeded: false,
            budget: None,
            timer: None,
        }
    }

    /// How many attempts there may be, the first included: at least 1, by default 3.
    #[doc(alias = "max_retries")]
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts;
        self
    }

    /// The wait before the second attempt: more than zero, at most the longest; 1 s by default.
    pub fn initial(mut self, initial: Duration) -> Self {
        self.backoff = self.backoff.initial(initial);
        self
    }

    /// Each wait is so many times the one before: at least 1, by default 2.
    pub fn factor(mut self, factor: f64) -> Self {
        self.backoff = self.backoff.factor(factor);
        self
    }

    /// The longest wait before jitter, 30 s by default. What an error asks for may be longer.
    pub fn max(mut self, max: Duration) -> Self {
        self.backoff = self.backoff.max(max);
        self.max = max;
        self
    }

    /// How waits are spread. By default up to a tenth longer, [`Jitter::Above`]; with
    /// [`Jitter::Full`] many that failed together come back the least together.
    pub fn jitter(mut self, jitter: Jitter) -> Self {
        self.backoff = self.backoff.jitter(jitter);
        self
    }

    /// Fixes the random numbers of the jitter: every run then waits the same times.
    pub fn seed(mut self, seed: u64) -> Self {
        self.backoff = self.backoff.seed(seed);
        self.is_seeded = true;
        self
    }

    /// How long one attempt may take: more than zero; no limit by default. An attempt whose time is
    /// over is dropped, and is tried again as one that may pass.
    #[doc(alias = "timeout")]
    pub fn attempt_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.attempt_timeout = limit.into();
        self
    }

    /// No attempt begins later than this after the first: more than zero; no limit by default. A
    /// wait that would end later is not begun. The attempts themselves are not cut short.
    #[doc(alias = "deadline")]
    pub fn max_elapsed(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.max_elapsed = limit.into();
        self
    }

    /// Limits the retries of all runs that share it; no limit by default.
    pub fn budget(mut self, budget: RetryBudget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// What waits, by default a [`ThreadTimer`] of its own, whose thread starts with the first
    /// wait.
    pub fn timer(mut self, timer: impl Timer + 'static) -> Self {
        self.timer = Some(Arc::new(timer));
        self
    }

    /// A retry.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], naming a setting that is out of its range.
    pub fn build(self) -> Result<Retry, ConfigError> {
        let refuse = |field, value: &dyn fmt::Display, allowed| {
            Err(ConfigError::out_of_range(field, value, allowed))
        };
        if self.max_attempts == 0 {
            return refuse("max_attempts", &0, "at least 1");
        }
        for (field, limit) in [
            ("attempt_timeout", self.attempt_timeout),
            ("max_elapsed", self.max_elapsed),
        ] {
            if limit.is_some_and(|limit| limit.is_zero()) {
                return refuse(field, &"0ns", "1ns or more, or none");
            }
        }
        let backoff = match self.backoff.build() {
            Ok(backoff) => backoff,
            Err(BackoffError::Initial { .. }) if self.max.is_zero() => {
                return refuse("max", &"0ns", "1ns or more");
            }
            Err(BackoffError::Initial { value, .. }) => {
                return refuse("initial", &format_args!("{value:?}"), "1ns to max");
            }
            Err(BackoffError::Jitter { value }) => return refuse("jitter", &value, "0 to 1"),
            Err(BackoffError::Factor { value }) => {
                return refuse("factor", &value, "finite, at least 1");
            }
            Err(other) => return refuse(other.field(), &other, "see there"),
        };
        Ok(Retry {
            max_attempts: self.max_attempts,
            max_elapsed: self.max_elapsed,
            attempt_timeout: self.attempt_timeout,
            backoff,
            is_seeded: self.is_seeded,
            budget: self.budget,
            timer: self.timer.unwrap_or_else(|| Arc::new(ThreadTimer::new())),
        })
    }
}

impl fmt::Debug for RetryBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryBuilder")
            .field("max_attempts", &self.max_attempts)
            .field("backoff", &self.backoff)
            .finish_non_exhaustive()
    }
}
