//! [`Cell`]: where an idle thing lies while nobody holds it.

#[cfg(not(brolly_loom))]
pub(crate) use plain::Cell;

#[cfg(brolly_loom)]
pub(crate) use modelled::Cell;

#[cfg(not(brolly_loom))]
mod plain {
    use std::mem::ManuallyDrop;

    use crossbeam_utils::atomic::AtomicCell;

    /// Holds a pointer to a thing, or nothing. Callers take turns; see `idle_set`.
    ///
    /// `ManuallyDrop` makes the store a plain one: nothing is ever overwritten.
    pub(crate) struct Cell<T>(AtomicCell<Option<ManuallyDrop<T>>>);

    impl<T> Cell<T> {
        pub(crate) const fn new() -> Self {
            Self(AtomicCell::new(None))
        }

        #[inline]
        pub(crate) fn put(&self, thing: T) {
            self.0.store(Some(ManuallyDrop::new(thing)));
        }

        #[inline]
        pub(crate) fn take(&self) -> T {
            let thing = self.0.swap(None).expect("a set bit stands for a thing");
            ManuallyDrop::into_inner(thing)
        }
    }

    impl<T> Drop for Cell<T> {
        fn drop(&mut self) {
            drop(self.0.swap(None).map(ManuallyDrop::into_inner));
        }
    }
}

#[cfg(brolly_loom)]
mod modelled {
    use crate::primitive::{Mutex, lock};

    pub(crate) struct Cell<T>(Mutex<Option<T>>);

    impl<T> Cell<T> {
        pub(crate) fn new() -> Self {
            Self(Mutex::new(None))
        }

        pub(crate) fn put(&self, thing: T) {
            *lock(&self.0) = Some(thing);
        }

        pub(crate) fn take(&self) -> T {
            lock(&self.0).take().expect("a set bit stands for a thing")
        }
    }
}
