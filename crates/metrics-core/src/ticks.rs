//! [`Ticks`]: where timers take the time from, as one number whose scale only the source knows.

use std::fmt;
use std::sync::Arc;

use brolly_sync::Clock;
#[cfg(not(feature = "tsc"))]
use brolly_sync::SystemClock;

/// A source of time for timers.
#[derive(Clone)]
pub(crate) enum Ticks {
    /// The operating system's monotonic clock.
    #[cfg(not(feature = "tsc"))]
    System(SystemClock),
    /// A clock that was given.
    Injected(Arc<dyn Clock>),
    /// The processor's time stamp counter, where it can be trusted; scaled when it is read out.
    #[cfg(feature = "tsc")]
    Counter(TickCounter),
}

impl Ticks {
    /// The cheapest source of this machine.
    pub(crate) fn fastest() -> Self {
        #[cfg(feature = "tsc")]
        return Self::Counter(TickCounter::new());
        #[cfg(not(feature = "tsc"))]
        Self::System(SystemClock::new())
    }

    /// The time, on the source's own scale.
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        match self {
            #[cfg(not(feature = "tsc"))]
            Self::System(clock) => saturating_nanos(clock),
            Self::Injected(clock) => saturating_nanos(&**clock),
            #[cfg(feature = "tsc")]
            Self::Counter(counter) => counter.clock.raw(),
        }
    }

    /// The nanoseconds from one reading to a later one; zero if it is earlier.
    #[inline]
    pub(crate) fn nanos_between(&self, start: u64, end: u64) -> u64 {
        match self {
            #[cfg(not(feature = "tsc"))]
            Self::System(_) => end.saturating_sub(start),
            Self::Injected(_) => end.saturating_sub(start),
            #[cfg(feature = "tsc")]
            Self::Counter(counter) => counter.nanos_between(start, end),
        }
    }

    /// A reading in nanoseconds.
    pub(crate) fn nanos(&self, reading: u64) -> u64 {
        self.nanos_between(0, reading)
    }
}

/// The time stamp counter, or the system's clock where it cannot be trusted.
#[cfg(feature = "tsc")]
#[derive(Clone)]
pub(crate) struct TickCounter {
    clock: quanta::Clock,
    /// Nanoseconds of 2^32 ticks.
    scale: u64,
}

#[cfg(feature = "tsc")]
impl TickCounter {
    fn new() -> Self {
        let clock = quanta::Clock::new();
        let scale = clock.delta_as_nanos(0, 1 << 32);
        Self { clock, scale }
    }

    #[inline]
    fn nanos_between(&self, start: u64, end: u64) -> u64 {
        let ticks = end.saturating_sub(start);
        // For about a second both factors are short, and the error is one in four billion.
        match (u32::try_from(ticks), u32::try_from(self.scale)) {
            (Ok(ticks), Ok(scale)) => (u64::from(ticks) * u64::from(scale)) >> 32,
            _ => self.clock.delta_as_nanos(start, end),
        }
    }
}

fn saturating_nanos(clock: &(impl Clock + ?Sized)) -> u64 {
    u64::try_from(clock.now().as_nanos()).unwrap_or(u64::MAX)
}

impl fmt::Debug for Ticks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            #[cfg(not(feature = "tsc"))]
            Self::System(_) => "System",
            Self::Injected(_) => "Injected",
            #[cfg(feature = "tsc")]
            Self::Counter(_) => "Counter",
        })
    }
}
