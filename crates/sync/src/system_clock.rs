//! [`SystemClock`]: the operating system's monotonic clock.

use std::time::Duration;

use crate::clock::Clock;

#[cfg(not(all(
    feature = "coarse-clock",
    any(target_os = "linux", target_os = "android")
)))]
use instants as source;
#[cfg(all(
    feature = "coarse-clock",
    any(target_os = "linux", target_os = "android")
))]
use ticks as source;

/// The operating system's monotonic clock, counted from the moment this value was made.
///
/// With the feature `coarse-clock`, on Linux and Android, [`coarse`](Clock::coarse) reads
/// `CLOCK_MONOTONIC_COARSE`: the same clock as it stood at the kernel's last timer tick. Both
/// readings then share one origin, taken from `CLOCK_MONOTONIC`. Without it, and elsewhere, coarse
/// readings are precise ones.
///
/// [`coarse_lag`](Clock::coarse_lag) asks the kernel for the resolution, one tick of 1 to 10 ms. A
/// virtual machine that was stopped by its host may find the last tick to be older, until the next.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    origin: source::Origin,
}

impl SystemClock {
    /// A clock that reads zero now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            origin: source::Origin::new(),
        }
    }
}

/// Nanoseconds, for [`NanoClock`](crate::NanoClock): a `Duration` would have to be taken apart again.
impl SystemClock {
    #[inline]
    pub(crate) fn nanos(&self) -> u64 {
        self.origin.precise()
    }

    #[inline]
    pub(crate) fn coarse_nanos(&self) -> u64 {
        self.origin.coarse()
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        Duration::from_nanos(self.origin.precise())
    }

    fn coarse(&self) -> Duration {
        Duration::from_nanos(self.origin.coarse())
    }

    fn coarse_lag(&self) -> Duration {
        source::coarse_lag()
    }
}

/// One source: what the standard library offers everywhere.
#[cfg(not(all(
    feature = "coarse-clock",
    any(target_os = "linux", target_os = "android")
)))]
mod instants {
    use std::time::{Duration, Instant};

    #[derive(Clone, Copy, Debug)]
    pub(super) struct Origin(Instant);

    impl Origin {
        pub(super) fn new() -> Self {
            Self(Instant::now())
        }

        pub(super) fn precise(self) -> u64 {
            crate::nano_clock::saturating_nanos(self.0.elapsed())
        }

        pub(super) fn coarse(self) -> u64 {
            self.precise()
        }
    }

    pub(super) fn coarse_lag() -> Duration {
        Duration::ZERO
    }
}

/// Two sources of the kernel with one origin. `Instant` cannot be used here, since it hides the
/// number that a coarse reading would have to be compared with.
#[cfg(all(
    feature = "coarse-clock",
    any(target_os = "linux", target_os = "android")
))]
mod ticks {
    use std::time::Duration;

    use rustix::time::{ClockId, Timespec, clock_getres, clock_gettime};

    #[derive(Clone, Copy, Debug)]
    pub(super) struct Origin(u64);

    impl Origin {
        pub(super) fn new() -> Self {
            Self(nanos(clock_gettime(ClockId::Monotonic)))
        }

        pub(super) fn precise(self) -> u64 {
            nanos(clock_gettime(ClockId::Monotonic)).saturating_sub(self.0)
        }

        /// Saturates at the origin: the last tick may have been before it.
        #[inline]
        pub(super) fn coarse(self) -> u64 {
            nanos(clock_gettime(ClockId::MonotonicCoarse)).saturating_sub(self.0)
        }
    }

    pub(super) fn coarse_lag() -> Duration {
        Duration::from_nanos(nanos(clock_getres(ClockId::MonotonicCoarse)))
    }

    /// The kernel's monotonic time is never negative, and counts from the start of the machine: the
    /// number lasts for 584 years.
    #[inline]
    fn nanos(time: Timespec) -> u64 {
        let seconds = time.tv_sec.cast_unsigned().saturating_mul(1_000_000_000);
        seconds.saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
    }
}
