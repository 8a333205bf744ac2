//! Why a call to a [`Batcher`](crate::Batcher) has no value.

use std::fmt;
use std::sync::Arc;

/// Why a call has no value. Everything but `Closed` is told to whoever was in the same batch, or
/// the same place of it; batches after it are not concerned.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError<E> {
    /// The bulk function returned this error, for the batch or for this key.
    #[error(transparent)]
    Failed(Arc<E>),
    /// The bulk function did not return one result for each key, so none can be told apart.
    #[error("the bulk function returned {got} results for {expected} keys")]
    WrongCount {
        /// How many keys it was given.
        expected: usize,
        /// How many results came back.
        got: usize,
    },
    /// Foreign code panicked: the bulk function (its whole batch is told), or a weigher, a
    /// partition function, `Hash`, `Eq` or `Clone` (only the call it ran for is told).
    #[error("panicked: {message}")]
    Panicked {
        /// What it panicked with, if that was text.
        message: Arc<str>,
    },
    /// The spawner dropped the batch before it ended, as a runtime does that shuts down.
    #[error("the spawner dropped the batch before it ended")]
    Dropped,
    /// The batcher was closed before the call was made.
    #[error("the batcher is closed")]
    Closed,
}

impl<E> Clone for BatchError<E> {
    fn clone(&self) -> Self {
        match self {
            Self::Failed(error) => Self::Failed(Arc::clone(error)),
            Self::WrongCount { expected, got } => Self::WrongCount {
                expected: *expected,
                got: *got,
            },
            Self::Panicked { message } => Self::Panicked {
                message: Arc::clone(message),
            },
            Self::Dropped => Self::Dropped,
            Self::Closed => Self::Closed,
        }
    }
}

/// Why [`try_submit`](crate::Batcher::try_submit) did not take a key, which it gives back.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrySubmitError<K> {
    /// As many keys wait as may wait, or somebody stands in line for room.
    #[error("no room for another key")]
    Full(K),
    /// The batcher is closed.
    #[error("the batcher is closed")]
    Closed(K),
}

impl<K> TrySubmitError<K> {
    /// The key that was not taken.
    pub fn into_key(self) -> K {
        match self {
            Self::Full(key) | Self::Closed(key) => key,
        }
    }
}

/// Names the case and not the key, which need not be `Debug`.
impl<K> fmt::Debug for TrySubmitError<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::Closed(_) => "Closed(..)",
        })
    }
}
