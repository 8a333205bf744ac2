//! [`Memoized`]: functions whose results are cached.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher, Hash};
use std::marker::PhantomData;
use std::sync::Arc;

use crate::cache::Cache;
use crate::hasher::RandomState;
use crate::load::LoadError;
use crate::stats::Stats;

/// An async function whose results are cached, by a key made of its arguments.
///
/// Calls with one key at the same time run the function once. Made by [`Cache::memoize`]; clones
/// share the cache and the function.
pub struct Memoized<A, K, V, S = RandomState, N = fn(&A) -> K, F = ()> {
    cache: Cache<K, V, S>,
    name: N,
    function: Arc<F>,
    _arguments: PhantomData<fn(A)>,
}

/// A function whose results are cached, by a key made of its arguments.
///
/// Calls with one key at the same time run the function once, on the thread of one of them. Made by
/// [`Cache::memoize_sync`].
pub struct MemoizedSync<A, K, V, S = RandomState, N = fn(&A) -> K, F = ()> {
    cache: Cache<K, V, S>,
    name: N,
    function: F,
    _arguments: PhantomData<fn(A)>,
}

impl<K, V, S> Cache<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// An async function with this cache in front of it.
    ///
    /// `key` makes the key of the arguments: a value of the cache's key type, compared by `Eq`, so
    /// that different arguments never share a result by accident. Give each function a cache of its
    /// own: two functions in one cache would answer each other's keys.
    ///
    /// ```
    /// # use brolly_ttl_cache::Cache;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let squares = Cache::new(100).memoize(|n: &u64| *n, |n: u64| async move { n * n });
    /// assert_eq!(squares.call(12).await.unwrap(), 144);
    /// assert_eq!(squares.call(12).await.unwrap(), 144); // from the cache
    /// assert_eq!(squares.stats().hits, 1);
    /// squares.invalidate(&12);
    /// # }
    /// ```
    pub fn memoize<A, N, F, Fut>(&self, key: N, function: F) -> Memoized<A, K, V, S, N, F>
    where
        N: Fn(&A) -> K,
        F: Fn(A) -> Fut,
        Fut: Future + Send + 'static,
    {
        Memoized {
            cache: self.clone(),
            name: key,
            function: Arc::new(function),
            _arguments: PhantomData,
        }
    }

    /// A function with this cache in front of it; see [`memoize`](Self::memoize).
    ///
    /// ```
    /// # use brolly_ttl_cache::Cache;
    /// let lengths = Cache::new(100).memoize_sync(|text: &&str| text.to_string(), |text: &str| text.len());
    /// assert_eq!(lengths.call("brolly").unwrap(), 6);
    /// ```
    pub fn memoize_sync<A, N, F, R>(&self, key: N, function: F) -> MemoizedSync<A, K, V, S, N, F>
    where
        N: Fn(&A) -> K,
        F: Fn(A) -> R,
    {
        MemoizedSync {
            cache: self.clone(),
            name: key,
            function,
            _arguments: PhantomData,
        }
    }
}

macro_rules! handle {
    ($($name:ident),*) => {$(
        impl<A, K, V, S, N, F> $name<A, K, V, S, N, F>
        where
            K: Hash + Eq + Clone,
            V: Clone,
            S: BuildHasher,
            N: Fn(&A) -> K,
        {
            /// Forgets the result for these arguments. A call that is under way will not bring it
            /// back.
            pub fn invalidate(&self, arguments: &A) {
                self.cache.invalidate(&(self.name)(arguments));
            }

            /// Forgets all results. Returns how many there were.
            pub fn clear(&self) -> u64 {
                self.cache.clear()
            }

            /// What the function's cache did so far.
            #[must_use]
            pub fn stats(&self) -> Stats {
                self.cache.stats()
            }
        }

        impl<A, K, V, S, N, F> $name<A, K, V, S, N, F> {
            /// The cache in front of the function.
            pub fn cache(&self) -> &Cache<K, V, S> {
                &self.cache
            }
        }

        impl<A, K, V, S, N, F> fmt::Debug for $name<A, K, V, S, N, F> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name))
                    .field("cache", &self.cache)
                    .finish_non_exhaustive()
            }
        }
    )*};
}

handle!(Memoized, MemoizedSync);

impl<A, K, V, S, N: Clone, F> Clone for Memoized<A, K, V, S, N, F> {
    fn clone(&self) -> Self {
        Self {
            cache: self.cache.clone(),
            name: self.name.clone(),
            function: Arc::clone(&self.function),
            _arguments: PhantomData,
        }
    }
}

