//! [`Time`]: a clock in nanoseconds, read as cheaply as the question allows.

use std::sync::Arc;
use std::time::Duration;

use brolly_sync::{Clock, SystemClock};

/// The moment that never comes.
pub(crate) const NEVER: u64 = u64::MAX;

/// A clock, and how far its cheap reading may lag behind.
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

/// A duration in nanoseconds; what is too long for the number lasts for ever.
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
        let now = match &self.source {
            Source::System(clock) => clock.now(),
            Source::Given(clock) => clock.now(),
        };
        nanos(now).min(NEVER - 1)
    }

    /// Whether the moment has come. The cheap reading decides where it can, and the precise one
    /// within its lag: so nothing is taken for fresh that is not.
    #[inline]
    pub(crate) fn has_come(&self, moment: u64) -> bool {
        if moment == NEVER {
            return false;
        }
        let coarse = match &self.source {
            Source::System(clock) => clock.coarse(),
            Source::Given(clock) => clock.coarse(),
        };
        let coarse = nanos(coarse);
        moment <= coarse || moment - coarse <= self.lag && moment <= self.now()
    }
}
