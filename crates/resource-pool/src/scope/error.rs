//! What can go wrong in a scope: a cleanup that fails, a step that fails, a resource that is refused.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::reports::holders::Site;

/// Cleanups that failed. Every other one was run all the same.
#[derive(Debug, Error)]
#[non_exhaustive]
pub struct CleanupErrors {
    /// In the order in which they were tried; never empty.
    pub errors: Vec<CleanupError>,
}

impl fmt::Display for CleanupErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.errors.len() {
            1 => f.write_str("1 cleanup failed")?,
            count => write!(f, "{count} cleanups failed")?,
        }
        for (position, error) in self.errors.iter().enumerate() {
            let lead = if position == 0 { ": " } else { "; " };
            write!(f, "{lead}{error}")?;
            if let Some(source) = error.source() {
                write!(f, ": {source}")?;
            }
        }
        Ok(())
    }
}

/// One cleanup that failed.
#[derive(Debug)]
#[non_exhaustive]
pub struct CleanupError {
    /// What was to be cleaned up.
    pub id: Arc<str>,
    /// Where it came into the scope.
    pub site: Site,
    /// Why it failed.
    pub cause: CleanupCause,
}

impl fmt::Display for CleanupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, site, cause } = self;
        write!(f, "`{id}`, from {site}, {cause}")
    }
}

impl StdError for CleanupError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause.source()
    }
}

/// Why a cleanup failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CleanupCause {
    /// It said so.
    #[error("failed")]
    Failed(#[source] Box<dyn StdError + Send + Sync>),
    /// It panicked, or what it was about panicked when it was dropped.
    #[error("panicked: {message}")]
    Panicked {
        /// What it panicked with, if that was text.
        message: Arc<str>,
    },
    /// Its handle is still in use. It is cleaned up when the handle is dropped.
    #[error("is still in use")]
    InUse,
    /// It had to wait, and nobody was there to go on with it: there is no spawner, or the spawner
    /// dropped it.
    #[error("had to wait and was left")]
    Unfinished,
}

/// What a step of a scope failed with, once everything before it was undone.
#[derive(Debug)]
#[non_exhaustive]
pub struct ScopeError<E> {
    /// What the step returned.
    pub error: E,
    /// What could not be undone. `None` if all was.
    pub cleanup: Option<CleanupErrors>,
}

impl<E> ScopeError<E> {
    pub(crate) fn new(error: E, cleanup: Option<CleanupErrors>) -> Self {
        Self { error, cleanup }
    }
}

impl<E> fmt::Display for ScopeError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cleanup {
            None => f.write_str("a step failed, and what came before it was undone"),
            Some(cleanup) => write!(f, "a step failed, and of what came before it {cleanup}"),
        }
    }
}

impl<E: StdError + 'static> StdError for ScopeError<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.error)
    }
}

/// A resource that a scope would not manage; it comes back.
#[non_exhaustive]
pub struct ManageError<R> {
    /// What was not taken. It is open.
    pub resource: R,
    /// Why.
    pub reason: ManageRefused,
}

impl<R> ManageError<R> {
    pub(crate) fn new(resource: R, reason: ManageRefused) -> Self {
        Self { resource, reason }
    }
}

/// Why a scope does not manage a resource.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ManageRefused {
    /// There is one of that id.
    #[error("there is a `{id}` already, for {since:.1?}, from {site}")]
    Duplicate {
        /// The id.
        id: Arc<str>,
        /// Where the other one came from.
        site: Site,
        /// How long ago.
        since: Duration,
    },
    /// There are as many as there may be.
    #[error("{max} resources are managed already")]
    Full {
        /// How many there may be.
        max: usize,
    },
}

impl<R> fmt::Display for ManageError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.reason, f)
    }
}

impl<R> fmt::Debug for ManageError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("ManageError");
        debug.field("reason", &self.reason).finish_non_exhaustive()
    }
}

impl<R> StdError for ManageError<R> {}
