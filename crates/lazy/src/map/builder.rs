//! [`LazyMapBuilder`]: how a map of lazy values is to be, checked once when it is built.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher, Hash, RandomState};
use std::num::NonZeroUsize;
use std::sync::Arc;

use super::{KeyLoader, KeyOf, LazyMap};
use crate::builder::LazyBuilder;
use crate::error::ConfigError;
use crate::loader::{Infallibly, Loader};

/// How many keys there are room for unless something else is said.
const MAX_LEN: usize = 1000;

/// How a [`LazyMap`] is to be. Made by [`LazyMap::builder`].
///
/// ```
/// use brolly_lazy::{Lazy, LazyMap};
/// use std::time::Duration;
///
/// let squares = LazyMap::builder()
///     .max_len(100)
///     .each(Lazy::builder().time_to_live(Duration::from_secs(60)))
///     .build_sync(|n: u64| n * n)?;
/// assert_eq!(*squares.get_blocking(&12), 144);
/// # Ok::<(), brolly_lazy::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use = "nothing is built yet"]
pub struct LazyMapBuilder<S = RandomState> {
    max_len: usize,
    each: LazyBuilder,
    hasher: S,
}

impl LazyMapBuilder {
    pub(super) fn new() -> Self {
        Self {
            max_len: MAX_LEN,
            each: LazyBuilder::new(),
            hasher: RandomState::new(),
        }
    }
}

impl<S> LazyMapBuilder<S> {
    /// How many keys there are room for, those that are being loaded included: more than zero. 1,000
    /// if nothing is said.
    pub fn max_len(mut self, keys: usize) -> Self {
        self.max_len = keys;
        self
    }

    /// The rules for the value of each key: how long it lives, when it is refreshed, and so on.
    pub fn each(mut self, rules: LazyBuilder) -> Self {
        self.each = rules;
        self
    }

    /// What keys are hashed with.
    pub fn hasher<S2>(self, hasher: S2) -> LazyMapBuilder<S2> {
        LazyMapBuilder {
            max_len: self.max_len,
            each: self.each,
            hasher,
        }
    }

    fn with<K, V, E>(self, loader: KeyLoader<K, V, E>) -> Result<LazyMap<K, V, E, S>, ConfigError>
    where
        K: Hash + Eq,
        S: BuildHasher,
    {
        let Some(max_len) = NonZeroUsize::new(self.max_len) else {
            return Err(ConfigError::new("max_len", self.max_len, "1 or more"));
        };
        Ok(LazyMap::of(
            max_len,
            self.hasher,
            loader,
            self.each.check()?,
        ))
    }
}

/// The end of building.
///
/// Loaders are called with the key, on the same terms as those of a [`Lazy`](crate::Lazy).
impl<S: BuildHasher> LazyMapBuilder<S> {
    /// Values that an async loader makes; see [`Lazy::new`](crate::Lazy::new).
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: a setting is out of its range.
    pub fn build<K, V: 'static, Fut>(
        self,
        loader: impl Fn(K) -> Fut + Send + Sync + 'static,
    ) -> Result<LazyMap<K, V, Infallible, S>, ConfigError>
    where
        K: Hash + Eq + Clone + Send + Sync + 'static,
        Fut: Future<Output = V> + Send + 'static,
    {
        self.build_fallible(move |key| Infallibly::new(loader(key)))
    }

    /// Values that a function makes; see [`Lazy::new_sync`](crate::Lazy::new_sync).
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: a setting is out of its range.
    pub fn build_sync<K, V>(
        self,
        loader: impl Fn(K) -> V + Send + Sync + 'static,
    ) -> Result<LazyMap<K, V, Infallible, S>, ConfigError>
    where
        K: Hash + Eq + Clone + Send + Sync + 'static,
    {
        self.build_fallible_sync(move |key| Ok(loader(key)))
    }

    /// Values that a function makes that blocks; see
    /// [`Lazy::new_blocking`](crate::Lazy::new_blocking).
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: a setting is out of its range.
    pub fn build_blocking<K, V>(
        self,
        loader: impl Fn(K) -> V + Send + Sync + 'static,
    ) -> Result<LazyMap<K, V, Infallible, S>, ConfigError>
    where
        K: Hash + Eq + Clone + Send + Sync + 'static,
    {
        self.build_fallible_blocking(move |key| Ok(loader(key)))
    }

    /// Values that an async loader makes that may fail; see
    /// [`Lazy::fallible`](crate::Lazy::fallible).
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: a setting is out of its range.
    pub fn build_fallible<K, V, E, Fut>(
        self,
        loader: impl Fn(K) -> Fut + Send + Sync + 'static,
    ) -> Result<LazyMap<K, V, E, S>, ConfigError>
    where
        K: Hash + Eq + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        let loader = Arc::new(loader);
        self.with(Box::new(move |key: Arc<KeyOf<K>>| {
            let loader = Arc::clone(&loader);
            Loader::future(move || loader(key.key.clone()))
        }))
    }

    /// Values that a function makes that may fail; see
    /// [`Lazy::fallible_sync`](crate::Lazy::fallible_sync).
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: a setting is out of its range.
    pub fn build_fallible_sync<K, V, E>(
        self,
        loader: impl Fn(K) -> Result<V, E> + Send + Sync + 'static,
    ) -> Result<LazyMap<K, V, E, S>, ConfigError>
    where
        K: Hash + Eq + Clone + Send + Sync + 'static,
    {
        let loader = Arc::new(loader);
        self.with(Box::new(move |key: Arc<KeyOf<K>>| {
            let loader = Arc::clone(&loader);
            Loader::sync(move || loader(key.key.clone()))
        }))
    }

    /// Values that a function makes that blocks and may fail; see
    /// [`Lazy::fallible_blocking`](crate::Lazy::fallible_blocking).
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: a setting is out of its range.
    pub fn build_fallible_blocking<K, V, E>(
        self,
        loader: impl Fn(K) -> Result<V, E> + Send + Sync + 'static,
    ) -> Result<LazyMap<K, V, E, S>, ConfigError>
    where
        K: Hash + Eq + Clone + Send + Sync + 'static,
    {
        let loader = Arc::new(loader);
        self.with(Box::new(move |key: Arc<KeyOf<K>>| {
            let loader = Arc::clone(&loader);
            Loader::blocking(move || loader(key.key.clone()))
        }))
    }
}

impl<S> fmt::Debug for LazyMapBuilder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LazyMapBuilder")
            .field("max_len", &self.max_len)
            .field("each", &self.each)
            .finish_non_exhaustive()
    }
}
