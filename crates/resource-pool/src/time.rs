//! Durations as numbers of nanoseconds.

use std::time::Duration;

use brolly_sync::{NEVER, saturating_nanos};

/// A limit that may be off, in nanoseconds.
pub(crate) fn nanos_or_never(duration: Option<Duration>) -> u64 {
    duration.map_or(NEVER, saturating_nanos)
}
