//! What can go wrong: a setting out of range, and an item that has no result.

use std::time::Duration;

use crate::cancel::Stopped;
use crate::panic::Panic;

/// A setting that no run could work with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A number is outside of what the field allows.
    #[error("{field} is {value}, allowed are {min} to {max}")]
    OutOfRange {
        /// The setting, as it is spelled in the API.
        field: &'static str,
        /// What it was set to.
        value: usize,
        /// The least it may be.
        min: usize,
        /// The most it may be.
        max: usize,
    },
    /// A length of time is outside of what the field allows.
    #[error("{field} is {value:?}, allowed are {min:?} to {max:?}")]
    DurationOutOfRange {
        /// The setting, as it is spelled in the API.
        field: &'static str,
        /// What it was set to.
        value: Duration,
        /// The least it may be.
        min: Duration,
        /// The most it may be.
        max: Duration,
    },
    /// A setting has no meaning without another one.
    #[error("{needed_by} is set, which needs {field}")]
    Missing {
        /// The setting that is missing.
        field: &'static str,
        /// The one that was set.
        needed_by: &'static str,
    },
}

/// Why an item has no result.
///
/// An error and a panic concern their item alone: all others went on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ItemError<E> {
    /// The function returned this error.
    #[error(transparent)]
    Failed(E),
    /// The function, or the future it returned, panicked.
    #[error(transparent)]
    Panicked(Panic),
    /// The run was cancelled before the item ended, or before it started.
    #[error("cancelled")]
    Cancelled,
    /// The run's time was over before the item ended, or before it started.
    #[error("the run's deadline has passed")]
    DeadlineExceeded,
}

impl<E> From<Stopped> for ItemError<E> {
    fn from(why: Stopped) -> Self {
        match why {
            Stopped::Cancelled | Stopped::Failed => Self::Cancelled,
            Stopped::DeadlineExceeded => Self::DeadlineExceeded,
        }
    }
}

impl<E> ItemError<E> {
    /// The error the function returned, if it returned one.
    pub fn into_failed(self) -> Option<E> {
        match self {
            Self::Failed(error) => Some(error),
            Self::Panicked(_) | Self::Cancelled | Self::DeadlineExceeded => None,
        }
    }

    /// Whether the function panicked.
    pub fn is_panic(&self) -> bool {
        matches!(self, Self::Panicked(_))
    }
}
