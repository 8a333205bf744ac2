//! Times as numbers of nanoseconds: [`brolly_sync::NanoClock`] under the names of this crate.

use std::time::Duration;

pub(crate) use brolly_sync::{NEVER, saturating_nanos as nanos};

/// The moment of a reading, as the clock itself would say it: readings are one more, so that none is
/// zero.
pub(crate) fn moment(reading: u64) -> Duration {
    Duration::from_nanos(reading.saturating_sub(1))
}

/// A limit that may be off, in nanoseconds.
pub(crate) fn nanos_or_never(duration: Option<Duration>) -> u64 {
    duration.map_or(NEVER, nanos)
}
