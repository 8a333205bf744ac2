//! [`AdaptiveLimitBuilder`]: the bounds, the algorithm and the clock of an adaptive limit.

use std::sync::Arc;

use brolly_sync::{Clock, SystemClock};

use super::AdaptiveLimit;
use super::algorithm::LimitAlgorithm;
use crate::config::{checked_concurrency, checked_size};
use crate::error::ConfigError;

/// Collects the settings of an [`AdaptiveLimit`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it builds"]
pub struct AdaptiveLimitBuilder {
    min: usize,
    max: usize,
    initial: Option<usize>,
    window: usize,
    algorithm: LimitAlgorithm,
    clock: Option<Arc<dyn Clock>>,
}

impl AdaptiveLimitBuilder {
    pub(super) fn new() -> Self {
        Self {
            min: 1,
            max: 1024,
            initial: None,
            window: 10,
            algorithm: LimitAlgorithm::default(),
            clock: None,
        }
    }

    /// The least the limit may become: 1 to 1,048,576; 1 unless set. What weighs more must not be
    /// asked for: see [`acquire_many`](crate::WorkerPool::acquire_many).
    pub fn min(mut self, limit: usize) -> Self {
        self.min = limit;
        self
    }

    /// The most the limit may become: `min` to 1,048,576; 1,024 unless set.
    pub fn max(mut self, limit: usize) -> Self {
        self.max = limit;
        self
    }

    /// The limit to begin with: `min` to `max`; 10 unless set, or whichever of them is nearer.
    pub fn initial(mut self, limit: usize) -> Self {
        self.initial = Some(limit);
        self
    }

    /// The least number of successes to decide by: 1 to 1,048,576; 10 unless set. A window has as
    /// many as the limit, if that is more.
    pub fn window(mut self, samples: usize) -> Self {
        self.window = samples;
        self
    }

    /// How the limit is found; by [`Gradient`](super::Gradient) unless set.
    pub fn algorithm(mut self, algorithm: impl Into<LimitAlgorithm>) -> Self {
        self.algorithm = algorithm.into();
        self
    }

    /// The clock that latencies are taken from; the system's unless set.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the setting, its value and what is allowed.
    pub fn build(self) -> Result<AdaptiveLimit, ConfigError> {
        let min = checked_concurrency("min", self.min)?;
        let max = checked_concurrency("max", self.max)?;
        checked_size("max", max, min..=1 << 20)?;
        let initial = self.initial.unwrap_or(10.clamp(min, max));
        checked_size("initial", initial, min..=max)?;
        checked_size("window", self.window, 1..=1 << 20)?;
        self.algorithm.check()?;
        let clock = self
            .clock
            .unwrap_or_else(|| Arc::new(SystemClock::new()) as Arc<dyn Clock>);
        AdaptiveLimit::new((min, max, initial), self.window, self.algorithm, clock)
    }
}
