//! [`Clock`]: the time as a value that can be injected, with a precise and a cheap reading.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

/// A monotonic source of time with two readings.
///
/// Both readings count from the same origin, so they can be compared with each other. The origin
/// is arbitrary: only differences between two readings of the same clock mean anything.
pub trait Clock: Debug + Send + Sync {
    /// The time since the clock's origin. Never less than an earlier reading of either kind.
    fn now(&self) -> Duration;

    /// A reading that may be cheaper and a little old: never ahead of [`now`](Self::now), behind
    /// it by [`coarse_lag`](Self::coarse_lag) at most, never less than an earlier coarse reading.
    ///
    /// An age or a waiting time taken from a coarse reading may be too short by that lag. What must
    /// not happen early adds the lag; what must not happen late reads `now`.
    ///
    /// A clock without a cheaper source reads `now`.
    fn coarse(&self) -> Duration {
        self.now()
    }

    /// How far [`coarse`](Self::coarse) may lag behind [`now`](Self::now); zero where they are the
    /// same.
    fn coarse_lag(&self) -> Duration {
        Duration::ZERO
    }
}

macro_rules! forward {
    ($($pointer:ty),*) => {$(
        impl<C: Clock + ?Sized> Clock for $pointer {
            fn now(&self) -> Duration {
                (**self).now()
            }

            fn coarse(&self) -> Duration {
                (**self).coarse()
            }

            fn coarse_lag(&self) -> Duration {
                (**self).coarse_lag()
            }
        }
    )*};
}

forward!(Arc<C>, Box<C>, &C);
