//! Why a set of workers does not take a job, does not change its size, or has no result.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use thiserror::Error;

/// A job that was not taken; it comes back.
#[non_exhaustive]
pub struct SubmitError<F> {
    /// What was not taken.
    pub job: F,
    /// Why.
    pub reason: SubmitRefused,
}

/// Why a job is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SubmitRefused {
    /// As many jobs wait as may.
    #[error("{queue} jobs are waiting, which is the limit")]
    Full {
        /// How many may wait.
        queue: usize,
    },
    /// The workers are stopped, or about to be.
    #[error("the workers are stopped")]
    Stopped,
}

impl<F> fmt::Debug for SubmitError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubmitError")
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

impl<F> fmt::Display for SubmitError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the job was not taken")
    }
}

impl<F> StdError for SubmitError<F> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.reason)
    }
}

/// Why the number of workers is not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ScaleError {
    /// So many workers there may not be.
    #[error("{asked} workers asked for, allowed is {min} to {max}")]
    OutOfRange {
        /// How many were asked for.
        asked: usize,
        /// How few there may be.
        min: usize,
        /// How many there may be.
        max: usize,
    },
    /// The workers are stopped, or about to be.
    #[error("the workers are stopped")]
    Stopped,
}

/// Why a job has no result.
#[derive(Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum JobError<E: StdError + 'static> {
    /// It failed.
    #[error("the job failed")]
    Failed(#[source] E),
    /// It panicked. The worker goes on.
    #[error("the job panicked: {message}")]
    Panicked {
        /// What it panicked with, if that was text.
        message: Arc<str>,
    },
    /// It was dropped before its end: the workers were stopped, or what ran them has gone.
    #[error("the job was dropped before its end")]
    Dropped,
}
