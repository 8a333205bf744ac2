//! What can be refused, and why.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use crate::name::Name;
use crate::state::{State, Word};

/// A setting that no breaker and no retry could work with.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A value is outside of what the field allows.
    #[error("{field} is {value}, allowed is {allowed}")]
    OutOfRange {
        /// The setting, by the name of its builder method.
        field: &'static str,
        /// What it was set to.
        value: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// Two settings exclude each other.
    #[error("{field} has no meaning with {other}, it needs {needs}")]
    Conflict {
        /// The setting, by the name of its builder method.
        field: &'static str,
        /// The setting that it was combined with.
        other: &'static str,
        /// What it can be combined with.
        needs: &'static str,
    },
}

impl ConfigError {
    pub(crate) fn out_of_range(
        field: &'static str,
        value: impl fmt::Display,
        allowed: &'static str,
    ) -> Self {
        Self::OutOfRange {
            field,
            value: value.to_string(),
            allowed,
        }
    }

    /// The name of the setting that was refused.
    #[must_use]
    pub fn field(&self) -> &'static str {
        match self {
            Self::OutOfRange { field, .. } | Self::Conflict { field, .. } => field,
        }
    }
}

/// A call that was not let through. Nothing ran.
#[derive(Clone, Debug, PartialEq, Eq)]
#[doc(alias = "BrokenCircuitError")]
#[doc(alias = "CallNotPermitted")]
#[doc(alias = "Open")]
pub struct Rejection {
    name: Name,
    word: Word,
    /// `u64::MAX` where nobody knows.
    retry_after_nanos: u64,
}

impl Rejection {
    #[inline]
    pub(crate) fn new(name: Name, word: Word, retry_after_nanos: u64) -> Self {
        Self {
            name,
            word,
            retry_after_nanos,
        }
    }

    /// The breaker that rejected the call; empty if it has no name.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The state that it rejected the call in: open, half-open, or forced open.
    #[must_use]
    pub fn state(&self) -> State {
        self.word.state()
    }

    /// How many times the breaker's state had been set. Two rejections with the same number are of
    /// one outage.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.word.generation()
    }

    /// How long to wait before another call makes sense; `None` where only a person can tell, as
    /// when the breaker is forced open.
    ///
    /// Open: the rest of the open time, never less than that. Half-open, with all probes out: the
    /// first open time, or what is left for the probes if that is shorter, since nobody knows when
    /// a probe ends.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        (self.retry_after_nanos != u64::MAX).then(|| Duration::from_nanos(self.retry_after_nanos))
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("circuit breaker ")?;
        if !self.name.as_str().is_empty() {
            write!(f, "\"{}\" ", self.name)?;
        }
        write!(f, "is {}", self.state())?;
        match self.retry_after() {
            Some(wait) => write!(f, ", retry after {wait:?}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Rejection {}

/// Why a call through a breaker has no value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CallError<E> {
    /// The breaker did not let it through.
    #[error(transparent)]
    Rejected(Rejection),
    /// It ran, and this is its own error.
    #[error(transparent)]
    Inner(E),
}

impl<E> CallError<E> {
    /// The rejection, if it is one.
    #[must_use]
    pub fn rejection(&self) -> Option<&Rejection> {
        match self {
            Self::Rejected(rejection) => Some(rejection),
            Self::Inner(_) => None,
        }
    }

    /// The call's own error, if it ran.
    #[must_use]
    pub fn inner(&self) -> Option<&E> {
        match self {
            Self::Rejected(_) => None,
            Self::Inner(error) => Some(error),
        }
    }

    /// The call's own error, if it ran.
    pub fn into_inner(self) -> Option<E> {
        match self {
            Self::Rejected(_) => None,
            Self::Inner(error) => Some(error),
        }
    }

    /// Whether the breaker did not let it through.
    #[must_use]
    pub fn is_rejected(&self) -> bool {
        matches!(self, Self::Rejected(_))
    }
}

impl<E> From<Rejection> for CallError<E> {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}
