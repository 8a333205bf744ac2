//! Times as numbers of nanoseconds: [`brolly_sync::NanoClock`] under the names of this crate.

use std::sync::Arc;
use std::time::Duration;

use brolly_sync::{Clock, NanoClock};
pub(crate) use brolly_sync::{NEVER, saturating_nanos as nanos};

use crate::panics::contain;

/// The user's clock at arm's length. It is read by who holds a resource on its way, which would be
/// lost in a panic; so one that panics reads its origin, which does no more harm than a clock that
/// jumps.
pub(crate) fn nano_clock(clock: Arc<dyn Clock>) -> NanoClock {
    NanoClock::new(Arc::new(Contained(clock)))
}

#[derive(Debug)]
struct Contained(Arc<dyn Clock>);

impl Clock for Contained {
    fn now(&self) -> Duration {
        contain(|| self.0.now()).unwrap_or_default()
    }

    fn coarse(&self) -> Duration {
        contain(|| self.0.coarse()).unwrap_or_default()
    }

    fn coarse_lag(&self) -> Duration {
        contain(|| self.0.coarse_lag()).unwrap_or_default()
    }
}

/// The moment of a reading, as the clock itself would say it: readings are one more, so that none is
/// zero.
pub(crate) fn moment(reading: u64) -> Duration {
    Duration::from_nanos(reading.saturating_sub(1))
}

/// A limit that may be off, in nanoseconds.
pub(crate) fn nanos_or_never(duration: Option<Duration>) -> u64 {
    duration.map_or(NEVER, nanos)
}
