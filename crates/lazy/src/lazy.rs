//! [`Lazy`]: a value that is loaded when it is first asked for, and can be taken back.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use crate::builder::LazyBuilder;
use crate::error::LoadError;
use crate::get::{Get, Sure, wait_blocking};
use crate::published::Guard;
use crate::reader::Reader;
use crate::shared::{Entered, Shared, Wish};
use crate::stats::Stats;

/// A value that is loaded when it is first asked for, kept, and loaded anew after a
/// [`reset`](Self::reset) or when its time is over.
///
/// This is a handle: clones share the value. Whoever asks while it is loaded waits for that load and
/// shares its end: tasks of any runtime and blocked threads alike. The load belongs to all who wait
/// for it. Who leaves does not end it, and the last one to leave does, unless there is a
/// [`spawner`](LazyBuilder::spawner).
///
/// ```
/// use brolly_lazy::Lazy;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let lazy = Lazy::new(|| async { String::from("loaded") });
/// assert!(!lazy.is_loaded());
/// assert_eq!(*lazy.get().await, "loaded");
/// assert_eq!(*lazy.get().await, "loaded");
/// assert_eq!(lazy.load_count(), 1);
/// # }
/// ```
///
/// # Errors
///
/// `get` and `get_blocking` are for loaders that cannot fail, and panic where `try_get` and
/// `try_get_blocking` return a [`LoadError`]. No error is kept, unless the builder says so: the next
/// call loads again.
///
/// When the loader panics, the caller who began the load panics with the same, whatever it called.
/// The others who wait are told [`LoadError::Panicked`].
///
/// # A loader that asks for its own value
///
/// would wait for ever; it gets [`LoadError::Recursive`]. That is noticed wherever the inner call is
/// made by the loader itself: on its thread, or inside of the poll of its future. A loader that
/// waits for another task or another thread that waits for the value is a deadlock like any other,
/// which [`load_timeout`](LazyBuilder::load_timeout) ends.
#[doc(alias = "LazyLock")]
#[doc(alias = "OnceCell")]
#[doc(alias = "LazyLoader")]
#[doc(alias = "AsyncLazy")]
pub struct Lazy<T, E = Infallible> {
    shared: Arc<Shared<T, E>>,
}

impl Lazy<()> {
    /// Settings to begin with.
    pub fn builder() -> LazyBuilder {
        LazyBuilder::new()
    }
}

/// Loaders that cannot fail.
impl<T: 'static> Lazy<T> {
    /// A value that an async loader makes.
    ///
    /// The future is polled by those who wait for it. One that only its runtime can poll wants a
    /// [`spawner`](LazyBuilder::spawner) if threads wait for it too.
    pub fn new<Fut>(loader: impl Fn() -> Fut + Send + Sync + 'static) -> Self
    where
        Fut: Future<Output = T> + Send + 'static,
    {
        Lazy::builder().build(loader).expect(DEFAULTS)
    }

    /// A value that a function makes, which returns soon: it runs on the thread of one of those who
    /// ask, be it a task's.
    pub fn new_sync(loader: impl Fn() -> T + Send + Sync + 'static) -> Self {
        Lazy::builder().build_sync(loader).expect(DEFAULTS)
    }

    /// A value that a function makes that blocks: it runs on a thread where that does no harm.
    ///
    /// With the feature `tokio`, and where a load is begun inside of a tokio runtime, that is one of
    /// the runtime's threads for such work; else it is a thread of its own.
    ///
    /// When everybody who waited is gone, the function still runs to its end. What it brings then is
    /// dropped.
    pub fn new_blocking(loader: impl Fn() -> T + Send + Sync + 'static) -> Self {
        Lazy::builder().build_blocking(loader).expect(DEFAULTS)
    }
}

/// Loaders that may fail.
impl<T, E> Lazy<T, E> {
    /// A value that an async loader makes that may fail; see [`new`](Lazy::new).
    ///
    /// ```
    /// use brolly_lazy::{Lazy, LoadError};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let lazy: Lazy<u32, _> = Lazy::fallible(|| async { "7".parse() });
    /// assert_eq!(*lazy.try_get().await.unwrap(), 7);
    ///
    /// let lazy: Lazy<u32, _> = Lazy::fallible(|| async { "seven".parse() });
    /// assert!(matches!(lazy.try_get().await, Err(LoadError::Failed(_))));
    /// # }
    /// ```
    pub fn fallible<Fut>(loader: impl Fn() -> Fut + Send + Sync + 'static) -> Self
    where
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        Lazy::builder().build_fallible(loader).expect(DEFAULTS)
    }

