//! What the expansion of `#[cached]` names: the cache of a function, and which results it keeps.
//!
//! Public only for expansions, and hidden: none of it is part of the interface.

use std::borrow::Borrow;
use std::convert::Infallible;
use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::OnceLock;

pub use crate::{Cache, CacheBuilder, ConfigError, Stats};

use crate::load::Wish;
use crate::memoize::macros::{result, try_run, try_run_sync};

/// What a key of a cached function has to be able to do.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the key of a cached function, or a part of it",
    label = "it is not `Hash + Eq + Clone + Send + Sync + 'static`",
    note = "make the key of other parameters, `key = (a, b)`, or of what they hold, `key: Type = …`"
)]
pub trait Key: Hash + Eq + Clone + Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<K: Hash + Eq + Clone + Send + Sync + 'static> Key for K {}

/// What a result has to be able to do that is kept.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be kept in a cache",
    label = "it is not `Clone + Send + Sync + 'static`",
    note = "every call that is answered from the cache gets a clone: `Arc<{Self}>` has a cheap one"
)]
pub trait Value: Clone + Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<V: Clone + Send + Sync + 'static> Value for V {}

/// What an error has to be able to do.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be given to everybody who waited for it",
    label = "it is not `Clone + Send + Sync + 'static`",
    note = "calls that wait for the same run share its error: return `Arc<{Self}>`, or an error that \
            is `Clone`"
)]
pub trait SharedError: Clone + Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<E: Clone + Send + Sync + 'static> SharedError for E {}

/// Everything that is returned is kept.
pub const ALL: u8 = 0;
/// Only what is `Ok` is kept.
pub const OK: u8 = 1;
/// Only what is `Some` is kept.
pub const SOME: u8 = 2;

/// Which results of a function are kept, and as what.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not what `result` or `option` says",
    label = "a cached function returns a `Result` with `result = true`, an `Option` with `option = true`"
)]
pub trait Kept<const WHICH: u8>: Sized {
    /// What is kept.
    type Value;
    /// What is given back and not kept.
    type Error;

    /// What is kept, or else what is not.
    ///
    /// # Errors
    ///
    /// What is not kept.
    fn split(self) -> Result<Self::Value, Self::Error>;

    /// What [`split`](Self::split) took apart.
    fn join(parts: Result<Self::Value, Self::Error>) -> Self;
}

impl<T> Kept<ALL> for T {
    type Value = T;
    type Error = Infallible;

    fn split(self) -> Result<T, Infallible> {
        Ok(self)
    }

    fn join(parts: Result<T, Infallible>) -> T {
        match parts {
            Ok(value) => value,
        }
    }
}

impl<T, E> Kept<OK> for Result<T, E> {
    type Value = T;
    type Error = E;

    fn split(self) -> Self {
        self
    }

    fn join(parts: Self) -> Self {
        parts
    }
}

impl<T> Kept<SOME> for Option<T> {
    type Value = T;
    type Error = ();

    fn split(self) -> Result<T, ()> {
        self.ok_or(())
    }

    fn join(parts: Result<T, ()>) -> Self {
        parts.ok()
    }
}

/// Tells by its type whether a function returns a `Result`, aliases of it included.
#[derive(Debug)]
pub struct Returns<T>(PhantomData<T>);

impl<T, E> Returns<Result<T, E>> {
    /// Hides the constant of [`ReturnsAnything`].
    pub const KEPT: u8 = OK;
}

/// What holds for every other type.
pub trait ReturnsAnything {
    /// Which results are kept if nobody says otherwise.
    const KEPT: u8 = ALL;
}

impl<T> ReturnsAnything for Returns<T> {}

/// A function with a cache of its own, in the shape of the type that stands for it.
///
/// What its key and its value have to be able to do is asked for here and nowhere else, so that the
/// compiler complains once.
pub trait Function {
    /// By what the results are told apart.
    type Key: Key;
    /// What is kept of a result.
    type Value: Value;

    /// Where its cache lies.
    fn site() -> &'static Site<Self::Key, Self::Value>;
}

/// The cache of a function, built when it is first needed.
pub struct Site<K: 'static, V: 'static> {
    settings: fn(CacheBuilder<K, V>) -> CacheBuilder<K, V>,
    built: OnceLock<Built<K, V>>,
}

struct Built<K: 'static, V: 'static> {
    cache: Cache<K, V>,
    /// Why the cache is switched off.
    refused: Option<ConfigError>,
}

impl<K, V> fmt::Debug for Site<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site").finish_non_exhaustive()
    }
}

impl<K, V> Site<K, V> {
    /// A cache that will be built with these settings.
    pub const fn new(settings: fn(CacheBuilder<K, V>) -> CacheBuilder<K, V>) -> Self {
        Self {
            settings,
            built: OnceLock::new(),
        }
    }
}

impl<K: Key, V: Value> Site<K, V> {
    #[inline]
    fn built(&self) -> &Built<K, V> {
        self.built.get_or_init(|| self.build())
    }

    #[cold]
    fn build(&self) -> Built<K, V> {
        match (self.settings)(Cache::builder()).build() {
            Ok(cache) => Built {
                cache,
                refused: None,
            },
            Err(refused) => Built {
                cache: (Cache::builder().enabled(false).build())
                    .expect("what nobody has set is valid"),
                refused: Some(refused),
            },
        }
    }
}

/// The cache. With settings that are refused it is one that keeps nothing.
#[inline]
pub fn cache<F: Function>() -> &'static Cache<F::Key, F::Value> {
    &F::site().built().cache
}

/// Forgets everything, and returns how much that was.
pub fn clear<F: Function>() -> u64 {
    cache::<F>().clear()
}

