//! [`BatcherBuilder`]: the settings of a batcher, checked once.

use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use brolly_sync::{Spawn, Task, ThreadTimer, Timer};

use super::Batcher;
use super::cell::Yield;
use super::error::BatchError;
use super::shared::{Config, Hooks, Joiner, Shared};
use super::turn::{self, Turn};
use crate::config::checked_concurrency;
use crate::error::ConfigError;

/// Settings for a [`Batcher`]; see [`Batcher::builder`].
#[must_use = "a builder does nothing until it builds"]
pub struct BatcherBuilder<K, V, E, P = ()> {
    config: Config,
    hooks: Hooks<K, V, P>,
    timer: Option<Arc<dyn Timer>>,
    _error: std::marker::PhantomData<fn() -> E>,
}

impl<K, V, E> BatcherBuilder<K, V, E> {
    pub(super) fn new() -> Self {
        Self {
            config: Config {
                max_size: 100,
                max_bytes: usize::MAX,
                linger: Duration::from_millis(1),
                idle: None,
                eager: false,
                max_in_flight: 4,
                capacity: 10_000,
                max_partitions: 1_024,
            },
            hooks: Hooks {
                weigher: None,
                partition: Box::new(|_| ()),
                is_partitioned: false,
                joiner: None,
            },
            timer: None,
            _error: std::marker::PhantomData,
        }
    }
}

impl<K, V, E, P> BatcherBuilder<K, V, E, P> {
    /// A batch with so many keys starts at once; 1 to 1,048,576, at first 100. One is a batcher
    /// that does not batch.
    pub fn max_size(mut self, keys: usize) -> Self {
        self.config.max_size = keys;
        self
    }

    /// The most that the keys of one batch may weigh together, by the [`weigher`](Self::weigher);
    /// at first, as much as they like.
    ///
    /// A batch that reaches it starts at once, and so does one that the next key would make too
    /// heavy. A key that is heavier by itself goes alone.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.config.max_bytes = bytes;
        self
    }

    /// What a key weighs. Called once for each call, on the caller's side, outside of all locks.
    pub fn weigher(mut self, weigher: impl Fn(&K) -> usize + Send + Sync + 'static) -> Self {
        self.hooks.weigher = Some(Box::new(weigher));
        self
    }

    /// How long a batch waits for more keys, counted from its first one; at first 1 ms.
    ///
    /// With zero it waits until its task is first run, so whoever can run before that may join.
    /// With [`Duration::MAX`] time alone never starts it.
    pub fn linger(mut self, linger: Duration) -> Self {
        self.config.linger = linger;
        self
    }

    /// Starts a batch before its linger is over if nobody came for this long; at first not set.
    ///
    /// Costs a look at the clock for each call.
    pub fn idle(mut self, idle: Duration) -> Self {
        self.config.idle = Some(idle);
        self
    }

    /// Whether the oldest open batch starts as soon as nothing is in flight; at first not.
    ///
    /// A lone call then does not linger at all, and calls gather while others are in flight.
    pub fn eager(mut self, eager: bool) -> Self {
        self.config.eager = eager;
        self
    }

    /// How many batches may be in flight at once; 1 to 1,048,576, at first 4. Others wait for
    /// their turn in the order in which they were complete.
    pub fn max_in_flight(mut self, batches: usize) -> Self {
        self.config.max_in_flight = batches;
        self
    }

    /// How many keys may wait for their batch to start; at least 1, at first 10,000. Further
    /// callers stand in line, and while they do nobody lingers.
    pub fn capacity(mut self, keys: usize) -> Self {
        self.config.capacity = keys;
        self
    }

    /// How many partitions may have an open batch at once; 1 to 1,048,576, at first 1,024. One more
    /// starts the oldest open batch.
    pub fn max_partitions(mut self, partitions: usize) -> Self {
        self.config.max_partitions = partitions;
        self
    }

    /// Whether a call joins an equal key that is in the open batch of its partition already, so
    /// that the bulk function gets the key once; at first not.
    ///
    /// Each caller gets a clone of the value. Keys of batches that take no more keys are not
    /// joined: their values might be older than the call.
    pub fn join_duplicates(mut self, join: bool) -> Self
    where
        K: Hash + Eq,
        V: Clone,
    {
        self.hooks.joiner = join.then(Joiner::new);
        self
    }

    /// By what time to linger; at first by a [`ThreadTimer`] of its own.
    pub fn timer(mut self, timer: impl Timer + 'static) -> Self {
        self.timer = Some(Arc::new(timer));
        self
    }

    /// Keeps keys apart: a batch holds keys of one partition. Called once for each call, on the
    /// caller's side, outside of all locks.
    pub fn partition_by<Q: Hash + Eq>(
        self,
        partition: impl Fn(&K) -> Q + Send + Sync + 'static,
    ) -> BatcherBuilder<K, V, E, Q> {
        BatcherBuilder {
            config: self.config,
            hooks: Hooks {
                weigher: self.hooks.weigher,
                partition: Box::new(partition),
                is_partitioned: true,
                joiner: self.hooks.joiner,
            },
            timer: self.timer,
            _error: self._error,
        }
    }
}

