//! What can go wrong: a setting that is refused, nothing to be had, a resource that cannot be made.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::reports::holders::SiteHolders;

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
    /// Refuses a setting, as the builders of this crate do. For crates whose builders have settings
    /// beside those of a pool.
    #[must_use]
    pub fn new(field: &'static str, value: impl fmt::Debug, allowed: &'static str) -> Self {
        Self {
            field,
            value: format!("{value:?}"),
            allowed,
        }
    }
}

/// Why an acquire that may wait got nothing.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AcquireError<E: StdError + 'static> {
    /// The time was over. Says who holds the resources.
    #[error(transparent)]
    Timeout(Box<Timeout<E>>),
    /// The pool is closed.
    #[error("the pool is closed")]
    Closed,
    /// There was none to be had, and no new one could be made.
    #[error("no resource could be created")]
    Create(#[source] CreateError<E>),
    /// More were asked for at once than there may be.
    #[error("{asked} resources asked for at once, the pool has {max} at most")]
    TooMany {
        /// How many were asked for.
        asked: usize,
        /// How many there may be.
        max: usize,
    },
}

impl<E: StdError + 'static> AcquireError<E> {
    /// The report of a timeout, if that is what happened.
    #[must_use]
    pub fn timeout(&self) -> Option<&Timeout<E>> {
        match self {
            Self::Timeout(report) => Some(report),
            _ => None,
        }
    }

    /// For how long a gate lets no creation begin, if that is why there is none.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Create(error) => error.retry_after(),
            _ => None,
        }
    }
}

impl<E: StdError + 'static> Clone for AcquireError<E> {
    fn clone(&self) -> Self {
        match self {
            Self::Timeout(report) => Self::Timeout(report.clone()),
            Self::Closed => Self::Closed,
            Self::Create(error) => Self::Create(error.clone()),
            Self::TooMany { asked, max } => Self::TooMany {
                asked: *asked,
                max: *max,
            },
        }
    }
}

/// How the pool stood when an acquire ran out of time.
#[derive(Debug, Error)]
#[non_exhaustive]
pub struct Timeout<E: StdError + 'static> {
    /// The pool's name.
    pub pool: Arc<str>,
    /// How long the caller waited.
    pub waited: Duration,
    /// How many resources there may be.
    pub max: usize,
    /// How many were handed out.
    pub in_use: usize,
    /// How many were being created.
    pub creating: usize,
    /// How many others were waiting.
    pub waiting: usize,
    /// Who held the resources, by the place where they were acquired: those who held longest first,
    /// five at most.
    pub holders: Vec<SiteHolders>,
    /// Why the last attempt to create failed, unless one has succeeded since.
    pub last_error: Option<CreateError<E>>,
}

impl<E: StdError + 'static> Clone for Timeout<E> {
    fn clone(&self) -> Self {
        Self {
            pool: Arc::clone(&self.pool),
            holders: self.holders.clone(),
            last_error: self.last_error.clone(),
            ..*self
        }
    }
}

impl<E: StdError + 'static> fmt::Display for Timeout<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            pool,
            waited,
            max,
            in_use,
            creating,
            waiting,
            ..
        } = self;
        write!(
            f,
            "no resource of `{pool}` after {waited:.1?}: {in_use} of {max} in use, \
             {creating} being created, {waiting} waiting"
        )?;
        if let Some(error) = &self.last_error {
            write!(f, "; the last attempt to create one: {error}")?;
            if let Some(source) = error.source() {
                write!(f, ": {source}")?;
            }
        }
        for (position, held) in self.holders.iter().enumerate() {
            let lead = if position == 0 { "; held by " } else { ", " };
            write!(f, "{lead}{held}")?;
        }
        Ok(())
    }
}

/// Why a resource could not be made. Everybody whom the attempt concerned is told the same.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CreateError<E: StdError + 'static> {
    /// The manager said so.
    #[error("the manager failed")]
    Failed(#[source] Arc<E>),
    /// The manager, or a hook, panicked.
    #[error("the manager panicked: {message}")]
    Panicked {
        /// What it panicked with, if that was text.
        message: Arc<str>,
    },
    /// It was not ready in time, and was dropped.
    #[error("not ready after {after:?}")]
    Timeout {
        /// How long it was given.
        after: Duration,
    },
    /// What ran it has dropped it, as a runtime does that shuts down.
    #[error("dropped before it was ready")]
    Dropped,
    /// The pool's [`Gate`](crate::Gate) lets none begin: the manager was not asked.
    #[error("refused for the next {retry_after:?}")]
    Refused {
        /// Not before so long from now. `Duration::MAX` where nobody knows.
        retry_after: Duration,
    },
}

impl<E: StdError + 'static> CreateError<E> {
    /// What the manager itself returned, if that is what happened.
    #[must_use]
    pub fn failure(&self) -> Option<&E> {
        match self {
            Self::Failed(failure) => Some(failure),
            _ => None,
        }
    }

    /// For how long a gate lets no creation begin, if that is what happened.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after } => Some(*retry_after),
            _ => None,
        }
    }
}

impl<E: StdError + 'static> Clone for CreateError<E> {
    fn clone(&self) -> Self {
        match self {
            Self::Failed(failure) => Self::Failed(Arc::clone(failure)),
            Self::Panicked { message } => Self::Panicked {
                message: Arc::clone(message),
            },
            Self::Timeout { after } => Self::Timeout { after: *after },
            Self::Dropped => Self::Dropped,
            Self::Refused { retry_after } => Self::Refused {
                retry_after: *retry_after,
            },
        }
    }
}

/// Why an acquire that does not wait got nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TryAcquireError {
    /// None is idle, or others wait for it.
    #[error("no resource is idle: {in_use} of {max} in use")]
    Exhausted {
        /// How many were handed out.
        in_use: usize,
        /// How many there may be.
        max: usize,
    },
    /// The pool is closed.
    #[error("the pool is closed")]
    Closed,
}

/// Why [`Pool::run`](crate::Pool::run) has no result.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunError<E: StdError + 'static> {
    /// There was no resource to be had.
    #[error("no resource could be acquired")]
    Acquire(#[source] AcquireError<E>),
    /// The function failed.
    #[error("the work with the resource failed")]
    Failed(#[source] E),
}

/// A resource that the pool would not take; it comes back.
#[derive(Debug)]
#[non_exhaustive]
pub struct AddError<R> {
    /// What was not taken.
    pub resource: R,
    /// Why.
    pub reason: AddRefused,
}

/// Why a pool does not take a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AddRefused {
    /// There are as many as there may be.
    #[error("the pool is full")]
    Full,
    /// The pool is closed.
    #[error("the pool is closed")]
    Closed,
}

impl<R> fmt::Display for AddError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.reason, f)
    }
}

impl<R: fmt::Debug> StdError for AddError<R> {}

/// Why [`Pool::warm_up`](crate::Pool::warm_up) did not make all. What was made is kept.
#[derive(Clone, Debug, Error)]
#[error("{ready} of {wanted} resources are ready")]
#[non_exhaustive]
pub struct WarmUpError<E: StdError + 'static> {
    /// How many there are.
    pub ready: usize,
    /// How many there should be.
    pub wanted: usize,
    /// Why the last attempt failed.
    #[source]
    pub error: CreateError<E>,
}