impl<A, K, V, S, N, F> Memoized<A, K, V, S, N, F>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
    N: Fn(&A) -> K,
{
    /// The result for these arguments. The function is called if it is not in the cache.
    ///
    /// # Errors
    ///
    /// [`LoadError`]: the function panicked, took longer than the cache allows, or calls itself with
    /// the same arguments.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the running function to others who wait for the same result.
    pub async fn call<Fut>(&self, arguments: A) -> Result<V, LoadError<Infallible>>
    where
        F: Fn(A) -> Fut,
        Fut: Future<Output = V> + Send + 'static,
    {
        let key = (self.name)(&arguments);
        (self.cache)
            .get_with(key, || (self.function)(arguments))
            .await
    }

    /// The result for these arguments, of a function that may fail. Errors are not cached, unless
    /// the cache keeps them.
    ///
    /// # Errors
    ///
    /// [`LoadError`], as for [`call`](Self::call); and what the function returned, shared with
    /// everybody who waited for it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the running function to others who wait for the same result.
    pub async fn try_call<E, Fut>(&self, arguments: A) -> Result<V, LoadError<E>>
    where
        E: Send + Sync + 'static,
        F: Fn(A) -> Fut,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        let key = (self.name)(&arguments);
        (self.cache)
            .try_get_with(key, || (self.function)(arguments))
            .await
    }
}

impl<A, K, V, S, N, F> MemoizedSync<A, K, V, S, N, F>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
    N: Fn(&A) -> K,
{
    /// The result for these arguments. The function is called if it is not in the cache.
    ///
    /// Must not be called from a task: it may block the executor's thread.
    ///
    /// # Errors
    ///
    /// [`LoadError`]: the function panicked, or calls itself with the same arguments.
    pub fn call(&self, arguments: A) -> Result<V, LoadError<Infallible>>
    where
        F: Fn(A) -> V,
    {
        let key = (self.name)(&arguments);
        (self.cache).get_blocking(key, || (self.function)(arguments))
    }

    /// The result for these arguments, of a function that may fail. Errors are not cached, unless
    /// the cache keeps them.
    ///
    /// Must not be called from a task: it may block the executor's thread.
    ///
    /// # Errors
    ///
    /// [`LoadError`], as for [`call`](Self::call); and what the function returned, shared with
    /// everybody who waited for it.
    pub fn try_call<E>(&self, arguments: A) -> Result<V, LoadError<E>>
    where
        E: Send + Sync + 'static,
        F: Fn(A) -> Result<V, E>,
    {
        let key = (self.name)(&arguments);
        (self.cache).try_get_blocking(key, || (self.function)(arguments))
    }
}

/// What expansions of `#[cached]` end in.
///
/// The annotated function keeps its signature. So what it returned comes back by value, and what a
/// [`LoadError`] says beside that becomes a panic, as it would be without a cache.
#[cfg(feature = "macros")]
pub(crate) mod macros {
    use std::future::Future;
    use std::hash::Hash;
    use std::sync::Arc;

    use crate::cache::Cache;
    use crate::load::LoadError;

    /// The result of a body that may fail; only values are cached.
    ///
    /// # Errors
    ///
    /// What the body returned.
    ///
    /// # Panics
    ///
    /// If the body panicked, or waits for itself.
    pub(crate) async fn try_run<K, V, E, F, Fut>(
        cache: &Cache<K, V>,
        key: K,
        body: F,
    ) -> Result<V, E>
    where
        K: Hash + Eq + Clone + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
        E: Clone + Send + Sync + 'static,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        result(cache.try_get_with(key, body).await)
    }

    /// As [`try_run`], on this thread.
    ///
    /// # Errors
    ///
    /// What the body returned.
    ///
    /// # Panics
    ///
    /// If the body panicked, or waits for itself.
    pub(crate) fn try_run_sync<K, V, E>(
        cache: &Cache<K, V>,
        key: K,
        body: impl FnOnce() -> Result<V, E>,
    ) -> Result<V, E>
    where
        K: Hash + Eq + Clone + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
        E: Clone + Send + Sync + 'static,
    {
        result(cache.try_get_blocking(key, body))
    }

    pub(crate) fn result<V, E: Clone>(result: Result<V, LoadError<E>>) -> Result<V, E> {
        match result {
            Ok(value) => Ok(value),
            Err(LoadError::Failed(failure)) => Err(Arc::unwrap_or_clone(failure)),
            Err(error) => panic!("{error}"),
        }
    }
}
