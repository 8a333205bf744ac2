//! [`Clock`]: the time as a value that can be injected, with a real and a manual source.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A monotonic source of time.
///
/// The origin is arbitrary, so only differences between two readings of the same clock mean
/// anything.
pub trait Clock: Debug + Send + Sync {
    /// The time since the clock's origin. Never less than an earlier reading.
    fn now(&self) -> Duration;
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Duration {
        (**self).now()
    }
}

/// The operating system's monotonic clock, counted from the moment this value was made.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// A clock that reads zero now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            origin: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.origin.elapsed()
    }
}

/// A clock that moves only when told to. Clones share the time.
///
/// It counts whole nanoseconds and stops at its end, about 584 years after its origin, instead of
/// wrapping.
///
/// ```
/// use std::time::Duration;
/// use brolly_sync::{Clock, ManualClock};
///
/// let clock = ManualClock::new();
/// let other = clock.clone();
/// clock.advance(Duration::from_secs(3));
/// assert_eq!(other.now(), Duration::from_secs(3));
/// ```
#[derive(Clone, Debug, Default)]
pub struct ManualClock {
    /// Relaxed suffices: the time is one number, and read-modify-writes of one number never run
    /// backwards.
    nanos: Arc<AtomicU64>,
}

impl ManualClock {
    /// A clock that reads zero.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves the time forward.
    pub fn advance(&self, by: Duration) {
        let by = saturating_nanos(by);
        // The closure never declines, so the update cannot fail.
        let _ = self
            .nanos
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| {
                Some(now.saturating_add(by))
            });
    }

    /// Moves the time forward to `now`; does nothing if it is already later, since a clock never
    /// runs backwards.
    pub fn set(&self, now: Duration) {
        self.nanos
            .fetch_max(saturating_nanos(now), Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Duration {
        Duration::from_nanos(self.nanos.load(Ordering::Relaxed))
    }
}

fn saturating_nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
