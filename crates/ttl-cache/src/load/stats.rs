//! [`LoadStats`]: what loading did, counted beside the hot path.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::listing::Counted;

/// Counters of loading. All are written relaxed: each is exact, and they promise nothing about
/// each other.
#[derive(Debug, Default)]
pub(crate) struct LoadCounters {
    loads: AtomicU64,
    failures: AtomicU64,
    panics: AtomicU64,
    timeouts: AtomicU64,
    abandoned: AtomicU64,
    coalesced: AtomicU64,
    refreshes: AtomicU64,
    stale_served: AtomicU64,
    failures_served: AtomicU64,
    superseded: AtomicU64,
    nanos: AtomicU64,
}

/// What loading did since the cache was made. Each count is exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct LoadStats {
    /// Loaders that were started.
    pub started: u64,
    /// Loaders that returned an error.
    pub failures: u64,
    /// Loaders that panicked.
    pub panics: u64,
    /// Loads that ran out of time.
    pub timeouts: u64,
    /// Loads dropped unfinished, as nobody waited for them any more.
    pub abandoned: u64,
    /// Callers that took part in a load somebody else had started.
    pub coalesced: u64,
    /// Loads started although there was a value to serve.
    pub refreshes: u64,
    /// Values served past their time to live.
    pub stale_served: u64,
    /// Errors given from the table of kept errors.
    pub failures_served: u64,
    /// Results that were not stored, since their key was written meanwhile.
    pub superseded: u64,
    /// The time loads took together, failed ones included, waiting for a permit not.
    pub total_time: Duration,
}

macro_rules! counters {
    ($($method:ident: $field:ident),* $(,)?) => {$(
        pub(crate) fn $method(&self) {
            self.$field.fetch_add(1, Ordering::Relaxed);
        }
    )*};
}

impl LoadCounters {
    counters!(
        started: loads,
        failed: failures,
        panicked: panics,
        timed_out: timeouts,
        was_abandoned: abandoned,
        joined: coalesced,
        refreshed: refreshes,
        served_stale: stale_served,
        served_failure: failures_served,
        was_superseded: superseded,
    );

    pub(crate) fn took(&self, nanos: u64) {
        // Wraps after 584 years of loading.
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// With what was counted elsewhere.
    pub(crate) fn read(&self, counted: Counted) -> LoadStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        LoadStats {
            started: read(&self.loads).saturating_add(counted.started),
            failures: read(&self.failures),
            panics: read(&self.panics),
            timeouts: read(&self.timeouts),
            abandoned: read(&self.abandoned),
            coalesced: read(&self.coalesced),
            refreshes: read(&self.refreshes),
            stale_served: read(&self.stale_served),
            failures_served: read(&self.failures_served),
            superseded: read(&self.superseded),
            total_time: Duration::from_nanos(read(&self.nanos).saturating_add(counted.nanos)),
        }
    }
}
