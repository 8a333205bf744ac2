//! The settings of a pool as plain data, their defaults, and what is refused.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use brolly_sync::{Backoff, Clock, Jitter, NanoClock, Spawn, Timer};

use crate::error::ConfigError;
use crate::places::idle_set;
use crate::time::nano_clock;

/// The most resources a pool may have.
pub(crate) const MOST: usize = 65_536;

/// When an idle resource is checked before it is handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Check {
    /// Whenever it was used since the last check.
    Always,
    /// When it has been idle for so long.
    IfIdleFor(Duration),
    /// Never at checkout; the periodic check goes on.
    Never,
}

/// Who is told when a creation fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnCreateError {
    /// Who has waited longest is told at once; everybody who waits, where the pool has no resource
    /// that could still come back to them.
    #[default]
    FailFast,
    /// Nobody, unless the manager says that another attempt is of no use: attempts go on, with
    /// pauses, and those who run out of time are told the last error.
    RetryUntilDeadline,
}

/// Which of several idle resources is handed out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Order {
    /// The same few as often as possible, so that those beyond the need become idle and are closed.
    #[default]
    #[doc(alias = "lifo")]
    HotFirst,
    /// Each in turn.
    #[doc(alias = "fifo")]
    RoundRobin,
}

/// The settings but for what knows the type of the resource. `None` switches a rule off.
#[derive(Clone)]
pub(crate) struct Rules {
    pub(crate) name: Arc<str>,
    pub(crate) max_size: usize,
    pub(crate) min_size: usize,
    pub(crate) min_idle: usize,
    pub(crate) acquire_timeout: Option<Duration>,
    pub(crate) create_timeout: Duration,
    pub(crate) check_timeout: Duration,
    pub(crate) close_timeout: Duration,
    pub(crate) check: Check,
    pub(crate) health_interval: Option<Duration>,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) evictions_per_tick: Option<usize>,
    pub(crate) max_lifetime: Option<Duration>,
    pub(crate) lifetime_jitter: f64,
    pub(crate) max_uses: Option<u64>,
    pub(crate) create_concurrency: usize,
    pub(crate) backoff: Option<Backoff>,
    pub(crate) on_create_error: OnCreateError,
    pub(crate) leak_after: Option<Duration>,
    pub(crate) lease_timeout: Option<Duration>,
    pub(crate) keep_after_panic: bool,
    pub(crate) order: Order,
    pub(crate) shards: Option<usize>,
    pub(crate) clock: Option<Arc<dyn Clock>>,
    pub(crate) timer: Option<Arc<dyn Timer>>,
    pub(crate) spawner: Option<Arc<dyn Spawn>>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            name: Arc::from("pool"),
            max_size: 20,
            min_size: 5,
            min_idle: 0,
            acquire_timeout: Some(Duration::from_secs(30)),
            create_timeout: Duration::from_secs(30),
            check_timeout: Duration::from_secs(5),
            close_timeout: Duration::from_secs(5),
            check: Check::IfIdleFor(Duration::from_millis(500)),
            health_interval: Some(Duration::from_secs(60)),
            idle_timeout: Some(Duration::from_secs(300)),
            evictions_per_tick: None,
            max_lifetime: Some(Duration::from_secs(1800)),
            lifetime_jitter: 0.1,
            max_uses: None,
            create_concurrency: 8,
            backoff: None,
            on_create_error: OnCreateError::default(),
            leak_after: Some(Duration::from_secs(3600)),
            lease_timeout: None,
            keep_after_panic: false,
            order: Order::default(),
            shards: None,
            clock: None,
            timer: None,
            spawner: None,
        }
    }
}

const POSITIVE: &str = "more than zero";

