//! The calls of [`Cache`] that load one key.

use std::convert::Infallible;
use std::future::Future;
use std::hash::{BuildHasher, Hash};

use super::NoValue;
use super::begin::{Reason, Wish};
use super::error::LoadError;
use crate::cache::Cache;
use crate::inner::Found;

/// Loading. Of any number of callers that miss a key at the same time, one loader runs.
///
/// # What all of these promise
///
/// - **One load of a key at a time.** Tasks of any runtime and threads share it. A hit costs what
///   [`get`](Self::get) does: nothing is allocated and no lock of loading is taken.
/// - **Cancel safety.** A load does not belong to the caller that started it. Dropping a caller
///   leaves the load to those who still wait, who go on with it where it stands; a caller that is
///   kept but never polled holds up nobody. When the last one leaves, the load is dropped, or goes
///   on in the background if the cache has a [`spawner`](crate::CacheBuilder::spawner).
/// - **A load never replaces something newer.** When the key is inserted, removed or invalidated
///   while it is loaded, the result goes to those who waited for it already and is not stored. Who
///   asks after that write starts a load of its own.
/// - **Failures are shared, not stored**: an error, a panic or a timeout is told to everybody who
///   waited for that load, and the next caller loads anew. Errors are kept only if the builder was
///   told [`cache_errors_for`](crate::CacheBuilder::cache_errors_for).
/// - **Callers may fail with different types.** They share values, panics and timeouts. A caller
///   that waited for a load which ended with an error of another type runs its own loader.
///
/// The loader's future is polled by whoever waits, so without a spawner it must not depend on the
/// runtime of the caller that made it if callers are spread over several runtimes or plain threads.
///
/// With [`max_concurrent_loads`](crate::CacheBuilder::max_concurrent_loads), a loader that itself
/// loads through the same cache keeps its permit meanwhile; the loads it starts while it is polled
/// need none. One that waits for a load which is still in line for a permit can wait for ever if
/// all permits are held that way: give such a cache a
/// [`load_timeout`](crate::CacheBuilder::load_timeout).
impl<K, V, S> Cache<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// The value of a key, loaded if it is missing.
    ///
    /// `loader` is called on a miss only, and on this task; the future it returns is the load.
    ///
    /// # Errors
    ///
    /// [`LoadError`]: the loader panicked, took too long or asks for this very key.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the load to the others; see [above](#what-all-of-these-promise).
    #[doc(alias = "get_or_insert_with")]
    #[doc(alias = "get_or_load")]
    #[doc(alias = "compute_if_absent")]
    pub async fn get_with<F, Fut>(&self, key: K, loader: F) -> Result<V, LoadError<Infallible>>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = V> + Send + 'static,
    {
        self.read_with(key, loader, Ok).await
    }

    /// The value of a key, loaded if it is missing, by a loader that may fail.
    ///
    /// `loader` is called on a miss only, and on this task; the future it returns is the load.
    ///
    /// # Errors
    ///
    /// [`LoadError`]: the loader failed, panicked, took too long or asks for this very key. Nothing
    /// is stored then.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the load to the others; see [above](#what-all-of-these-promise).
    #[doc(alias = "try_get_or_load")]
    pub async fn try_get_with<E, F, Fut>(&self, key: K, loader: F) -> Result<V, LoadError<E>>
    where
        E: Send + Sync + 'static,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        self.read_with(key, loader, |loaded| loaded).await
    }

    /// The value of a key, loaded if it is missing, by a loader that may find none.
    ///
    /// That there is none is not stored, unless errors are kept; then it is for as long.
    ///
    /// `loader` is called on a miss only, and on this task; the future it returns is the load.
    ///
    /// # Errors
    ///
    /// [`LoadError`]: the loader panicked, took too long or asks for this very key.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the load to the others; see [above](#what-all-of-these-promise).
    pub async fn optionally_get_with<F, Fut>(
        &self,
        key: K,
        loader: F,
    ) -> Result<Option<V>, LoadError<Infallible>>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Option<V>> + Send + 'static,
    {
        let read = |loaded: Option<V>| loaded.ok_or(NoValue);
        optional(self.read_with(key, loader, read).await)
    }

    /// The value of a key, loaded if it is missing, on this thread.
    ///
    /// The loader runs on this thread and may borrow from it. Others wait for it, tasks and threads
    /// alike; they cannot go on with it. If somebody else loads the key already, this thread sleeps
    /// until that is done, or polls the load itself unless the cache has a spawner.
    ///
    /// Must not be called from a task: it would block the executor's thread.
    ///
    /// A [`load_timeout`](crate::CacheBuilder::load_timeout) cannot end a loader that runs on its
    /// caller's stack, which gets its value however late. It ends the waiting of the others.
    ///
    /// # Errors
    ///
    /// [`LoadError`]: the loader panicked, or asks for this very key; or the load this waits for
    /// took too long.
    pub fn get_blocking(
        &self,
        key: K,
        loader: impl FnOnce() -> V,
    ) -> Result<V, LoadError<Infallible>> {
        self.try_get_blocking(key, || Ok(loader()))
    }

    /// The value of a key, loaded if it is missing, on this thread, by a loader that may fail; see
    /// [`get_blocking`](Self::get_blocking).
    ///
    /// # Errors
    ///
    /// [`LoadError`]: the loader failed, panicked, or asks for this very key; or the load this waits
    /// for took too long. Nothing is stored then.
    pub fn try_get_blocking<E: Send + Sync + 'static>(
        &self,
        key: K,
        loader: impl FnOnce() -> Result<V, E>,
    ) -> Result<V, LoadError<E>> {
        let hash = self.inner.hash(&key);
        match self.inner.find_fresh(hash, &key) {
            Ok(value) => Ok(value),
            Err(found) => self.inner.load_here(hash, key, found, loader),
        }
    }

    /// The value of a key, loaded if it is missing, on this thread, by a loader that may find none;
    /// see [`get_blocking`](Self::get_blocking).
    ///
    /// # Errors
    ///
    /// As for [`get_blocking`](Self::get_blocking).
    pub fn optionally_get_blocking(
        &self,
        key: K,
        loader: impl FnOnce() -> Option<V>,
    ) -> Result<Option<V>, LoadError<Infallible>> {
        optional(self.try_get_blocking(key, || loader().ok_or(NoValue)))
    }

    /// Loads a key anew, although it may have a value, which stays readable meanwhile.
    ///
    /// Takes part in a load of the key that is already under way, unless the key was written since
    /// that began.
    ///
    /// # Errors
    ///
    /// [`LoadError`], as for [`try_get_with`](Self::try_get_with). The older value stays.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the load to the others; see [above](#what-all-of-these-promise).
    pub async fn refresh<E, F, Fut>(&self, key: K, loader: F) -> Result<V, LoadError<E>>
    where
        E: Send + Sync + 'static,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        let wish = Wish {
            reason: Reason::Told,
            ..Wish::of::<E>(self.inner.hash(&key))
        };
        let found = &mut Found::Missing;
        let read = |loaded| loaded;
        self.inner.load(wish, key, found, loader, read).await
    }

    /// The value of a key, or else what `read` makes of what the loader returns.
    #[inline]
    async fn read_with<E, F, Fut, R>(&self, key: K, loader: F, read: R) -> Result<V, LoadError<E>>
    where
        E: Send + Sync + 'static,
        F: FnOnce() -> Fut,
        Fut: Future + Send + 'static,
        R: Fn(Fut::Output) -> Result<V, E> + Copy + Send + 'static,
    {
        let hash = self.inner.hash(&key);
        let mut found = match self.inner.find_fresh(hash, &key) {
            Ok(value) => return Ok(value),
            Err(found) => found,
        };
        let wish = Wish::of::<E>(hash);
        (self.inner).load(wish, key, &mut found, loader, read).await
    }
}

fn optional<V>(result: Result<V, LoadError<NoValue>>) -> Result<Option<V>, LoadError<Infallible>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) => match error.without_failure() {
            Ok(error) => Err(error),
            Err(_no_value) => Ok(None),
        },
    }
}
