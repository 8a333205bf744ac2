//! [`ThrottleStats`]: the last reading of a throttle and what happened so far.

use std::time::Duration;

/// The last reading of a throttle and what happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ThrottleStats {
    /// The name of the source that is fullest, measured by its own threshold; empty if none gave a
    /// reading.
    pub source: &'static str,
    /// How much of it is used, in its unit: bytes for memory.
    pub used: u64,
    /// How much there is; 0 if no source gave a reading.
    pub limit: u64,
    /// The share that is used, in per cent.
    pub percent: f64,
    /// Whether the throttle is closed.
    pub throttled: bool,
    /// How often it closed.
    pub throttles: u64,
    /// How often it opened again.
    pub releases: u64,
    /// How often `admit` and its kin let somebody in. Items of runs are not counted.
    pub admitted: u64,
    /// How often `admit` and its kin ended in an error.
    pub refused: u64,
    /// Tasks, threads and runs that wait in line now.
    pub waiting: usize,
    /// The time that all who waited have waited together, those in line now not included.
    pub waited_total: Duration,
    /// How long it was closed, the present time included.
    pub throttled_total: Duration,
    /// How often the sources were read.
    pub samples: u64,
    /// Readings of single sources that told nothing; a panic of one counts here.
    pub silent: u64,
}
