//! [`Once`]: a cell that is written once, by whichever initialiser comes first.

mod flight;
mod init;

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::sync::OnceLock;

use crate::error::LoadError;
use crate::get::Sure;
use crate::lazy::never;
use crate::loader::Infallibly;
use flight::Departure;
use init::{Init, init_blocking};

/// A cell that is written once, and read at the price of one load from then on.
///
/// The initialiser is given by whoever asks: a future, or a function for threads. Of all who ask at
/// once, one runs its own, and everybody gets a reference to what that brings. The future belongs to
/// all who wait for it: it is not started again when the caller whose it is leaves, and not run on
/// when all have.
///
/// It can be a `static`. For a value that can be taken back, or that expires, there is
/// [`Lazy`](crate::Lazy).
///
/// ```
/// use brolly_lazy::Once;
///
/// static PORT: Once<u16> = Once::new();
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// assert_eq!(PORT.get(), None);
/// assert_eq!(*PORT.get_or_init(|| async { 8080 }).await, 8080);
/// assert_eq!(*PORT.get_or_init_blocking(|| 9090), 8080);
/// assert_eq!(PORT.get(), Some(&8080));
/// # }
/// ```
///
/// # Errors and panics
///
/// An initialiser that fails or panics leaves the cell empty, and is nobody's last word: those who
/// waited for it are told, the next one runs its own. `get_or_init` and `get_or_init_blocking` panic
/// where `get_or_try_init` and `get_or_try_init_blocking` return a [`LoadError`]. Whose initialiser
/// panicked sees that panic, whatever it called.
///
/// Callers whose errors are of different types share values and panics, not errors: one that waited
/// for an initialiser with errors of another type runs its own when that has failed.
#[doc(alias = "OnceCell")]
#[doc(alias = "OnceLock")]
pub struct Once<T> {
    value: OnceLock<T>,
    departure: Departure<T>,
}

impl<T> Once<T> {
    /// An empty cell.
    #[cfg(not(brolly_loom))]
    #[must_use]
    pub const fn new() -> Self {
        Self {
            value: OnceLock::new(),
            departure: Departure::new(),
        }
    }

    /// An empty cell.
    #[cfg(brolly_loom)]
    #[must_use]
    pub fn new() -> Self {
        Self {
            value: OnceLock::new(),
            departure: Departure::new(),
        }
    }

    /// The value, if there is one. One load.
    #[inline]
    #[must_use]
    pub fn get(&self) -> Option<&T> {
        self.value.get()
    }

    /// The value, if there is one, to be changed.
    #[must_use]
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.value.get_mut()
    }

    /// Whether there is a value.
    #[inline]
    #[must_use]
    pub fn is_initialized(&self) -> bool {
        self.get().is_some()
    }

    /// Writes the value, unless there is one. An initialiser that is under way then finds that its
    /// value is not needed, and those who wait for it get this one when it has ended.
    ///
    /// # Errors
    ///
    /// The value that was given, if there is one already.
    pub fn set(&self, value: T) -> Result<(), T> {
        self.value.set(value)?;
        // Else what is under way would stay here when it has ended, with a value that nobody wants.
        self.departure.clear();
        Ok(())
    }

    /// The value, if there is one; the cell is gone.
    #[must_use]
    pub fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }

    /// Takes the value out, if there is one; the cell is empty again. Nobody else can be using it.
    #[must_use = "dropping the cell drops the value as well"]
    pub fn take(&mut self) -> Option<T> {
        self.departure.clear();
        self.value.take()
    }
}

impl<T: Send + Sync + 'static> Once<T> {
    /// The value, made by this initialiser if there is none and nobody is making it.
    ///
    /// # Panics
    ///
    /// When the initialiser that this waits for panics, or asks for the value that it makes.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves an initialiser that is under way to the others who wait for it,
    /// who go on with it where it stands. The last one to leave drops it.
    #[inline]
    pub fn get_or_init<F, Fut>(&self, init: F) -> impl Future<Output = &T>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = T> + Send + 'static,
    {
        Sure(Init::new(self, || Infallibly::new(init())))
    }

    /// The value, made by this initialiser if there is none and nobody is making it.
    ///
    /// ```
    /// use brolly_lazy::{LoadError, Once};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let port: Once<u16> = Once::new();
    /// let error = port.get_or_try_init(|| async { "eighty".parse() }).await.unwrap_err();
    /// assert!(matches!(error, LoadError::Failed(_)));
    /// assert_eq!(port.get_or_try_init(|| async { "80".parse() }).await.ok(), Some(&80));
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`LoadError`]: the initialiser failed, or panicked while this one waited for it, or asks for
    /// the value that it makes. The cell stays empty.
    ///
    /// # Panics
    ///
    /// When this caller's own initialiser panics, with the same.
    ///
    /// # Cancel safety
    ///
    /// As for [`get_or_init`](Self::get_or_init).
    #[inline]
    pub fn get_or_try_init<E, F, Fut>(
        &self,
        init: F,
    ) -> impl Future<Output = Result<&T, LoadError<E>>>
    where
        E: Send + Sync + 'static,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        Init::new(self, init)
    }

    /// The value, made by this initialiser on this thread if there is none and nobody is making it;
    /// else this thread waits.
    ///
    /// Must not be called from a task that others wait for: it blocks the executor's thread.
    ///
    /// # Panics
    ///
    /// As for [`get_or_init`](Self::get_or_init).
    #[inline]
    pub fn get_or_init_blocking(&self, init: impl FnOnce() -> T) -> &T {
        let result = self.get_or_try_init_blocking::<Infallible>(|| Ok(init()));
        result.unwrap_or_else(|error| never(&error))
    }

    /// The value, made by this initialiser on this thread if there is none and nobody is making it;
    /// else this thread waits, and polls the future that it waits for.
    ///
    /// # Errors
    ///
    /// As for [`get_or_try_init`](Self::get_or_try_init).
    ///
    /// # Panics
    ///
    /// As for [`get_or_try_init`](Self::get_or_try_init).
    #[inline]
    pub fn get_or_try_init_blocking<E: Send + Sync + 'static>(
        &self,
        init: impl FnOnce() -> Result<T, E>,
    ) -> Result<&T, LoadError<E>> {
        match self.get() {
            Some(value) => Ok(value),
            None => init_blocking(self, init),
        }
    }
}

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> From<T> for Once<T> {
    /// A cell that is written already.
    fn from(value: T) -> Self {
        Self {
            value: OnceLock::from(value),
            departure: Departure::new(),
        }
    }
}

impl<T: Clone> Clone for Once<T> {
    /// A cell with a clone of the value, if there is one. Nothing else is shared.
    fn clone(&self) -> Self {
        self.get().cloned().map_or_else(Self::new, Self::from)
    }
}

impl<T: PartialEq> PartialEq for Once<T> {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl<T: Eq> Eq for Once<T> {}

impl<T: fmt::Debug> fmt::Debug for Once<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.get() {
            Some(value) => f.debug_tuple("Once").field(value).finish(),
            None => f.write_str("Once(<empty>)"),
        }
    }
}
