//! Why a gathering did not start, and why an id has no value.

use std::time::Duration;

use crate::error::ConfigError;
use crate::panic::Panic;

/// Why nothing was asked at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GatherError<K> {
    /// A setting that no run could work with.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The same id was given more than once, and an answer can hold it only once. Of several such
    /// ids this is the least.
    #[error("the same id was given at the positions {positions:?}")]
    Duplicate {
        /// The id.
        id: K,
        /// All its positions among the inputs, ascending.
        positions: Vec<usize>,
    },
}

/// Why an id has no value. It concerns that id alone: all others went on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError<E> {
    /// Its future returned this error.
    #[error(transparent)]
    Failed(E),
    /// Its future panicked.
    #[error(transparent)]
    Panicked(Panic),
    /// Its future was still pending when its time was over.
    #[error("not ready after {after:?}")]
    TimedOut {
        /// How long it had.
        after: Duration,
    },
    /// The run was cancelled before its future ended.
    #[error("cancelled")]
    Cancelled,
    /// The deadline of the whole run came before its future ended.
    #[error("the deadline came first")]
    DeadlineExceeded,
}

impl<E> SourceError<E> {
    /// The error the future returned, if it returned one.
    pub fn into_failed(self) -> Option<E> {
        match self {
            Self::Failed(error) => Some(error),
            _ => None,
        }
    }

    /// Whether the future panicked.
    pub fn is_panic(&self) -> bool {
        matches!(self, Self::Panicked(_))
    }

    /// Whether the future was over its time.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::TimedOut { .. })
    }
}
