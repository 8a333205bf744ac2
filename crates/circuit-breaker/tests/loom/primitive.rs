//! What the included source takes from the crate's own seam.

pub(crate) use loom::sync::{Mutex, MutexGuard, atomic::AtomicU64};

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}
