//! [`Time`]: the cache's clock in nanoseconds, read as cheaply as the question allows.

use std::sync::Arc;
use std::time::Duration;

use brolly_sync::{Clock, SystemClock};

/// The moment that never comes.
pub(crate) const NEVER: u64 = u64::MAX;

/// Added to each reading, so that none is zero: a deadline of zero means that there is no entry.
const FIRST: u64 = 1;

/// A lag is felt if it is more than this part of a duration.
const FELT: u64 = 1000;

/// A clock, and how far its cheap reading may lag behind.
///
/// An entry is judged by the cheap reading where that is certain. Within the lag of its deadline,
/// the precise clock decides. So no entry is seen late; one may go early by a thousandth of its time.
#[derive(Clone, Debug)]
pub(crate) struct Time {
    source: Source,
    lag: u64,
}

#[derive(Clone, Debug)]
enum Source {
    System(SystemClock),
    Given(Arc<dyn Clock>),
}

pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(NEVER)
}

impl Time {
    pub(crate) fn system() -> Self {
        let clock = SystemClock::new();
        Self {
            lag: nanos(clock.coarse_lag()),
            source: Source::System(clock),
        }
    }

    pub(crate) fn given(clock: Arc<dyn Clock>) -> Self {
        Self {
            lag: nanos(clock.coarse_lag()),
            source: Source::Given(clock),
        }
    }

    /// The precise time. Never the moment that never comes.
    pub(crate) fn now(&self) -> u64 {
        nanos(match &self.source {
            Source::System(clock) => clock.now(),
            Source::Given(clock) => clock.now(),
        })
        .saturating_add(FIRST)
        .min(NEVER - 1)
    }

    /// The time, late by the lag at most.
    #[inline]
    pub(crate) fn coarse(&self) -> u64 {
        nanos(match &self.source {
            Source::System(clock) => clock.coarse(),
            Source::Given(clock) => clock.coarse(),
        })
        .saturating_add(FIRST)
        .min(NEVER - 1)
    }

    /// Whether the deadline has come.
    #[inline(always)]
    pub(crate) fn is_past(&self, deadline: u64) -> bool {
        deadline != NEVER && self.has_come(deadline)
    }

    #[inline]
    fn has_come(&self, deadline: u64) -> bool {
        self.has_come_at(deadline, self.coarse())
    }

    /// Whether the deadline has come, given a cheap reading.
    #[inline]
    pub(crate) fn has_come_at(&self, deadline: u64, coarse: u64) -> bool {
        deadline <= coarse || deadline - coarse <= self.lag && deadline <= self.now()
    }

    /// The time from which a duration counts: the cheap reading, unless its lag would be felt.
    #[inline]
    pub(crate) fn start_of(&self, duration: u64) -> u64 {
        if duration / FELT >= self.lag {
            self.coarse()
        } else {
            self.now()
        }
    }
}

/// A deadline from now on. Durations beyond the end of time never end.
pub(crate) fn after(now: u64, duration: u64) -> u64 {
    now.saturating_add(duration)
}