impl Rules {
    /// Refuses what is out of its range. A minimum that was not set follows a smaller maximum.
    pub(crate) fn check(mut self, min_was_set: bool) -> Result<Self, ConfigError> {
        if !min_was_set {
            self.min_size = self.min_size.min(self.max_size);
        }
        check_sizes(self.min_size, self.max_size)?;
        if self.min_idle > self.max_size {
            let value = self.min_idle;
            return Err(ConfigError::new("min_idle", value, "0 to max_size"));
        }
        if self.evictions_per_tick == Some(0) {
            return Err(ConfigError::new("evictions_per_tick", 0, "1 or more"));
        }
        let idle_check = match self.check {
            Check::IfIdleFor(duration) => Some(duration),
            Check::Always | Check::Never => None,
        };
        let durations = [
            ("acquire_timeout", self.acquire_timeout),
            ("create_timeout", Some(self.create_timeout)),
            ("check_timeout", Some(self.check_timeout)),
            ("close_timeout", Some(self.close_timeout)),
            ("check", idle_check),
            ("health_interval", self.health_interval),
            ("idle_timeout", self.idle_timeout),
            ("max_lifetime", self.max_lifetime),
            ("leak_after", self.leak_after),
            ("lease_timeout", self.lease_timeout),
        ];
        for (field, duration) in durations {
            if let Some(value) = duration
                && value.is_zero()
            {
                return Err(ConfigError::new(field, value, POSITIVE));
            }
        }
        if !(0.0..=0.5).contains(&self.lifetime_jitter) {
            let value = self.lifetime_jitter;
            return Err(ConfigError::new("lifetime_jitter", value, "0 to 0.5"));
        }
        if self.max_uses == Some(0) {
            return Err(ConfigError::new("max_uses", 0, "1 or more"));
        }
        if self.create_concurrency == 0 {
            return Err(ConfigError::new("create_concurrency", 0, "1 or more"));
        }
        if let Some(shards) = self.shards
            && !(1..=32).contains(&shards)
        {
            return Err(ConfigError::new("shards", shards, "1 to 32"));
        }
        Ok(self)
    }

    /// What ages are measured by.
    pub(crate) fn time(&self) -> NanoClock {
        match &self.clock {
            Some(clock) => nano_clock(Arc::clone(clock)),
            None => NanoClock::system(),
        }
    }

    /// Pauses of 50 ms, doubled up to 5 s, of which at most half is cut off at random: seven
    /// attempts in the first 1.5 s.
    pub(crate) fn pauses(&self) -> Backoff {
        let given = self.backoff.as_ref().map(Backoff::fresh);
        given.unwrap_or_else(|| {
            let builder = Backoff::builder().initial(Duration::from_millis(50));
            let builder = builder.max(Duration::from_secs(5)).jitter(Jitter::Equal);
            builder
                .build()
                .expect("these settings are within their ranges")
        })
    }

    /// One bank for each four processors, as long as each has a few places: a word that eight
    /// processors write is slower than two words.
    pub(crate) fn shards(&self) -> usize {
        self.shards.unwrap_or_else(|| {
            let processors = std::thread::available_parallelism().map_or(1, |it| it.get());
            (processors / 4).min(self.max_size / 8).clamp(1, 16)
        })
    }
}

pub(crate) fn check_sizes(min: usize, max: usize) -> Result<(), ConfigError> {
    const { assert!(MOST < idle_set::CAPACITY || cfg!(brolly_loom)) };
    if !(1..=MOST).contains(&max) {
        return Err(ConfigError::new("max_size", max, "1 to 65536"));
    }
    if min > max {
        return Err(ConfigError::new("min_size", min, "0 to max_size"));
    }
    Ok(())
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("name", &self.name)
            .field("min_size", &self.min_size)
            .field("max_size", &self.max_size)
            .field("acquire_timeout", &self.acquire_timeout)
            .field("check", &self.check)
            .field("idle_timeout", &self.idle_timeout)
            .field("max_lifetime", &self.max_lifetime)
            .field("spawner", &self.spawner.is_some())
            .finish_non_exhaustive()
    }
}
