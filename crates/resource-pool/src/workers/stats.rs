//! [`WorkerStats`]: how a set of workers does; [`StopReport`]: what its end was like.

use std::time::Duration;

/// What a set of workers is up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum WorkerState {
    /// It has not been started; jobs wait.
    Pending,
    /// As many workers are there as were asked for.
    Running,
    /// There are fewer: some could not be started, or what ran them has gone.
    Degraded,
    /// No more jobs are taken; those that were are being done.
    Stopping,
    /// Nobody works any more.
    Stopped,
}

/// How a set of workers does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct WorkerStats {
    /// What it is up to.
    pub state: WorkerState,
    /// How many workers were asked for.
    pub asked: usize,
    /// How many there are.
    pub total: usize,
    /// How many of them are at work.
    pub active: usize,
    /// How many jobs wait.
    pub queued: usize,
    /// How many jobs went well.
    pub completed: u64,
    /// How many failed or panicked.
    pub failed: u64,
    /// How many were dropped before their end.
    pub dropped: u64,
    /// How many workers were dropped by what ran them, or could not be started.
    pub lost: u64,
    /// How long a job took that went well or failed, in the mean; none has, if there is none.
    pub average_duration: Option<Duration>,
}

/// What the end of a set of workers was like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct StopReport {
    /// How long was waited.
    pub waited: Duration,
    /// How many jobs were dropped that had not been begun.
    pub unstarted: usize,
    /// How many were still under way. They are dropped when their futures are looked at the next time;
    /// one that blocks its thread goes on until it does not.
    pub running: usize,
}

impl StopReport {
    /// Whether every job came to its end.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.unstarted == 0 && self.running == 0
    }
}
