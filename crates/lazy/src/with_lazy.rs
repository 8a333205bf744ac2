//! [`with_lazy`]: functions whose first argument is a value that is loaded when it is needed.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::error::LoadError;
use crate::lazy::Lazy;
use crate::published::Guard;

/// The future of a call that may first have to load something: see [`with_lazy`].
pub type WithLazy<R, E = Infallible> =
    Pin<Box<dyn Future<Output = Result<R, LoadError<E>>> + Send>>;

/// What [`with_lazy`] takes for a loader: a [`Lazy`], one that is borrowed, or an async function
/// without arguments that cannot fail.
pub trait IntoLazy<T, E> {
    /// The lazy value.
    fn into_lazy(self) -> Lazy<T, E>;
}

impl<T, E> IntoLazy<T, E> for Lazy<T, E> {
    fn into_lazy(self) -> Lazy<T, E> {
        self
    }
}

impl<T, E> IntoLazy<T, E> for &Lazy<T, E> {
    /// Another handle to the same value.
    fn into_lazy(self) -> Lazy<T, E> {
        self.clone()
    }
}

impl<T, F, Fut> IntoLazy<T, Infallible> for F
where
    T: 'static,
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = T> + Send + 'static,
{
    fn into_lazy(self) -> Lazy<T> {
        Lazy::new(self)
    }
}

/// A function that loads a value when it is first called, and calls `function` with that value
/// before its own argument. Several arguments are a tuple.
///
/// The value stays; all calls share it. To reset it, keep the [`Lazy`] and give a reference to it.
/// If there is no value, `function` is not called, and the call ends with the [`LoadError`].
///
/// The value comes as an `Arc`, so that the future of `function` may keep it. A call allocates its
/// future; the attribute `#[with_lazy]` (feature `macros`) does without, and takes functions with any
/// arguments.
///
/// ```
/// use brolly_lazy::{Lazy, LoadError, with_lazy};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let words = Lazy::new(|| async { vec!["lazy", "once"] });
/// let word = with_lazy(&words, |words, at: usize| async move { words.get(at).copied() });
/// assert_eq!(word(0).await.unwrap(), Some("lazy"));
/// assert_eq!(word(9).await.unwrap(), None);
/// assert_eq!(words.load_count(), 1);
///
/// let broken: Lazy<u8, _> = Lazy::fallible(|| async { Err("no such file") });
/// let add = with_lazy(broken, |one, other: u8| async move { *one + other });
/// assert!(matches!(add(1).await, Err(LoadError::Failed(error)) if *error == "no such file"));
/// # }
/// ```
#[doc(alias = "lazy_load_async")]
pub fn with_lazy<T, E, A, R, F, Fut>(
    loader: impl IntoLazy<T, E>,
    function: F,
) -> impl Fn(A) -> WithLazy<R, E> + Clone + Send + Sync + 'static
where
    T: Send + Sync + 'static,
    E: Send + Sync + 'static,
    A: Send + 'static,
    F: Fn(Arc<T>, A) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = R> + Send,
{
    let (lazy, function) = (loader.into_lazy(), Arc::new(function));
    move |argument| {
        let (lazy, function) = (lazy.clone(), Arc::clone(&function));
        Box::pin(async move {
            let value = Guard::into_arc(lazy.try_get().await?);
            Ok(function(value, argument).await)
        })
    }
}

/// As [`with_lazy`], for functions of threads: the caller waits, and `function` is given a reference.
///
/// ```
/// use brolly_lazy::{Lazy, with_lazy_blocking};
///
/// let limit = Lazy::new_sync(|| 10);
/// let is_allowed = with_lazy_blocking(&limit, |limit, n: i32| n <= *limit);
/// assert_eq!(is_allowed(7).unwrap(), true);
/// ```
pub fn with_lazy_blocking<T, E, A, R, F>(
    loader: impl IntoLazy<T, E>,
    function: F,
) -> impl Fn(A) -> Result<R, LoadError<E>>
where
    T: Send + Sync + 'static,
    E: Send + Sync + 'static,
    F: Fn(&T, A) -> R,
{
    let lazy = loader.into_lazy();
    move |argument| {
        let value = lazy.try_get_blocking()?;
        Ok(function(&value, argument))
    }
}
