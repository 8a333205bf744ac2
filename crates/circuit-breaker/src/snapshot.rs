//! [`Snapshot`]: what a breaker is and has counted, at one moment.

use std::time::Duration;

use crate::name::Name;
use crate::state::State;

/// What a breaker is and has counted, at one moment.
///
/// State, window and probes are of one moment. The totals are read after it, thread by thread, so
/// they may be ahead by calls that ended meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Snapshot {
    /// The breaker's name; empty if it has none.
    pub name: Name,
    /// The state as a call would meet it: open becomes half-open when its time is over, whether or
    /// not a call has come.
    pub state: State,
    /// How many times the state was set.
    pub generation: u64,
    /// Open: the rest of the open time. `None` in every other state.
    #[cfg_attr(feature = "serde", serde(with = "crate::duration::option"))]
    pub retry_after: Option<Duration>,
    /// How many times it has opened since it was last closed.
    pub openings_in_a_row: u32,
    /// What is in the window. Open, what was in it when the breaker opened, or nothing if probes
    /// opened it again; half-open, nothing.
    pub window: WindowCounts,
    /// Probes that have not ended.
    pub probes_in_flight: u32,
    /// Probes of this half-open time that succeeded.
    pub probe_successes: u32,
    /// Probes of this half-open time that failed.
    pub probe_failures: u32,
    /// Counts since the breaker was made; nothing is counted where totals are off.
    pub totals: TotalCounts,
    /// How long ago a call failed last, by the coarse reading of the clock; `None` if none has, or
    /// totals are off.
    #[cfg_attr(feature = "serde", serde(with = "crate::duration::option"))]
    pub last_failure_age: Option<Duration>,
}

/// The calls in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct WindowCounts {
    /// All that count. For a breaker of consecutive failures, the failures in a row.
    pub calls: u32,
    /// Those that failed.
    pub failures: u32,
    /// Those that were slow, failed or not.
    pub slow_calls: u32,
}

/// Counts since a breaker was made. They only grow; a reset of the breaker leaves them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct TotalCounts {
    /// Calls that succeeded.
    pub successes: u64,
    /// Calls that failed.
    pub failures: u64,
    /// Calls that said nothing about the service.
    pub ignored: u64,
    /// Calls that were dropped before they ended, and panics that do not count as failures.
    pub cancelled: u64,
    /// Calls that were not let through.
    pub rejected: u64,
    /// Of the successes and failures, those that were slow.
    pub slow_calls: u64,
    /// How often the breaker opened.
    pub opened: u64,
}
