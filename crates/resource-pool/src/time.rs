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
#[inline]
pub(crate) fn nanos(duration: Duration) -> u64 {
    let whole = duration.as_secs().saturating_mul(1_000_000_000);
    whole.saturating_add(u64::from(duration.subsec_nanos()))
}

/// The same for a limit that may be off.
pub(crate) fn nanos_or_never(duration: Option<Duration>) -> u64 {
    duration.map_or(NEVER, nanos)
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

    /// A cheap reading, behind the precise one by [`lag`](Self::lag) at most. Neither the moment
    /// that never comes nor zero, which stands for no moment at all.
    #[inline]
    pub(crate) fn coarse(&self) -> u64 {
        let coarse = match &self.source {
            Source::System(clock) => clock.coarse(),
            Source::Given(clock) => clock.coarse(),
        };
        nanos(coarse).clamp(1, NEVER - 1)
    }

    /// How far a cheap reading may lag behind.
    pub(crate) fn lag(&self) -> u64 {
        self.lag
    }
}
