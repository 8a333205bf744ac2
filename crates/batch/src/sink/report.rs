//! [`Inserted`] and [`Flushed`]: what became of the items of one call.

use crate::sink::error::SinkError;

/// What became of the items of one [`insert`](crate::BulkSink::insert).
///
/// `stored + failed` is the number of items, and `failed` is `buffered + dropped`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inserted<E> {
    /// How many items the store has confirmed.
    pub stored: usize,
    /// How many it has not: those that are errors in [`results`](Self::results).
    pub failed: usize,
    /// How many of the failed ones were in the buffer when the call ended, by its own doing. Other
    /// calls may have let go of some meanwhile, or have stored them.
    pub buffered: usize,
    /// How many of the failed ones are lost, because younger items of this call filled the buffer.
    pub dropped: usize,
    /// How many items of earlier calls left the full buffer for items of this one, and are lost.
    pub displaced: usize,
    /// How many items of the buffer were stored ahead of these: in strict order they go first.
    pub flushed: usize,
    /// Each item's own result, in the order of the items.
    pub results: Vec<Result<(), SinkError<E>>>,
}

impl<E> Inserted<E> {
    /// Whether every item is stored.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.failed == 0
    }
}

/// What one [`flush`](crate::BulkSink::flush) came to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Flushed<E> {
    /// How many items of the buffer the store has confirmed.
    pub flushed: usize,
    /// How many items are in the buffer when the flush ends, those included that came meanwhile.
    pub remaining: usize,
    /// How many items were lost during the flush, because what came back found the buffer full.
    pub dropped: usize,
    /// The first failure, if there was any.
    pub failure: Option<SinkError<E>>,
}
