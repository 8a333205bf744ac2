//! The seam between std and loom: everything that blocks or synchronises comes from here.

#[cfg(brolly_loom)]
pub(crate) use loom::sync::{Condvar, Mutex, MutexGuard, atomic::AtomicU64};
#[cfg(not(brolly_loom))]
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, atomic::AtomicU64};

use std::sync::PoisonError;
use std::time::Duration;

/// Locks, ignoring poison: no code of a caller ever runs while one of our locks is held, so a
/// panic cannot leave the data half changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits on a condition variable, ignoring poison for the same reason.
pub(crate) fn wait<'a, T>(condition: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    condition
        .wait(guard)
        .unwrap_or_else(PoisonError::into_inner)
}

/// Waits on a condition variable for at most `limit`; may return early.
///
/// loom knows no time: there the wait ends by a notification only, and a model plays the part of
/// the time that passes.
pub(crate) fn wait_at_most<'a, T>(
    condition: &Condvar,
    guard: MutexGuard<'a, T>,
    limit: Duration,
) -> MutexGuard<'a, T> {
    match condition.wait_timeout(guard, limit) {
        Ok((guard, _)) => guard,
        Err(poisoned) => poisoned.into_inner().0,
    }
}

/// Tells running threads apart. The value of a thread that has ended may be used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ThreadKey(
    #[cfg(brolly_loom)] loom::thread::ThreadId,
    #[cfg(not(brolly_loom))] usize,
);

#[cfg(brolly_loom)]
pub(crate) fn this_thread() -> ThreadKey {
    ThreadKey(loom::thread::current().id())
}

/// The address of a thread-local byte: unlike `std::thread::current`, it counts no reference.
#[cfg(not(brolly_loom))]
pub(crate) fn this_thread() -> ThreadKey {
    std::thread_local! {
        static HERE: u8 = const { 0 };
    }
    ThreadKey(HERE.with(|here| std::ptr::from_ref(here).addr()))
}

/// Starts a thread that nobody joins.
pub(crate) fn start_thread(
    name: &str,
    body: impl FnOnce() + Send + 'static,
) -> std::io::Result<()> {
    #[cfg(brolly_loom)]
    {
        let _ = name;
        loom::thread::spawn(body);
        Ok(())
    }
    #[cfg(not(brolly_loom))]
    {
        #[cfg(test)]
        refusal::check()?;
        let builder = std::thread::Builder::new().name(name.to_owned());
        builder.spawn(body).map(drop)
    }
}

/// Lets a unit test play an operating system that is out of threads.
#[cfg(all(test, not(brolly_loom)))]
pub(crate) mod refusal {
    use std::cell::Cell;
    use std::io;

    std::thread_local! {
        static LEFT: Cell<u32> = const { Cell::new(0) };
    }

    /// Refuses this many threads to the calling thread.
    pub(crate) fn refuse(times: u32) {
        LEFT.set(times);
    }

    pub(super) fn check() -> io::Result<()> {
        match LEFT.get() {
            0 => Ok(()),
            left => {
                LEFT.set(left - 1);
                Err(io::Error::from(io::ErrorKind::WouldBlock))
            }
        }
    }
}