impl<K, V, E, P> BatcherBuilder<K, V, E, P>
where
    K: Send + 'static,
    V: Send + 'static,
    E: Send + Sync + 'static,
    P: Hash + Eq + Send + 'static,
{
    /// A batcher over a function that returns one value for each key, in the order of the keys, or
    /// fails for all of them. Nothing is spawned before the first call.
    ///
    /// Every batch is one task of the spawner. Keys of one batch are never fewer than one nor more
    /// than `max_size`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`] names a setting outside of its range, [`ConfigError::Missing`]
    /// one that another needs.
    pub fn build<F, R>(
        self,
        spawner: impl Spawn + 'static,
        bulk: F,
    ) -> Result<Batcher<K, V, E, P>, ConfigError>
    where
        F: Fn(Vec<K>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Vec<V>, E>> + Send + 'static,
    {
        self.build_with(spawner, bulk, |values| match values {
            Ok(values) => Yield::Values(values),
            Err(error) => Yield::Failed(BatchError::Failed(Arc::new(error))),
        })
    }

    /// A batcher over a function that returns a result for each key, in the order of the keys.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build).
    pub fn build_each<F, R>(
        self,
        spawner: impl Spawn + 'static,
        bulk: F,
    ) -> Result<Batcher<K, V, E, P>, ConfigError>
    where
        F: Fn(Vec<K>) -> R + Send + Sync + 'static,
        R: Future<Output = Vec<Result<V, E>>> + Send + 'static,
    {
        self.build_with(spawner, bulk, |results| {
            let failed = |error| BatchError::Failed(Arc::new(error));
            let answers = results.into_iter().map(|result| result.map_err(failed));
            Yield::Each(answers.collect())
        })
    }

    fn build_with<F, R>(
        self,
        spawner: impl Spawn + 'static,
        bulk: F,
        read: fn(R::Output) -> Yield<V, E>,
    ) -> Result<Batcher<K, V, E, P>, ConfigError>
    where
        F: Fn(Vec<K>) -> R + Send + Sync + 'static,
        R: Future<Output: 'static> + Send + 'static,
    {
        self.check()?;
        let bulk = Arc::new(bulk);
        let run = move |turn: Turn<K, V, E, P>| {
            let bulk = Arc::clone(&bulk);
            Box::pin(turn::run(turn, move |keys| bulk(keys), read)) as Task
        };
        let timer = self.timer.unwrap_or_else(|| Arc::new(ThreadTimer::new()));
        let shared = Shared::new(
            self.config,
            self.hooks,
            timer,
            Box::new(spawner),
            Box::new(run),
        );
        Ok(Batcher::new(shared))
    }

    fn check(&self) -> Result<(), ConfigError> {
        let config = &self.config;
        checked_concurrency("max_size", config.max_size)?;
        checked_concurrency("max_in_flight", config.max_in_flight)?;
        checked_concurrency("max_partitions", config.max_partitions)?;
        for (field, value) in [
            ("max_bytes", config.max_bytes),
            ("capacity", config.capacity),
        ] {
            if value == 0 {
                return Err(ConfigError::OutOfRange {
                    field,
                    value,
                    min: 1,
                    max: usize::MAX,
                });
            }
        }
        if config.max_bytes != usize::MAX && self.hooks.weigher.is_none() {
            return Err(ConfigError::Missing {
                field: "weigher",
                needed_by: "max_bytes",
            });
        }
        Ok(())
    }
}

impl<K, V, E, P> fmt::Debug for BatcherBuilder<K, V, E, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatcherBuilder")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
