//! What an axis asks of a cache; a peer is one implementation.

use std::future::Future;
use std::time::Duration;

/// A bounded cache that is shared by threads.
pub(super) trait Face<V>: Send + Sync + Sized + 'static {
    const NAME: &'static str;

    /// For `capacity` entries. What can expire, does so after [`A_WHILE`].
    fn new(capacity: usize) -> Self;
    fn get(&self, key: u64) -> Option<V>;
    fn put(&self, key: u64, value: V);
    /// Entries held just now, expired ones included, counted where a counter lags behind. Nothing
    /// where the cache cannot tell.
    fn held(&self) -> Option<u64>;
    /// The same by walking over all of them, where that is another way.
    fn listed(&self) -> Option<u64> {
        self.held()
    }
    /// Lets work be done that is only owed.
    fn settle(&self) {}
}

/// A cache whose entries expire.
pub(super) trait Expiring<V>: Face<V> {
    fn with_ttl(capacity: usize, ttl: Duration) -> Self;
}

/// The time to live where nothing shall expire while it is looked at.
pub(super) const A_WHILE: Duration = Duration::from_secs(3_600);

/// A cache that loads what is missing, once for all who ask.
pub(super) trait Loading: Send + Sync + Sized + 'static {
    const NAME: &'static str;

    fn new(capacity: usize) -> Self;
    fn put(&self, key: u64, value: u64);
    fn get_or_load<L, F>(&self, key: u64, load: L) -> impl Future<Output = u64> + Send
    where
        L: FnOnce() -> F + Send,
        F: Future<Output = u64> + Send + 'static;
}
