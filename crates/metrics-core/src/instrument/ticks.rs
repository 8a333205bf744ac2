//! [`Ticks`]: where timers take the time from, as one number whose scale only the source knows.

use std::fmt;
use std::sync::Arc;
#[cfg(feature = "tsc")]
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
#[cfg(feature = "tsc")]
use std::time::{Duration, Instant};

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

    /// Measures the scale again, where that makes it better.
    pub(crate) fn calibrate(&self) {
        #[cfg(feature = "tsc")]
        if let Self::Counter(counter) = self {
            counter.calibrate();
        }
    }

    /// The time, on the source's own scale.
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        match self {
            #[cfg(not(feature = "tsc"))]
            Self::System(clock) => saturating_nanos(clock),
            Self::Injected(clock) => injected_nanos(&**clock),
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

    /// As if the scale had been measured again.
    #[cfg(all(test, feature = "tsc"))]
    pub(crate) fn scale_by(&self, factor: f64) {
        if let Self::Counter(counter) = self {
            let scale = counter.scale.load(Relaxed) as f64 * factor;
            counter.scale.store(scale as u64, Relaxed);
        }
    }
}

/// The time stamp counter, or the system's clock where it cannot be trusted. Clones share the
/// scale.
#[cfg(feature = "tsc")]
#[derive(Clone)]
pub(crate) struct TickCounter {
    clock: quanta::Clock,
    /// Nanoseconds of 2^32 ticks.
    scale: Arc<AtomicU64>,
    /// One moment on both clocks, to measure the scale by.
    ticks_then: u64,
    then: Instant,
}

#[cfg(feature = "tsc")]
impl TickCounter {
    /// How long the scale is measured at least. Whatever interrupts between the two readings, for
    /// some tens of microseconds, is then less than a thousandth.
    const BASE: Duration = Duration::from_millis(100);

    fn new() -> Self {
        let clock = quanta::Clock::new();
        Self {
            scale: Arc::new(AtomicU64::new(clock.delta_as_nanos(0, 1 << 32))),
            ticks_then: clock.raw(),
            then: Instant::now(),
            clock,
        }
    }

    #[inline]
    fn nanos_between(&self, start: u64, end: u64) -> u64 {
        let ticks = end.saturating_sub(start);
        let nanos = (u128::from(ticks) * u128::from(self.scale.load(Relaxed))) >> 32;
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }

    /// Measures the scale over all the time since the start: the first guess, made in a few
    /// milliseconds, is off by some thousandths.
    fn calibrate(&self) {
        let (ticks, elapsed) = (self.clock.raw(), self.then.elapsed());
        let ticks = ticks.saturating_sub(self.ticks_then);
        if elapsed < Self::BASE || ticks == 0 {
            return;
        }
        let scale = (elapsed.as_nanos() << 32) / u128::from(ticks);
        let guess = u128::from(self.scale.load(Relaxed));
        // A machine that slept may have stopped one of the two clocks.
        if scale.abs_diff(guess) * 100 <= guess
            && let Ok(scale) = u64::try_from(scale)
        {
            self.scale.store(scale, Relaxed);
        }
    }
}

/// Not inlined: nobody injects a clock where nanoseconds matter.
#[cold]
#[inline(never)]
fn injected_nanos(clock: &dyn Clock) -> u64 {
    saturating_nanos(clock)
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