    /// A value that a function makes that may fail; see [`new_sync`](Lazy::new_sync).
    pub fn fallible_sync(loader: impl Fn() -> Result<T, E> + Send + Sync + 'static) -> Self {
        Lazy::builder().build_fallible_sync(loader).expect(DEFAULTS)
    }

    /// A value that a function makes that blocks and may fail; see
    /// [`new_blocking`](Lazy::new_blocking).
    pub fn fallible_blocking(loader: impl Fn() -> Result<T, E> + Send + Sync + 'static) -> Self {
        let built = Lazy::builder().build_fallible_blocking(loader);
        built.expect(DEFAULTS)
    }
}

const DEFAULTS: &str = "what nobody has set is valid";

/// Looking, and taking back. None of these waits, or runs the loader.
impl<T, E> Lazy<T, E> {
    pub(crate) fn of(shared: Shared<T, E>) -> Self {
        Self {
            shared: Arc::new(shared),
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared<T, E>> {
        &self.shared
    }

    /// The value, if there is one whose time is not over.
    #[must_use]
    pub fn peek(&self) -> Option<Guard<T>> {
        self.shared.peek()
    }

    /// Whether there is a value whose time is not over.
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        self.peek().is_some()
    }

    /// Whether a load is under way that would be joined.
    #[must_use]
    pub fn is_loading(&self) -> bool {
        self.shared.is_loading()
    }

    /// How many loads were begun, refreshes included. What is tried again counts once.
    #[must_use]
    pub fn load_count(&self) -> u64 {
        self.shared.counters.loads.read()
    }

    /// Why the last load has brought nothing; `None` if it has, or if the value was reset or
    /// replaced since.
    #[must_use]
    pub fn last_error(&self) -> Option<LoadError<E>> {
        self.shared.last_error()
    }

    /// What was done so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.counters.read()
    }

    /// Takes the value away and returns it, past its time or not. Errors that are kept are forgotten.
    ///
    /// Who asks after this has returned gets a value whose load began after it was called, even if
    /// a load was under way. Those who wait for that load get what it brings; nobody else does.
    /// Holders of the old value keep it.
    #[doc(alias = "invalidate")]
    #[doc(alias = "clear")]
    #[doc(alias = "take")]
    pub fn reset(&self) -> Option<Arc<T>> {
        self.shared.replace(None)
    }

    /// As [`reset`](Self::reset), if the value is one that `condemned` says so of. Returns `None` and
    /// changes nothing if there is no value, if it is spared, or if it is another one by the time
    /// that `condemned` has returned.
    ///
    /// `condemned` is asked without a lock, so it may use this value.
    pub fn reset_if(&self, condemned: impl FnOnce(&T) -> bool) -> Option<Arc<T>> {
        let judged = self.shared.load()?;
        match condemned(&judged) {
            true => self.shared.reset_if_still(&judged),
            false => None,
        }
    }

    /// Puts a value there as if it had been loaded just now, and returns the one before.
    ///
    /// What is being loaded meanwhile does not overwrite it.
    #[doc(alias = "set")]
    #[doc(alias = "store")]
    pub fn replace(&self, value: impl Into<Arc<T>>) -> Option<Arc<T>> {
        self.shared.replace(Some(value.into()))
    }

    /// A handle that keeps the value at hand, for reads at the price of one load and a comparison.
    #[must_use]
    pub fn reader(&self) -> Reader<T, E> {
        Reader::new(self.clone())
    }
}

