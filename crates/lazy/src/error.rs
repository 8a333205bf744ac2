//! What can go wrong: a setting that is refused, a load that brings nothing.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

/// A setting that is out of its range.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{field} is {value}, allowed is {allowed}")]
#[non_exhaustive]
pub struct ConfigError {
    /// The setting, by the name of its builder method.
    pub field: &'static str,
    /// The value that was given.
    pub value: String,
    /// What is allowed.
    pub allowed: &'static str,
}

impl ConfigError {
    pub(crate) fn new(field: &'static str, value: impl fmt::Debug, allowed: &'static str) -> Self {
        Self {
            field,
            value: format!("{value:?}"),
            allowed,
        }
    }
}

/// Why a load has no value for its caller.
///
/// Everybody who waited for one load is told the same, so the loader's error is shared and not
/// copied. Only [`Recursive`](Self::Recursive) concerns a single caller.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoadError<E = Infallible> {
    /// The loader returned an error: now, or a while ago if errors are kept.
    #[error("the loader failed")]
    Failed(#[source] Arc<E>),
    /// The loader panicked while this caller waited for it. The next caller loads anew.
    #[error("the loader panicked: {message}")]
    Panicked {
        /// What it panicked with, if that was text.
        message: Arc<str>,
    },
    /// The loader asks for the very value that it loads, which would wait for ever. Only the inner
    /// call is told.
    #[error("the loader asks for the value that it loads")]
    Recursive,
    /// The load was not ready in time, and was dropped.
    #[error("the load was not ready after {after:?}")]
    Timeout {
        /// How long it was given.
        after: Duration,
    },
    /// A blocking loader never ran to its end, because no thread was to be had for it or its
    /// runtime shut down.
    #[error("the loader was dropped before it returned")]
    Dropped,
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
}

impl LoadError<Infallible> {
    /// The same for a loader that can fail.
    #[must_use]
    pub fn widen<E>(self) -> LoadError<E> {
        match self {
            Self::Failed(never) => match *never {},
            Self::Panicked { message } => LoadError::Panicked { message },
            Self::Recursive => LoadError::Recursive,
            Self::Timeout { after } => LoadError::Timeout { after },
            Self::Dropped => LoadError::Dropped,
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
            Self::Recursive => Self::Recursive,
            Self::Timeout { after } => Self::Timeout { after: *after },
            Self::Dropped => Self::Dropped,
        }
    }
}
