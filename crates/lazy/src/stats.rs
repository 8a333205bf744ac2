//! [`Stats`]: what a lazy value did so far.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What a [`Lazy`](crate::Lazy) did since it was made. Reading a value that is there is not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Stats {
    /// Loads that were begun, refreshes included.
    pub loads: u64,
    /// Calls of the loader: more than `loads` by what was retried.
    pub attempts: u64,
    /// Loads that brought a value, kept or not.
    pub loaded: u64,
    /// Loads whose loader returned an error in its last attempt.
    pub failures: u64,
    /// Loads whose loader panicked, or was dropped by whoever should have run it.
    pub panics: u64,
    /// Loads that were not ready in time.
    pub timeouts: u64,
    /// Loads that were begun and dropped, since everybody who had waited was gone.
    pub abandoned: u64,
    /// Values that were not kept, because of a `reset` or a `replace` while they were loaded.
    pub outdated: u64,
    /// Callers who took part in a load that somebody else had begun.
    pub joined: u64,
    /// Callers who got a value past its time to live.
    pub stale_served: u64,
    /// Callers who got an error that was kept.
    pub errors_served: u64,
}

macro_rules! counters {
    ($($name:ident),* $(,)?) => {
        /// The same, being counted. These order nothing: plain atomics, under loom too.
        #[derive(Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: Counter,)*
        }

        impl Counters {
            pub(crate) fn read(&self) -> Stats {
                Stats { $($name: self.$name.read(),)* }
            }
        }
    };
}

counters! {
    loads, attempts, loaded, failures, panics, timeouts, abandoned, outdated, joined, stale_served,
    errors_served,
}

#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn count(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    pub(crate) fn read(&self) -> u64 {
        self.0.load(Relaxed)
    }
}
