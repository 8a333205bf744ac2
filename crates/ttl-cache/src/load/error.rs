//! [`LoadError`]: why a load has no value for its caller.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

/// Why a load has no value for its caller.
///
/// Everybody who waited for one load is told the same, so the loader's error is shared and not
/// copied. Only [`Reentrant`](Self::Reentrant) concerns a single caller.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoadError<E> {
    /// The loader returned an error: now, or a while ago if the cache keeps errors.
    #[error("the loader failed")]
    Failed(#[source] Arc<E>),
    /// The loader panicked. The next caller loads anew.
    #[error("the loader panicked: {message}")]
    Panicked {
        /// What it panicked with, if that was text.
        message: Arc<str>,
    },
    /// The loader asks the cache for the very key that it loads, which would wait for ever. Only
    /// the inner call is told.
    #[error("the loader waits for its own result")]
    Reentrant,
    /// The load was not ready in time, and was dropped.
    #[error("the load was not ready after {after:?}")]
    Timeout {
        /// How long it was given.
        after: Duration,
    },
}

impl<E> LoadError<E> {
    /// What the loader itself returned, if that is what happened.
    #[must_use]
    pub fn failure(&self) -> Option<&E> {
        match self {
            Self::Failed(failure) => Some(failure),
            _ => None,
        }
    }

    /// The same error under another type of failure; `Err` with the failure if it is one.
    pub(crate) fn without_failure<F>(self) -> Result<LoadError<F>, Arc<E>> {
        match self {
            Self::Failed(failure) => Err(failure),
            Self::Panicked { message } => Ok(LoadError::Panicked { message }),
            Self::Reentrant => Ok(LoadError::Reentrant),
            Self::Timeout { after } => Ok(LoadError::Timeout { after }),
        }
    }
}

impl<E> Clone for LoadError<E> {
    fn clone(&self) -> Self {
        match self {
            Self::Failed(failure) => Self::Failed(Arc::clone(failure)),
            Self::Panicked { message } => Self::Panicked {
                message: Arc::clone(message),
            },
            Self::Reentrant => Self::Reentrant,
            Self::Timeout { after } => Self::Timeout { after: *after },
        }
    }
}
