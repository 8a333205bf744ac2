//! [`Rules`]: the settings of a lazy value as plain data, their defaults, and what is refused.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use brolly_sync::{Backoff, Clock, NanoClock, Spawn, ThreadTimer, Timer};

use crate::error::ConfigError;
use crate::standing::Spans;

/// The settings. `None` switches a rule off.
#[derive(Clone, Default)]
pub(crate) struct Rules {
    pub(crate) spans: Spans,
    /// So long a loader's error is given to later callers instead of asking the loader again.
    pub(crate) cache_errors_for: Option<Duration>,
    /// How long a load may take, all its attempts together.
    pub(crate) load_timeout: Option<Duration>,
    pub(crate) retry: Option<Retry>,
    pub(crate) clock: Option<Arc<dyn Clock>>,
    /// What retries and timeouts wait with.
    pub(crate) timer: Option<Arc<dyn Timer>>,
    /// What runs loads that nobody waits for.
    pub(crate) spawner: Option<Arc<dyn Spawn>>,
}

/// How often a loader is called before its error counts.
#[derive(Clone, Debug)]
pub(crate) struct Retry {
    /// The first one included.
    pub(crate) attempts: u32,
    pub(crate) backoff: Backoff,
}

const POSITIVE: &str = "more than zero";

impl Rules {
    /// Refuses what is out of its range, and adds a timer if one is needed.
    pub(crate) fn check(mut self) -> Result<Self, ConfigError> {
        let spans = &self.spans;
        let durations = [
            ("time_to_live", spans.time_to_live),
            ("refresh_after", spans.refresh_after),
            ("stale_while_revalidate", spans.stale_while_revalidate),
            ("stale_if_error", spans.stale_if_error),
            ("cache_errors_for", self.cache_errors_for),
            ("load_timeout", self.load_timeout),
        ];
        for (field, duration) in durations {
            if let Some(value) = duration
                && value.is_zero()
            {
                return Err(ConfigError::new(field, value, POSITIVE));
            }
        }
        if let (Some(due), Some(end)) = (spans.refresh_after, spans.time_to_live)
            && due >= end
        {
            let allowed = "less than time_to_live";
            return Err(ConfigError::new("refresh_after", due, allowed));
        }
        if spans.time_to_live.is_none() {
            let allowed = "only beside a time_to_live";
            let stale = [
                ("stale_while_revalidate", spans.stale_while_revalidate),
                ("stale_if_error", spans.stale_if_error),
            ];
            for (field, duration) in stale {
                if let Some(value) = duration {
                    return Err(ConfigError::new(field, value, allowed));
                }
            }
        }
        if let Some(retry) = &self.retry
            && retry.attempts == 0
        {
            return Err(ConfigError::new("retry", retry.attempts, "1 or more"));
        }
        if self.timer.is_none() && (self.load_timeout.is_some() || self.retry.is_some()) {
            self.timer = Some(Arc::new(ThreadTimer::new()));
        }
        Ok(self)
    }

    /// What the age of values is measured by.
    pub(crate) fn time(&self) -> NanoClock {
        match &self.clock {
            Some(clock) => NanoClock::new(Arc::clone(clock)),
            None => NanoClock::system(),
        }
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("spans", &self.spans)
            .field("cache_errors_for", &self.cache_errors_for)
            .field("load_timeout", &self.load_timeout)
            .field("retry", &self.retry)
            .field("clock", &self.clock)
            .field("timer", &self.timer)
            .field("spawner", &self.spawner.is_some())
            .finish()
    }
}