/// Getting a value, loaded if need be.
impl<T: Send + Sync + 'static, E: Send + Sync + 'static> Lazy<T, E> {
    /// The value, loaded if need be.
    ///
    /// # Errors
    ///
    /// [`LoadError`]: the loader failed or panicked, was too slow, or asks for its own value.
    ///
    /// # Panics
    ///
    /// When the loader panics in a load that this caller began, with the same, unless an older value is
    /// served in its place.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the load to the others who wait for it, who go on with it where
    /// it stands. The last one to leave drops it, or hands it to the spawner.
    #[inline]
    pub fn try_get(&self) -> impl Future<Output = Result<Guard<T>, LoadError<E>>> + Send {
        Get::new(&self.shared, Wish::Any)
    }

    /// The value, loaded if need be, while this thread waits.
    ///
    /// An async loader is polled on this thread, unless there is a
    /// [`spawner`](LazyBuilder::spawner). Must not be called from a task that others wait for: it
    /// blocks the executor's thread.
    ///
    /// # Errors
    ///
    /// As for [`try_get`](Self::try_get).
    ///
    /// # Panics
    ///
    /// As for [`try_get`](Self::try_get).
    #[inline]
    pub fn try_get_blocking(&self) -> Result<Guard<T>, LoadError<E>> {
        match self.shared.ready() {
            Some(value) => Ok(value),
            None => wait_blocking(&self.shared, Wish::Any).map(Guard::of),
        }
    }

    /// Loads the value anew, while the one that is there is served to others.
    ///
    /// What this returns comes of a load that began after the call: where one is under way already,
    /// the next begins when that is over, once for all who wait for it. A refresh that fails leaves
    /// the value as it is.
    ///
    /// # Errors
    ///
    /// As for [`try_get`](Self::try_get), except that no older value is served in the place of an
    /// error.
    ///
    /// # Panics
    ///
    /// As for [`try_get`](Self::try_get).
    ///
    /// # Cancel safety
    ///
    /// As for [`try_get`](Self::try_get).
    pub fn refresh(&self) -> impl Future<Output = Result<Guard<T>, LoadError<E>>> + Send {
        Get::new(&self.shared, Wish::Anew)
    }

    /// As [`refresh`](Self::refresh), while this thread waits.
    ///
    /// # Errors
    ///
    /// As for [`refresh`](Self::refresh).
    ///
    /// # Panics
    ///
    /// As for [`try_get`](Self::try_get).
    pub fn refresh_blocking(&self) -> Result<Guard<T>, LoadError<E>> {
        wait_blocking(&self.shared, Wish::Anew).map(Guard::of)
    }

    /// Sees to it that the value is loaded anew by the [`spawner`](LazyBuilder::spawner), and waits
    /// for nothing. Returns whether it will be; without a spawner, or inside of the loader, it is not.
    pub fn refresh_in_background(&self) -> bool {
        if self.shared.rules.spawner.is_none() {
            return false;
        }
        // A seat that is left at once goes to the spawner.
        matches!(self.shared.enter(Wish::Anew), Entered::Aboard(_))
    }
}

/// Getting a value that cannot fail to load.
impl<T: Send + Sync + 'static> Lazy<T> {
    /// The value, loaded if need be.
    ///
    /// # Panics
    ///
    /// When the loader panics: the caller who began the load panics with the same, the others with
    /// its message. When the loader asks for its own value, or a load is too slow for the builder's
    /// `load_timeout`. [`try_get`](Self::try_get) returns an error instead.
    ///
    /// # Cancel safety
    ///
    /// As for [`try_get`](Self::try_get).
    #[inline]
    pub fn get(&self) -> impl Future<Output = Guard<T>> + Send {
        Sure(Get::new(&self.shared, Wish::Any))
    }

    /// The value, loaded if need be, while this thread waits; see
    /// [`try_get_blocking`](Self::try_get_blocking).
    ///
    /// # Panics
    ///
    /// As for [`get`](Self::get).
    #[inline]
    pub fn get_blocking(&self) -> Guard<T> {
        (self.try_get_blocking()).unwrap_or_else(|error| never(&error))
    }
}

#[cold]
#[track_caller]
pub(crate) fn never(error: &LoadError) -> ! {
    panic!("a lazy value could not be loaded: {error}")
}

impl<T, E> Clone for Lazy<T, E> {
    /// Another handle to the same value.
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T: fmt::Debug, E> fmt::Debug for Lazy<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lazy")
            .field("value", &self.peek())
            .field("is_loading", &self.is_loading())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
