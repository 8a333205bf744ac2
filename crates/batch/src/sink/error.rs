//! [`SinkError`]: why an item is not stored.

use std::sync::Arc;

use crate::sink::gate::Rejected;

/// Why an item is not known to be stored. It is in the buffer, unless that let it go.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SinkError<E> {
    /// The store took the call and refused this item.
    #[error(transparent)]
    Refused(E),
    /// The call for the item's whole batch failed. All items of the batch share the error.
    #[error(transparent)]
    CallFailed(Arc<E>),
    /// The store, or the gate before it, panicked over the item's batch.
    #[error("storing panicked: {message}")]
    Panicked {
        /// What it panicked with, if that was text.
        message: Arc<str>,
    },
    /// The store answered for another number of items than it was given, so nothing can be said
    /// about any of them.
    #[error("the store answered for {answered} items of {given}")]
    WrongCount {
        /// How many items the batch had.
        given: usize,
        /// How many results came back.
        answered: usize,
    },
    /// The gate turned the batch away; the store was not called.
    #[error(transparent)]
    Rejected(Rejected),
    /// The item was not sent: in strict order, an earlier one is not stored.
    #[error("not sent, because an earlier item is not stored")]
    NotTried,
    /// The sink's token was used before the item's batch ended.
    #[error("cancelled")]
    Cancelled,
}

impl<E> SinkError<E> {
    /// The store's own error, of the item or of its batch.
    pub fn store_error(&self) -> Option<&E> {
        match self {
            Self::Refused(error) => Some(error),
            Self::CallFailed(error) => Some(error),
            _ => None,
        }
    }
}
