//! [`Reader`]: a handle that keeps the value at hand.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use crate::error::LoadError;
use crate::get::{Get, wait_blocking};
use crate::lazy::{Lazy, never};
use crate::published::Guard;
use crate::shared::{Shared, Wish};

/// A handle to a [`Lazy`] that keeps the value at hand: a read is one load of a number that changes
/// with the value, a comparison, and a look at the clock if values expire.
///
/// Made by [`Lazy::reader`]. One for each thread or task; clones are independent. It sees every
/// [`reset`](Lazy::reset) and [`replace`](Lazy::replace) that happened before the read. The value it
/// has kept stays in memory until its next read.
///
/// ```
/// use brolly_lazy::Lazy;
///
/// let lazy = Lazy::new_sync(|| 1);
/// let mut reader = lazy.reader();
/// assert_eq!(**reader.get_blocking(), 1);
/// lazy.replace(2);
/// assert_eq!(**reader.get_blocking(), 2);
/// ```
pub struct Reader<T, E = Infallible> {
    lazy: Lazy<T, E>,
    /// The version that `value` was found under, if it was found; it may be newer, never older.
    version: u64,
    /// Until then `value` is good under that version.
    fresh_until: u64,
    value: Option<Arc<T>>,
}

/// The version of a value that may be no longer the one that is there.
const UNKNOWN: u64 = 0;

impl<T, E> Reader<T, E> {
    pub(crate) fn new(lazy: Lazy<T, E>) -> Self {
        Self {
            lazy,
            version: UNKNOWN,
            fresh_until: 0,
            value: None,
        }
    }

    /// The value, if there is one whose time is not over.
    #[inline]
    pub fn peek(&mut self) -> Option<&Arc<T>> {
        if !self.is_current() && !self.renew() {
            self.version = UNKNOWN;
            self.value = self.lazy.peek().map(Guard::into_arc);
        }
        self.value.as_ref()
    }

    /// What this reads.
    #[must_use]
    pub fn lazy(&self) -> &Lazy<T, E> {
        &self.lazy
    }

    /// Whether the value at hand is the one to serve.
    #[inline]
    fn is_current(&self) -> bool {
        let shared = self.lazy.shared();
        self.version == shared.version() && shared.is_fresh(self.fresh_until)
    }

    /// Looks again. Returns whether there is a value about which nothing has to be done, which is kept
    /// under its version unless it is being written.
    #[cold]
    #[inline(never)]
    fn renew(&mut self) -> bool {
        let shared = self.lazy.shared();
        // First what the value is judged by, then the value.
        let version = shared.version();
        let fresh_until = shared.fresh_until();
        let value = shared.load();
        let is_ready = value.is_some() && shared.is_fresh(fresh_until);
        let is_settled = is_ready && Shared::<T, E>::is_settled(version);
        self.version = if is_settled { version } else { UNKNOWN };
        self.fresh_until = fresh_until;
        self.value = value.filter(|_| is_ready);
        is_ready
    }

    fn keep(&mut self, found: Guard<T>) -> &Arc<T> {
        self.version = UNKNOWN;
        self.value.insert(Guard::into_arc(found))
    }

    #[inline]
    fn kept(&self) -> &Arc<T> {
        let value = self.value.as_ref();
        value.expect("a version is known of a value only")
    }
}

impl<T: Send + Sync + 'static, E: Send + Sync + 'static> Reader<T, E> {
    /// The value, loaded if need be; see [`Lazy::try_get`].
    ///
    /// # Errors
    ///
    /// As for [`Lazy::try_get`].
    ///
    /// # Panics
    ///
    /// As for [`Lazy::try_get`].
    ///
    /// # Cancel safety
    ///
    /// As for [`Lazy::try_get`].
    #[inline]
    pub async fn try_get(&mut self) -> Result<&Arc<T>, LoadError<E>> {
        if self.is_current() || self.renew() {
            return Ok(self.kept());
        }
        let found = Get::new(self.lazy.shared(), Wish::Any).await?;
        Ok(self.keep(found))
    }

    /// The value, loaded if need be, while this thread waits; see [`Lazy::try_get_blocking`].
    ///
    /// # Errors
    ///
    /// As for [`Lazy::try_get`].
    ///
    /// # Panics
    ///
    /// As for [`Lazy::try_get`].
    #[inline]
    pub fn try_get_blocking(&mut self) -> Result<&Arc<T>, LoadError<E>> {
        if self.is_current() || self.renew() {
            return Ok(self.kept());
        }
        let found = wait_blocking(self.lazy.shared(), Wish::Any)?;
        Ok(self.keep(Guard::of(found)))
    }
}

impl<T: Send + Sync + 'static> Reader<T> {
    /// The value, loaded if need be; see [`Lazy::get`].
    ///
    /// # Panics
    ///
    /// As for [`Lazy::get`].
    ///
    /// # Cancel safety
    ///
    /// As for [`Lazy::get`].
    #[inline]
    pub async fn get(&mut self) -> &Arc<T> {
        (self.try_get().await).unwrap_or_else(|error| never(&error))
    }

    /// The value, loaded if need be, while this thread waits; see [`Lazy::get_blocking`].
    ///
    /// # Panics
    ///
    /// As for [`Lazy::get`].
    #[inline]
    pub fn get_blocking(&mut self) -> &Arc<T> {
        (self.try_get_blocking()).unwrap_or_else(|error| never(&error))
    }
}

impl<T, E> Clone for Reader<T, E> {
    /// Another handle that keeps the same value at hand.
    fn clone(&self) -> Self {
        Self {
            lazy: self.lazy.clone(),
            version: self.version,
            fresh_until: self.fresh_until,
            value: self.value.clone(),
        }
    }
}

impl<T: fmt::Debug, E> fmt::Debug for Reader<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("lazy", &self.lazy)
            .finish_non_exhaustive()
    }
}
