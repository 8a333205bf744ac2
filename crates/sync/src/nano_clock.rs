//! [`NanoClock`]: a clock in nanoseconds, read as cheaply as the question allows.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::system_clock::SystemClock;

/// The moment that never comes: what a [`NanoClock`] never reads.
pub const NEVER: u64 = u64::MAX;

/// Added to each reading, so that none is zero and zero can mean something else.
const FIRST: u64 = 1;

/// A lag is felt if it is more than this part of a duration.
const FELT: u64 = 1000;

/// A duration in nanoseconds; what is too long for the number lasts for ever.
#[inline]
#[must_use]
pub fn saturating_nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(NEVER)
}

/// A [`Clock`] in nanoseconds, for deadlines that are judged often.
///
/// A reading is never zero and never [`NEVER`]. A deadline is judged by the cheap reading where
/// that is certain; within the lag of the deadline the precise one decides. So a deadline is never
/// seen late, and one that is counted from [`start_of`](Self::start_of) comes early by a thousandth
/// of its duration at most.
///
/// ```
/// use brolly_sync::{ManualClock, NEVER, NanoClock};
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// let manual = ManualClock::new();
/// let clock = NanoClock::new(Arc::new(manual.clone()));
/// let deadline = clock.now() + 1_000_000;
/// assert!(!clock.is_past(deadline));
/// manual.advance(Duration::from_millis(1));
/// assert!(clock.is_past(deadline) && !clock.is_past(NEVER));
/// ```
#[derive(Clone, Debug)]
pub struct NanoClock {
    source: Source,
    lag: u64,
}

/// The system's clock is read without a virtual call.
#[derive(Clone, Debug)]
enum Source {
    System(SystemClock),
    Given(Arc<dyn Clock>),
}

impl NanoClock {
    /// The operating system's clock, counted from now.
    #[must_use]
    pub fn system() -> Self {
        let clock = SystemClock::new();
        Self {
            lag: saturating_nanos(clock.coarse_lag()),
            source: Source::System(clock),
        }
    }

    /// A clock of the caller's.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            lag: saturating_nanos(clock.coarse_lag()),
            source: Source::Given(clock),
        }
    }

    /// The precise time.
    #[must_use]
    pub fn now(&self) -> u64 {
        reading(match &self.source {
            Source::System(clock) => clock.nanos(),
            Source::Given(clock) => saturating_nanos(clock.now()),
        })
    }

    /// The time, late by the clock's [`coarse_lag`](Clock::coarse_lag) at most.
    #[inline]
    #[must_use]
    pub fn coarse(&self) -> u64 {
        match &self.source {
            Source::System(clock) => reading(clock.coarse_nanos()),
            Source::Given(clock) => given(&**clock),
        }
    }

    /// How far [`coarse`](Self::coarse) may lag behind [`now`](Self::now), in nanoseconds.
    #[inline]
    #[must_use]
    pub fn lag(&self) -> u64 {
        self.lag
    }

    /// Whether the deadline has come. [`NEVER`] costs no reading.
    #[inline(always)]
    #[must_use]
    pub fn is_past(&self, deadline: u64) -> bool {
        deadline != NEVER && self.is_past_by_now(deadline)
    }

    /// Whether the deadline has come, given a reading of [`coarse`](Self::coarse).
    #[inline]
    #[must_use]
    pub fn is_past_at(&self, deadline: u64, coarse: u64) -> bool {
        deadline <= coarse || deadline - coarse <= self.lag && deadline <= self.now()
    }

    /// The time from which a duration counts: the cheap reading, unless its lag would be felt.
    #[inline]
    #[must_use]
    pub fn start_of(&self, duration: u64) -> u64 {
        if duration / FELT >= self.lag {
            self.coarse()
        } else {
            self.now()
        }
    }

    #[inline]
    fn is_past_by_now(&self, deadline: u64) -> bool {
        self.is_past_at(deadline, self.coarse())
    }
}

/// Kept apart, so that reading the system's clock stays small where it is inlined.
#[inline(never)]
fn given(clock: &dyn Clock) -> u64 {
    reading(saturating_nanos(clock.coarse()))
}

#[inline]
fn reading(since_origin: u64) -> u64 {
    since_origin.saturating_add(FIRST).min(NEVER - 1)
}

#[cfg(all(test, not(brolly_loom)))]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// A clock whose cheap reading stands 4 ms behind the precise one, and counts precise reads.
    #[derive(Debug, Default)]
    struct Lagging {
        millis: AtomicU64,
        precise: AtomicU64,
    }

    const LAG: u64 = 4;

    impl Clock for Lagging {
        fn now(&self) -> Duration {
            self.precise.fetch_add(1, Ordering::Relaxed);
            Duration::from_millis(self.millis.load(Ordering::Relaxed))
        }

        fn coarse(&self) -> Duration {
            Duration::from_millis(self.millis.load(Ordering::Relaxed).saturating_sub(LAG))
        }

        fn coarse_lag(&self) -> Duration {
            Duration::from_millis(LAG)
        }
    }

    #[test]
    fn a_deadline_is_never_seen_late_and_the_precise_clock_is_asked_only_near_it() {
        let source = Arc::new(Lagging::default());
        let clock = NanoClock::new(Arc::clone(&source) as Arc<dyn Clock>);
        let deadline = clock.now() + saturating_nanos(Duration::from_millis(100));
        for millis in 0..200 {
            source.millis.store(millis, Ordering::Relaxed);
            source.precise.store(0, Ordering::Relaxed);
            assert_eq!(clock.is_past(deadline), millis >= 100, "at {millis} ms");
            let asked = source.precise.load(Ordering::Relaxed) > 0;
            assert_eq!(asked, (100..100 + LAG).contains(&millis), "at {millis} ms");
        }
        assert!(!clock.is_past(NEVER));
    }

    #[test]
    fn short_durations_count_from_the_precise_reading() {
        let source = Arc::new(Lagging::default());
        source.millis.store(1000, Ordering::Relaxed);
        let clock = NanoClock::new(source);
        let second = saturating_nanos(Duration::from_secs(1));
        assert_eq!(clock.start_of(second), clock.now());
        assert_eq!(clock.start_of(60 * second), clock.coarse());
        assert!(clock.coarse() < clock.now());
    }

    #[test]
    fn no_reading_is_zero_or_never() {
        #[derive(Debug)]
        struct Stands(Duration);
        impl Clock for Stands {
            fn now(&self) -> Duration {
                self.0
            }
        }
        for at in [Duration::ZERO, Duration::MAX] {
            let clock = NanoClock::new(Arc::new(Stands(at)));
            assert!((1..NEVER).contains(&clock.now()));
            assert!((1..NEVER).contains(&clock.coarse()));
        }
        assert_eq!(saturating_nanos(Duration::MAX), NEVER);
    }
}
