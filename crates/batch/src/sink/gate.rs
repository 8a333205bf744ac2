//! [`BulkGate`]: the face of a circuit breaker towards a sink, which is told of each batch once.

use std::time::Duration;

/// Lets batches through to the store, or turns them away while the store is known to be down.
///
/// A batch is admitted once and reports once, however many items it has and however often it was
/// tried: a batch of twenty that fails is one failure.
pub trait BulkGate: Send + Sync {
    /// Asked before a batch is sent for the first time. Must not wait.
    ///
    /// # Errors
    ///
    /// [`Rejected`]: the batch goes to the buffer and the store is not called.
    fn admit(&self) -> Result<Box<dyn BulkPass>, Rejected>;
}

/// One batch that a [`BulkGate`] has let through.
///
/// A pass that is dropped without [`end`](Self::end) belongs to a batch whose end nobody saw,
/// because the insert was dropped: neither a success nor a failure.
pub trait BulkPass: Send {
    /// Asked before each further attempt. No gives up on the batch: the gate has closed meanwhile.
    fn may_retry(&self) -> bool {
        true
    }

    /// How the batch ended, over all its attempts.
    fn end(self: Box<Self>, outcome: BatchOutcome);
}

/// A gate does not let a batch through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("turned away by the gate")]
#[non_exhaustive]
pub struct Rejected {
    /// When it may be worth asking again; `None` if the gate cannot tell.
    pub retry_after: Option<Duration>,
}

impl Rejected {
    /// A rejection that says when to ask again, or that it cannot tell.
    #[must_use]
    pub fn new(retry_after: Option<Duration>) -> Self {
        Self { retry_after }
    }
}

/// How a batch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BatchOutcome {
    /// All items are stored.
    Stored,
    /// The store answered and stored some items, but not all.
    Partly {
        /// How many items are stored.
        stored: usize,
        /// How many are not.
        failed: usize,
    },
    /// No item is stored.
    Failed,
}
