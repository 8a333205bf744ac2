//! [`SteadyTime`]: a time that never runs backwards, made from one that may.

use std::time::Duration;

/// The caller's time without its steps back: a step back counts as no time passing, and time goes
/// on from there.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SteadyTime {
    /// What the caller last said; none before the first time.
    last: Option<Duration>,
    now: Duration,
}

impl SteadyTime {
    /// Moves on to the caller's `at`, by no more than `longest_step`, and returns the steady time.
    pub(crate) fn advance(&mut self, at: Duration, longest_step: Duration) -> Duration {
        let passed = match self.last {
            Some(last) => at.saturating_sub(last).min(longest_step),
            None => Duration::ZERO,
        };
        self.last = Some(at);
        self.now = self.now.saturating_add(passed);
        self.now
    }
}
