//! [`ThrottleBuilder`]: the settings of a throttle.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use brolly_sync::{ThreadTimer, Timer};

use super::Throttle;
use super::event::ThrottleEvent;
use super::level::Level;
use super::pressure::Pressure;
use super::sampler::{Listener, Sampler, Source};
use crate::config::{checked_duration, checked_size};
use crate::error::ConfigError;

/// The settings of a [`Throttle`].
#[must_use = "a builder does nothing until it is built"]
pub struct ThrottleBuilder {
    enabled: bool,
    threshold_percent: u8,
    resume_percent: Option<u8>,
    max_wait: Duration,
    sample_interval: Duration,
    sources: Vec<Unchecked>,
    on_change: Option<Listener>,
    timer: Option<Arc<dyn Timer>>,
}

/// A source before its levels were checked.
struct Unchecked {
    pressure: Box<dyn Pressure>,
    /// The threshold and the resume level of its own, if it has them.
    levels: Option<(u8, u8)>,
}

/// Reading memory and cgroup a hundred times a second takes some thousandths of a core.
const LEAST_INTERVAL: Duration = Duration::from_millis(10);

impl ThrottleBuilder {
    pub(super) fn new() -> Self {
        Self {
            enabled: true,
            threshold_percent: 80,
            resume_percent: None,
            max_wait: Duration::from_secs(30),
            sample_interval: Duration::from_millis(100),
            sources: Vec::new(),
            on_change: None,
            timer: None,
        }
    }

    /// Whether the throttle is in use. Switched off, it admits at once and reads nothing.
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }

    /// Adds a source, held to [`threshold_percent`](Self::threshold_percent). Without any source a
    /// throttle is always open.
    pub fn source(mut self, source: impl Pressure + 'static) -> Self {
        self.sources.push(Unchecked {
            pressure: Box::new(source),
            levels: None,
        });
        self
    }

    /// Adds a source with a threshold and a resume level of its own, in per cent.
    pub fn source_with(
        mut self,
        source: impl Pressure + 'static,
        threshold_percent: u8,
        resume_percent: u8,
    ) -> Self {
        self.sources.push(Unchecked {
            pressure: Box::new(source),
            levels: Some((threshold_percent, resume_percent)),
        });
        self
    }

    /// The share at which the throttle closes, 0 to 100 per cent; 80 by default. 0 means that it is
    /// always closed, whatever the sources say.
    pub fn threshold_percent(mut self, threshold_percent: u8) -> Self {
        self.threshold_percent = threshold_percent;
        self
    }

    /// The share at which it opens again, at most the threshold; by default ten points below the
    /// threshold, or half of the threshold where that is more.
    pub fn resume_percent(mut self, resume_percent: u8) -> Self {
        self.resume_percent = Some(resume_percent);
        self
    }

    /// The longest that anybody waits; 30 seconds by default. 0 refuses at once.
    pub fn max_wait(mut self, max_wait: Duration) -> Self {
        self.max_wait = max_wait;
        self
    }

    /// How often the sources are read at most, and while somebody waits, how often; 10 ms or more,
    /// 100 ms by default.
    pub fn sample_interval(mut self, sample_interval: Duration) -> Self {
        self.sample_interval = sample_interval;
        self
    }

    /// Is told of each change, once and in order, on the thread that read the sources. While it
    /// runs, the sources are not read again. A panic in it is contained.
    pub fn on_change(mut self, listener: impl Fn(&ThrottleEvent) + Send + Sync + 'static) -> Self {
        self.on_change = Some(Box::new(listener));
        self
    }

    /// The clock and timer; by default the system's clock and a thread that starts with the first
    /// wait.
    pub fn timer(mut self, timer: impl Timer + 'static) -> Self {
        self.timer = Some(Arc::new(timer));
        self
    }

    /// The throttle, after a first reading.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if a setting is out of range.
    pub fn build(self) -> Result<Throttle, ConfigError> {
        let threshold = checked_percent("threshold_percent", self.threshold_percent, 100)?;
        let default = match self.resume_percent {
            None => Level::with_default_resume(threshold),
            Some(resume) => Level {
                threshold,
                resume: checked_percent("resume_percent", resume, threshold)?,
            },
        };
        let interval = checked_duration(
            "sample_interval",
            self.sample_interval,
            LEAST_INTERVAL..=Duration::MAX,
        )?;
        let mut sources = Vec::with_capacity(self.sources.len());
        if threshold == 0 && self.sources.iter().all(|source| source.levels.is_some()) {
            // Always closed means closed without a source that is held to it, too.
            sources.push(Source::new(Box::new(|| None), default));
        }
        for Unchecked { pressure, levels } in self.sources {
            let level = match levels {
                None => default,
                Some((threshold, resume)) => Level {
                    threshold: checked_percent("threshold_percent", threshold, 100)?,
                    resume: checked_percent("resume_percent", resume, threshold)?,
                },
            };
            sources.push(Source::new(pressure, level));
        }
        if !self.enabled {
            sources.clear();
        }
        let timer = self.timer.unwrap_or_else(|| Arc::new(ThreadTimer::new()));
        let times = (self.max_wait, interval);
        Ok(Throttle {
            sampler: Arc::new(Sampler::new(timer, times, sources, self.on_change)),
        })
    }
}

fn checked_percent(field: &'static str, value: u8, max: u8) -> Result<u8, ConfigError> {
    checked_size(field, value.into(), 0..=max.into())?;
    Ok(value)
}

impl fmt::Debug for ThrottleBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sources = self.sources.iter().map(|source| source.pressure.name());
        let sources: Vec<_> = sources.collect();
        f.debug_struct("ThrottleBuilder")
            .field("enabled", &self.enabled)
            .field("sources", &sources)
            .field("threshold_percent", &self.threshold_percent)
            .field("resume_percent", &self.resume_percent)
            .field("max_wait", &self.max_wait)
            .field("sample_interval", &self.sample_interval)
            .finish_non_exhaustive()
    }
}
