//! The seam between std and loom: what the table of locks synchronises with comes from here.

#[cfg(brolly_loom)]
pub(crate) use loom::sync::{Mutex, MutexGuard};
#[cfg(not(brolly_loom))]
pub(crate) use std::sync::{Mutex, MutexGuard};

use std::sync::PoisonError;

/// Locks, ignoring poison: no code of a caller runs while one of our locks is held, so a panic cannot
/// leave the data half changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
