//! [`BulkStore`]: where items go, a batch at a time.

use std::future::Future;

/// Stores many items by one call: a bulk request, one transaction, one insert of many rows.
///
/// Any `Fn(&[T]) -> impl Future` is one whose future returns `Ok(())` or, item by item,
/// `Ok(Vec<Result<(), E>>)`. Such a future cannot borrow the batch, so encode or clone what it
/// needs before it begins; implement the trait where it should borrow.
///
/// A batch that is tried again, cancelled or answered wrongly may reach the store more than once:
/// delivery is **at least once**. What must not be stored twice carries an id of its own, by which
/// the store replaces or ignores it.
pub trait BulkStore<T>: Send + Sync {
    /// What an item, or a whole call, fails with.
    type Error: Send + Sync;

    /// Stores a batch, which is never empty.
    ///
    /// An error says that nothing is known to be stored: every item of the batch is tried again or
    /// buffered. Dropping the future must be allowed at any time.
    fn store(
        &self,
        batch: &[T],
    ) -> impl Future<Output = Result<Receipt<Self::Error>, Self::Error>> + Send;
}

/// What a store says about a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receipt<E> {
    /// All items are stored.
    All,
    /// A result for each item, in the order of the batch.
    Each(Vec<Result<(), E>>),
}

impl<E> From<()> for Receipt<E> {
    fn from((): ()) -> Self {
        Self::All
    }
}

impl<E> From<Vec<Result<(), E>>> for Receipt<E> {
    fn from(each: Vec<Result<(), E>>) -> Self {
        Self::Each(each)
    }
}

impl<T, F, Fut, R, E> BulkStore<T> for F
where
    F: Fn(&[T]) -> Fut + Send + Sync,
    Fut: Future<Output = Result<R, E>> + Send,
    R: Into<Receipt<E>>,
    E: Send + Sync,
{
    type Error = E;

    fn store(&self, batch: &[T]) -> impl Future<Output = Result<Receipt<E>, E>> + Send {
        let answer = self(batch);
        async move { answer.await.map(Into::into) }
    }
}
