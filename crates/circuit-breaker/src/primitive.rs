//! The seam between std and loom: everything that synchronises comes from here.

#[cfg(brolly_loom)]
pub(crate) use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64},
};
#[cfg(not(brolly_loom))]
pub(crate) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64},
};

use std::sync::PoisonError;

/// Locks, ignoring poison: no foreign code runs while one of our locks is held, so a panic cannot
/// leave the data half changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How often the processor is asked to wait, doubling each time, before the scheduler is.
const SPINS: u32 = 6;

/// Waits for somebody who is a few instructions from being done.
#[derive(Default)]
pub(crate) struct Spin(u32);

impl Spin {
    /// A little longer each time; soon the other thread is given the processor, since it may have
    /// been interrupted on this very one.
    pub(crate) fn wait(&mut self) {
        #[cfg(brolly_loom)]
        loom::thread::yield_now();
        #[cfg(not(brolly_loom))]
        if self.0 < SPINS {
            for _ in 0..1_u32 << self.0 {
                std::hint::spin_loop();
            }
            self.0 += 1;
        } else {
            std::thread::yield_now();
        }
        #[cfg(brolly_loom)]
        let _ = (self.0, SPINS);
    }
}