/// Forgets one result, and returns whether there was one.
pub fn invalidate<F: Function>(key: &F::Key) -> bool {
    cache::<F>().remove(key).is_some()
}

/// What the cache has counted.
pub fn stats<F: Function>() -> Stats {
    cache::<F>().stats()
}

/// Why the settings were refused, if they were.
pub fn config_error<F: Function>() -> Option<&'static ConfigError> {
    F::site().built().refused.as_ref()
}

/// Lets a closure know what it is given.
pub fn configure<K, V>(
    builder: CacheBuilder<K, V>,
    settings: impl FnOnce(CacheBuilder<K, V>) -> CacheBuilder<K, V>,
) -> CacheBuilder<K, V> {
    settings(builder)
}

/// Refuses a type at compile time that cannot be a part of a key.
pub const fn is_key<K: Key>() {}

/// Refuses a type at compile time that cannot be kept.
pub const fn is_value<V: Value>() {}

/// A future whose type does not tell of what it is made.
pub type Boxed<R> = Pin<Box<dyn Future<Output = R> + Send>>;

/// The result from the function's own cache, or of the body, which runs once for everybody who waits
/// for it.
pub async fn cached<const WHICH: u8, R, F, Fut>(key: F::Key, body: impl FnOnce() -> Fut) -> R
where
    F: Function,
    R: Kept<WHICH, Value = F::Value>,
    R::Error: SharedError,
    Fut: Future<Output = R> + Send + 'static,
{
    given(cache::<F>(), key, body).await
}

/// As [`cached`], in the thread of the caller.
pub fn cached_sync<const WHICH: u8, R, F>(key: F::Key, body: impl FnOnce() -> R) -> R
where
    F: Function,
    R: Kept<WHICH, Value = F::Value>,
    R::Error: SharedError,
{
    given_sync(cache::<F>(), key, body)
}

/// As [`cached`], with a cache that the function is given.
pub async fn given<const WHICH: u8, R, K, Fut>(
    cache: &Cache<K, R::Value>,
    key: K,
    body: impl FnOnce() -> Fut,
) -> R
where
    R: Kept<WHICH>,
    R::Value: Value,
    R::Error: SharedError,
    K: Key,
    Fut: Future<Output = R> + Send + 'static,
{
    let load = || {
        let returned = body();
        async move { returned.await.split() }
    };
    R::join(try_run(cache, key, load).await)
}

/// As [`given`], in the thread of the caller.
pub fn given_sync<const WHICH: u8, R, K>(
    cache: &Cache<K, R::Value>,
    key: K,
    body: impl FnOnce() -> R,
) -> R
where
    R: Kept<WHICH>,
    R::Value: Value,
    R::Error: SharedError,
    K: Key,
{
    R::join(try_run_sync(cache, key, || body().split()))
}

/// As [`cached`], by a key that is borrowed and made owned when the body has to run.
pub async fn cached_by_ref<const WHICH: u8, R, F, Q, Fut>(key: &Q, body: impl FnOnce() -> Fut) -> R
where
    F: Function,
    F::Key: Borrow<Q>,
    Q: ToOwned<Owned = F::Key> + Hash + Eq + ?Sized,
    R: Kept<WHICH, Value = F::Value>,
    R::Error: SharedError,
    Fut: Future<Output = R> + Send + 'static,
{
    given_by_ref(cache::<F>(), key, body).await
}

/// As [`cached_by_ref`], in the thread of the caller.
pub fn cached_by_ref_sync<const WHICH: u8, R, F, Q>(key: &Q, body: impl FnOnce() -> R) -> R
where
    F: Function,
    F::Key: Borrow<Q>,
    Q: ToOwned<Owned = F::Key> + Hash + Eq + ?Sized,
    R: Kept<WHICH, Value = F::Value>,
    R::Error: SharedError,
{
    given_by_ref_sync(cache::<F>(), key, body)
}

/// As [`given`], by a key that is borrowed and made owned when the body has to run.
pub async fn given_by_ref<const WHICH: u8, R, K, Q, Fut>(
    cache: &Cache<K, R::Value>,
    key: &Q,
    body: impl FnOnce() -> Fut,
) -> R
where
    R: Kept<WHICH>,
    R::Value: Value,
    R::Error: SharedError,
    K: Key + Borrow<Q>,
    Q: ToOwned<Owned = K> + Hash + Eq + ?Sized,
    Fut: Future<Output = R> + Send + 'static,
{
    let inner = &cache.inner;
    let hash = inner.hash(key);
    let mut found = match inner.find_fresh(hash, key) {
        Ok(value) => return R::join(Ok(value)),
        Err(found) => found,
    };
    let load = || {
        let returned = body();
        async move { returned.await.split() }
    };
    let (wish, key) = (Wish::of::<R::Error>(hash), key.to_owned());
    let loaded = inner.load(wish, key, &mut found, load, |it| it).await;
    R::join(result(loaded))
}

/// As [`given_by_ref`], in the thread of the caller.
pub fn given_by_ref_sync<const WHICH: u8, R, K, Q>(
    cache: &Cache<K, R::Value>,
    key: &Q,
    body: impl FnOnce() -> R,
) -> R
where
    R: Kept<WHICH>,
    R::Value: Value,
    R::Error: SharedError,
    K: Key + Borrow<Q>,
    Q: ToOwned<Owned = K> + Hash + Eq + ?Sized,
{
    let inner = &cache.inner;
    let hash = inner.hash(key);
    let found = match inner.find_fresh(hash, key) {
        Ok(value) => return R::join(Ok(value)),
        Err(found) => found,
    };
    let load = || body().split();
    let loaded = inner.load_here(hash, key.to_owned(), found, load);
    R::join(result(loaded))
}
