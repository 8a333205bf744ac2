//! [`Published`]: the place where readers find the value; and [`Guard`], a value that was found.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// The value as readers see it.
///
/// [`load`](Self::load) acquires what [`swap`](Self::swap) releases. Reads take no lock and write
/// no word that readers share: `arc-swap`'s debt list, of which each thread has its own part.
#[cfg(not(brolly_loom))]
pub(crate) struct Published<T>(arc_swap::ArcSwapOption<T>);

/// A loaded value, at less than the price of an [`Arc`].
///
/// Keeps the value alive, whatever becomes of it meanwhile. Made to be held for a short time: each
/// thread has room for a few of them, and from then on a guard costs as much as an `Arc`. What is
/// kept for long, or across many awaits, is better an `Arc`: [`into_arc`](Self::into_arc).
pub struct Guard<T>(Held<T>);

#[cfg(not(brolly_loom))]
type Held<T> = arc_swap::Guard<Option<Arc<T>>>;
#[cfg(brolly_loom)]
type Held<T> = Option<Arc<T>>;

#[cfg(not(brolly_loom))]
impl<T> Published<T> {
    pub(crate) fn new() -> Self {
        Self(arc_swap::ArcSwapOption::const_empty())
    }

    #[inline]
    pub(crate) fn load(&self) -> Option<Guard<T>> {
        let held = self.0.load();
        match *held {
            Some(_) => Some(Guard(held)),
            None => None,
        }
    }

    pub(crate) fn load_full(&self) -> Option<Arc<T>> {
        self.0.load_full()
    }

    /// Puts a value there, or none, and returns what was there, to be dropped outside of locks.
    pub(crate) fn swap(&self, value: Option<Arc<T>>) -> Option<Arc<T>> {
        self.0.swap(value)
    }
}

impl<T> Guard<T> {
    /// The value as an [`Arc`], for as long as it is wanted.
    ///
    /// A function and no method, since methods would hide those of the value.
    #[cfg(not(brolly_loom))]
    #[must_use]
    pub fn into_arc(guard: Self) -> Arc<T> {
        let value = arc_swap::Guard::into_inner(guard.0);
        value.expect("a guard is made of a value")
    }

    #[cfg(not(brolly_loom))]
    pub(crate) fn of(value: Arc<T>) -> Self {
        Self(arc_swap::Guard::from_inner(Some(value)))
    }
}

impl<T> Deref for Guard<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.0.as_ref().expect("a guard is made of a value")
    }
}

impl<T> AsRef<T> for Guard<T> {
    fn as_ref(&self) -> &T {
        self
    }
}

impl<T: fmt::Debug> fmt::Debug for Guard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: fmt::Display> fmt::Display for Guard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// What loom knows of it: which value is there is an atomic number that orders no more than the
/// real pointer does; the values themselves lie in a list, since loom has no `ArcSwap`.
#[cfg(brolly_loom)]
pub(crate) struct Published<T> {
    at: loom::sync::atomic::AtomicUsize,
    values: loom::sync::Mutex<Vec<Option<Arc<T>>>>,
}

#[cfg(brolly_loom)]
impl<T> Published<T> {
    pub(crate) fn new() -> Self {
        Self {
            at: loom::sync::atomic::AtomicUsize::new(0),
            values: loom::sync::Mutex::new(vec![None]),
        }
    }

    pub(crate) fn load(&self) -> Option<Guard<T>> {
        self.load_full().map(Guard::of)
    }

    pub(crate) fn load_full(&self) -> Option<Arc<T>> {
        let at = self.at.load(std::sync::atomic::Ordering::Acquire);
        crate::primitive::lock(&self.values)[at].clone()
    }

    pub(crate) fn swap(&self, value: Option<Arc<T>>) -> Option<Arc<T>> {
        let at = {
            let mut values = crate::primitive::lock(&self.values);
            values.push(value);
            values.len() - 1
        };
        let before = self.at.swap(at, std::sync::atomic::Ordering::AcqRel);
        crate::primitive::lock(&self.values)[before].clone()
    }
}

#[cfg(brolly_loom)]
impl<T> Guard<T> {
    /// The value as an [`Arc`].
    #[must_use]
    pub fn into_arc(guard: Self) -> Arc<T> {
        guard.0.expect("a guard is made of a value")
    }

    pub(crate) fn of(value: Arc<T>) -> Self {
        Self(Some(value))
    }
}
