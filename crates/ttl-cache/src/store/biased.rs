//! [`Biased`]: a reader-writer lock whose readers pay nothing while nobody writes.
//!
//! After a while without writes the lock leans towards its readers: they look without taking it,
//! under a [`Lookup`], which tells that they are inside. A writer first takes the lock, then ends
//! the leaning, and waits for the lookups that had begun. That costs it a barrier and a little
//! patience, so the lock leans again only after many more reads (the scheme is that of Dice and
//! Kogan, "BRAVO: Biased Locking for Reader-Writer Locks", 2019, with the barrier of the readers
//! moved to the writer).
//!
//! # Invariants
//!
//! 1. `leans` becomes true only under a read lock, and false only under the write lock.
//! 2. Whoever writes holds the write lock, found `leans` false or made it false, and in the latter
//!    case waited for all lookups that had begun before.
//! 3. A reader without the lock has begun a lookup, and then found `leans` true. So the writer that
//!    ended the leaning either waited for it, or its lookup began after the barrier of that writer
//!    and it found `leans` false.

use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use crate::primitive::{AtomicU32, RwLock, RwLockReadGuard, RwLockWriteGuard, read, write};
use crate::readers::{Lookup, Readers};

/// So many reads under the lock without a write make it lean.
const LEAN_AFTER: u32 = 4096;

/// A value behind such a lock.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Biased<T> {
    lock: RwLock<()>,
    /// One if readers need not take the lock.
    leans: AtomicU32,
    /// Reads under the lock since the last write, counted without care.
    reads: AtomicU32,
    /// Behind the lock at once, so that they share a cache line.
    value: UnsafeCell<T>,
    readers: Arc<Readers>,
}

// SAFETY: the value moves with the lock.
unsafe impl<T: Send> Send for Biased<T> {}
// SAFETY: as for `RwLock`: shared access gives out `&T` to several threads, or `&mut T` to one.
unsafe impl<T: Send + Sync> Sync for Biased<T> {}

impl<T> Biased<T> {
    pub(crate) fn new(value: T, readers: Arc<Readers>) -> Self {
        Self {
            leans: AtomicU32::new(0),
            reads: AtomicU32::new(0),
            lock: RwLock::new(()),
            readers,
            value: UnsafeCell::new(value),
        }
    }

    /// The value, if the lock leans towards readers now; for as long as the lookup goes on.
    ///
    /// # Safety
    ///
    /// The lookup was begun with the readers that the lock was made with.
    #[inline(always)]
    pub(crate) unsafe fn glance<'a>(&'a self, _lookup: &'a Lookup<'_>) -> Option<&'a T> {
        // Pairs with the store that made it lean: what was written before is seen.
        if self.leans.load(Acquire) == 0 {
            return None;
        }
        // SAFETY: the lookup had begun before `leans` was found true (invariant 3), and goes on
        // while the reference lives; a writer waits for it (invariant 2).
        Some(unsafe { &*self.value.get() })
    }

    /// Locks for reading.
    #[inline]
    pub(crate) fn read(&self) -> Reading<'_, T> {
        let guard = read(&self.lock);
        let reads = self.reads.load(Relaxed);
        if reads >= LEAN_AFTER {
            self.lean();
        } else {
            self.reads.store(reads + 1, Relaxed);
        }
        Reading {
            // SAFETY: under the lock nobody writes.
            value: unsafe { &*self.value.get() },
            _guard: guard,
        }
    }

    #[cold]
    fn lean(&self) {
        // Under the read lock, so no writer is inside (invariant 1).
        self.leans.store(1, Release);
    }

    /// Locks for writing.
    #[inline]
    pub(crate) fn write(&self) -> Writing<'_, T> {
        let guard = write(&self.lock);
        self.reads.store(0, Relaxed);
        if self.leans.load(Relaxed) != 0 {
            self.straighten();
        }
        Writing {
            // SAFETY: the lock keeps out others who take it, and whoever did not has left
            // (invariant 2).
            value: unsafe { &mut *self.value.get() },
            _guard: guard,
        }
    }

    #[cold]
    #[inline(never)]
    fn straighten(&self) {
        self.leans.store(0, Relaxed);
        while !self.readers.have_left() {
            std::thread::yield_now();
        }
    }
}

/// Access for reading.
#[derive(Debug)]
pub(crate) struct Reading<'a, T> {
    value: &'a T,
    _guard: RwLockReadGuard<'a, ()>,
}

impl<T> Deref for Reading<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        self.value
    }
}

/// Access for writing.
#[derive(Debug)]
pub(crate) struct Writing<'a, T> {
    value: &'a mut T,
    _guard: RwLockWriteGuard<'a, ()>,
}

impl<T> Deref for Writing<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        self.value
    }
}

impl<T> DerefMut for Writing<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        self.value
    }
}
