//! [`WorkersBuilder`]: how a set of workers is to be, checked once when it is built.

use std::fmt;
use std::sync::Arc;

use brolly_sync::{Clock, NanoClock, Spawn, Task, ThreadTimer, Timer, block_on};

use crate::error::ConfigError;
use crate::workers::Workers;

/// The most workers there may be.
const MOST_WORKERS: usize = 4096;
/// The most jobs that may wait.
const LONGEST_QUEUE: usize = 1 << 24;

/// How a set of [`Workers`] is to be. Made by [`Workers::builder`].
#[must_use = "nothing is built yet"]
pub struct WorkersBuilder {
    pub(super) name: Arc<str>,
    pub(super) min_workers: usize,
    pub(super) max_workers: usize,
    pub(super) queue: usize,
    clock: Option<Arc<dyn Clock>>,
    timer: Option<Arc<dyn Timer>>,
    spawner: Option<Arc<dyn Spawn>>,
}

/// The outer world of a set of workers.
pub(super) struct World {
    pub(super) clock: NanoClock,
    pub(super) timer: Arc<dyn Timer>,
    pub(super) spawner: Arc<dyn Spawn>,
}

impl Default for WorkersBuilder {
    fn default() -> Self {
        Self {
            name: Arc::from("workers"),
            min_workers: 1,
            max_workers: 10,
            queue: 1024,
            clock: None,
            timer: None,
            spawner: None,
        }
    }
}

impl WorkersBuilder {
    /// What the workers are called: the name of their threads. By default `workers`.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = name.into();
        self
    }

    /// How few workers there may be, from 1 to the maximum; it begins with so many. By default 1.
    pub fn min_workers(mut self, min: usize) -> Self {
        self.min_workers = min;
        self
    }

    /// How many workers there may be, up to 4096. By default 10.
    pub fn max_workers(mut self, max: usize) -> Self {
        self.max_workers = max;
        self
    }

    /// How many jobs may wait, from 1 to 2^24. By default 1024.
    pub fn queue(mut self, queue: usize) -> Self {
        self.queue = queue;
        self
    }

    /// By which clock jobs are timed. By default the system's.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// By which timer the end is waited for. By default a thread of `brolly-sync`.
    pub fn timer(mut self, timer: impl Timer + 'static) -> Self {
        self.timer = Some(Arc::new(timer));
        self
    }

    /// Who runs the workers, each of which is one task. By default each is a thread.
    pub fn spawner(mut self, spawner: impl Spawn + 'static) -> Self {
        self.spawner = Some(Arc::new(spawner));
        self
    }

    /// A set of workers that has not been started.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when a setting is out of its range.
    pub fn build(self) -> Result<Workers, ConfigError> {
        let Self {
            min_workers: min,
            max_workers: max,
            queue,
            ..
        } = self;
        if !(1..=MOST_WORKERS).contains(&max) {
            return Err(ConfigError::new("max_workers", max, "1 to 4096"));
        }
        if !(1..=max).contains(&min) {
            return Err(ConfigError::new("min_workers", min, "1 to max_workers"));
        }
        if !(1..=LONGEST_QUEUE).contains(&queue) {
            return Err(ConfigError::new("queue", queue, "1 to 16777216"));
        }
        let world = World {
            clock: self
                .clock
                .clone()
                .map_or_else(NanoClock::system, NanoClock::new),
            timer: self
                .timer
                .clone()
                .unwrap_or_else(|| Arc::new(ThreadTimer::new())),
            spawner: self.spawner.clone().unwrap_or_else(|| threads(&self.name)),
        };
        Ok(Workers::new(self, world))
    }
}

/// A thread for each task. One that cannot be had drops the task.
fn threads(name: &str) -> Arc<dyn Spawn> {
    let name = name.replace('\0', "");
    Arc::new(move |task: Task| {
        let builder = std::thread::Builder::new().name(name.clone());
        drop(builder.spawn(move || block_on(task)));
    })
}

impl fmt::Debug for WorkersBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkersBuilder")
            .field("name", &self.name)
            .field("min_workers", &self.min_workers)
            .field("max_workers", &self.max_workers)
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}
