//! [`RetryError`]: the last error, and why there was no other attempt.

use std::error::Error;
use std::fmt;

/// No attempt succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryError<E> {
    /// Why there was no other attempt.
    pub reason: GaveUp,
    /// How many attempts there were.
    pub attempts: u32,
    /// The error of the last attempt; `None` if its time was over.
    pub last: Option<E>,
}

/// Why there was no other attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GaveUp {
    /// The error will not pass.
    Permanent,
    /// There were as many attempts as there may be.
    Attempts,
    /// The next attempt would have begun after the time for all of them.
    Elapsed,
    /// The budget has no retry left.
    Budget,
}

impl fmt::Display for GaveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Permanent => "the error is permanent",
            Self::Attempts => "no attempt is left",
            Self::Elapsed => "no time is left",
            Self::Budget => "no retry is left in the budget",
        })
    }
}

impl<E> fmt::Display for RetryError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            reason, attempts, ..
        } = self;
        let what = if self.last.is_some() {
            "failed"
        } else {
            "not ready in time"
        };
        match attempts {
            1 => write!(f, "{what} at the first attempt, {reason}"),
            _ => write!(f, "{what} after {attempts} attempts, {reason}"),
        }
    }
}

impl<E: Error + 'static> Error for RetryError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.last.as_ref().map(|error| error as _)
    }
}
