//! The seam between std, loom and shuttle: everything that synchronises comes from here.

#[cfg(brolly_loom)]
pub(crate) use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU64},
};
#[cfg(all(brolly_shuttle, not(brolly_loom)))]
pub(crate) use shuttle::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU64},
};
#[cfg(not(any(brolly_loom, brolly_shuttle)))]
pub(crate) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU64},
};

use std::sync::PoisonError;

/// Locks, ignoring poison: no foreign code runs while one of our locks is held, so a panic cannot
/// leave the data half changed.
#[inline]
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
