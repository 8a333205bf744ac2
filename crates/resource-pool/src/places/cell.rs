//! [`Cell`]: where an idle thing lies while nobody holds it.
//!
//! It has no lock and no flag of its own: whose turn it is, the bit of the place says; see
//! `idle_set`. In a model it is loom's cell, which notices two who touch it at a time.

#[cfg(brolly_loom)]
use loom::cell::UnsafeCell;
#[cfg(not(brolly_loom))]
use plain::UnsafeCell;

/// Holds a thing, or nothing. Callers take turns.
pub(crate) struct Cell<T>(UnsafeCell<Option<T>>);

// SAFETY: whoever calls `put` or `take` promises to be alone with the cell, so all that a shared
// reference gives away is the thing itself, to one thread at a time.
unsafe impl<T: Send> Sync for Cell<T> {}

impl<T> Cell<T> {
    pub(crate) fn new() -> Self {
        Self(UnsafeCell::new(None))
    }

    /// Puts a thing into the cell, which is empty.
    ///
    /// # Safety
    ///
    /// Nobody else touches the cell meanwhile, and what those did who touched it before happened
    /// before this.
    #[inline]
    pub(crate) unsafe fn put(&self, thing: T) {
        // SAFETY: the caller is alone with the cell, so the pointer is as good as a unique
        // reference. It is empty, so nothing is lost that would have to be dropped.
        self.0
            .with_mut(|cell| unsafe { std::ptr::write(cell, Some(thing)) });
    }

    /// Takes what is in the cell.
    ///
    /// # Safety
    ///
    /// As [`put`](Self::put).
    #[inline]
    pub(crate) unsafe fn take(&self) -> Option<T> {
        // SAFETY: the caller is alone with the cell, so the pointer is as good as a unique
        // reference.
        self.0.with_mut(|cell| unsafe { (*cell).take() })
    }
}

/// The standard library's cell with the face of loom's.
#[cfg(not(brolly_loom))]
mod plain {
    pub(super) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub(super) fn new(value: T) -> Self {
            Self(std::cell::UnsafeCell::new(value))
        }

        #[inline(always)]
        pub(super) fn with_mut<R>(&self, work: impl FnOnce(*mut T) -> R) -> R {
            work(self.0.get())
        }
    }
}
