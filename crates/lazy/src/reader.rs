//! [`Reader`]: a handle that keeps the value at hand.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use brolly_sync::NEVER;

use crate::error::LoadError;
use crate::get::{Sure, wait, wait_blocking};
use crate::lazy::{Lazy, never};
use crate::published::Guard;
use crate::shared::{Seat, Shared, Wish};
use crate::slot::Slot;

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
    /// The version that `value` was found under, if it is good for ever under it: the only thing that
    /// a read looks at then. The value may be newer, never older.
    version: u64,
    value: Option<Arc<T>>,
    /// The same of a value that is good until the moment that follows.
    mortal: u64,
    fresh_until: u64,
}

/// The version of a value that may be no longer the one that is there.
const UNKNOWN: u64 = 0;

impl<T, E> Reader<T, E> {
    pub(crate) fn new(lazy: Lazy<T, E>) -> Self {
        Self {
            lazy,
            version: UNKNOWN,
            value: None,
            mortal: UNKNOWN,
            fresh_until: 0,
        }
    }

    /// The value, if there is one whose time is not over.
    #[inline]
    pub fn peek(&mut self) -> Option<&Arc<T>> {
        if !self.is_current() && !self.renew() {
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
        let version = self.lazy.shared().version();
        self.version == version || self.is_alive_under(version)
    }

    /// The same for a value that is not good for ever.
    #[inline(never)]
    fn is_alive_under(&self, version: u64) -> bool {
        self.mortal == version && self.lazy.shared().is_fresh(self.fresh_until)
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
        let version = match is_ready && Shared::<T, E>::is_settled(version) {
            true => version,
            false => UNKNOWN,
        };
        (self.version, self.mortal) = match fresh_until {
            NEVER => (version, UNKNOWN),
            _ => (UNKNOWN, version),
        };
        self.fresh_until = fresh_until;
        self.value = value.filter(|_| is_ready);
        is_ready
    }

    fn keep(&mut self, found: Arc<T>) -> &Arc<T> {
        (self.version, self.mortal) = (UNKNOWN, UNKNOWN);
        self.value.insert(found)
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
    pub fn try_get(&mut self) -> impl Future<Output = Result<&Arc<T>, LoadError<E>>> + Send {
        Read::new(self)
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
        Ok(self.keep(found))
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
    pub fn get(&mut self) -> impl Future<Output = &Arc<T>> + Send {
        Sure(Read::new(self))
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

/// The future of a read.
#[must_use = "futures do nothing unless polled"]
struct Read<'a, T: Send + Sync + 'static, E: Send + Sync + 'static> {
    /// Until it has ended.
    reader: Option<&'a mut Reader<T, E>>,
    seat: Slot<Seat<T, E>>,
}

impl<'a, T: Send + Sync + 'static, E: Send + Sync + 'static> Read<'a, T, E> {
    #[inline]
    fn new(reader: &'a mut Reader<T, E>) -> Self {
        Self {
            reader: Some(reader),
            seat: Slot::empty(),
        }
    }
}

impl<'a, T: Send + Sync + 'static, E: Send + Sync + 'static> Future for Read<'a, T, E> {
    type Output = Result<&'a Arc<T>, LoadError<E>>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let reader = this.reader.take().expect("not polled after its end");
        if this.seat.is_empty() && reader.is_current() {
            return Poll::Ready(Ok(reader.kept()));
        }
        match read(reader, this.seat.take(), cx) {
            Ok(result) => Poll::Ready(result),
            Err((reader, seat)) => {
                this.reader = Some(reader);
                this.seat.put(seat);
                Poll::Pending
            }
        }
    }
}

/// Looks again, and waits if that does not help; else gives everything back.
#[cold]
#[inline(never)]
#[expect(clippy::type_complexity, reason = "an end, or what was given")]
fn read<'a, T, E>(
    reader: &'a mut Reader<T, E>,
    seat: Option<Box<Seat<T, E>>>,
    cx: &mut Context<'_>,
) -> Result<Result<&'a Arc<T>, LoadError<E>>, (&'a mut Reader<T, E>, Box<Seat<T, E>>)>
where
    T: Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    if seat.is_none() && reader.renew() {
        return Ok(Ok(reader.kept()));
    }
    match wait(seat, reader.lazy.shared(), Wish::Any, cx) {
        Ok(outcome) => Ok(outcome.map(|value| reader.keep(value))),
        Err(seat) => Err((reader, seat)),
    }
}

impl<T, E> Clone for Reader<T, E> {
    /// Another handle that keeps the same value at hand.
    fn clone(&self) -> Self {
        Self {
            lazy: self.lazy.clone(),
            version: self.version,
            value: self.value.clone(),
            mortal: self.mortal,
            fresh_until: self.fresh_until,
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
