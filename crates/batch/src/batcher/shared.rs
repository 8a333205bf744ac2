//! [`Shared`]: what all handles, callers and batches of a batcher have in common.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;
use std::time::Duration;

use brolly_sync::{Spawn, Task, Timer};

use super::cell::SharedBatch;
use super::foreign::contain;
use super::state::{After, State};
use super::turn::Turn;
use crate::primitive::{Mutex, lock};

/// Plain settings, checked by the builder.
#[derive(Clone, Debug)]
pub(super) struct Config {
    pub(super) max_size: usize,
    pub(super) max_bytes: usize,
    pub(super) linger: Duration,
    pub(super) idle: Option<Duration>,
    pub(super) eager: bool,
    pub(super) max_in_flight: usize,
    pub(super) capacity: usize,
    pub(super) max_partitions: usize,
}

/// A question about a key.
pub(super) type Ask<K, A> = Box<dyn Fn(&K) -> A + Send + Sync>;

/// What is asked about keys and values. All of it is foreign.
pub(super) struct Hooks<K, V, P> {
    pub(super) weigher: Option<Ask<K, usize>>,
    pub(super) partition: Ask<K, P>,
    /// Whether `partition` tells keys apart at all.
    pub(super) is_partitioned: bool,
    pub(super) joiner: Option<Joiner<K, V>>,
}

/// `Hash` and `Eq` of a key and `Clone` of a value, where equal keys are joined.
pub(super) struct Joiner<K, V> {
    pub(super) hash: fn(&RandomState, &K) -> u64,
    pub(super) same: fn(&K, &K) -> bool,
    pub(super) copy: fn(&V) -> V,
}

impl<K: Hash + Eq, V: Clone> Joiner<K, V> {
    pub(super) fn new() -> Self {
        Self {
            hash: |hasher, key| hasher.hash_one(key),
            same: |a, b| a == b,
            copy: V::clone,
        }
    }
}

/// A key on its way into a batch, with everything that foreign code had to say about it.
pub(super) struct Item<K, P> {
    key: Option<K>,
    partition: Option<P>,
    pub(super) key_hash: u64,
    pub(super) partition_hash: u64,
    pub(super) weight: usize,
    /// When it came, if the batcher wants to know.
    pub(super) arrived: Duration,
}

impl<K, P> Item<K, P> {
    pub(super) fn key(&self) -> &K {
        self.key.as_ref().expect(NOT_TAKEN)
    }

    pub(super) fn partition(&self) -> &P {
        self.partition.as_ref().expect(NOT_TAKEN)
    }

    pub(super) fn take_key(&mut self) -> K {
        self.key.take().expect(NOT_TAKEN)
    }

    pub(super) fn take_partition(&mut self) -> P {
        self.partition.take().expect(NOT_TAKEN)
    }
}

const NOT_TAKEN: &str = "an item is seated once";

type Run<K, V, E, P> = Box<dyn Fn(Turn<K, V, E, P>) -> Task + Send + Sync>;

pub(super) struct Shared<K, V, E, P> {
    pub(super) config: Config,
    pub(super) hooks: Hooks<K, V, P>,
    hasher: RandomState,
    pub(super) timer: Arc<dyn Timer>,
    spawner: Box<dyn Spawn>,
    /// Makes the task that lingers, runs the bulk function, and answers.
    run: Run<K, V, E, P>,
    state: Apart<Mutex<State<K, V, E, P>>>,
}

/// On cache lines of its own, so that those who change it do not slow down those who read what is
/// never changed.
#[repr(align(128))]
struct Apart<T>(T);

impl<K, V, E, P> Shared<K, V, E, P> {
    pub(super) fn new(
        config: Config,
        hooks: Hooks<K, V, P>,
        timer: Arc<dyn Timer>,
        spawner: Box<dyn Spawn>,
        run: Run<K, V, E, P>,
    ) -> Self {
        let same = hooks.joiner.as_ref().map(|joiner| joiner.same);
        Self {
            state: Apart(Mutex::new(State::new(config.clone(), same))),
            config,
            hooks,
            hasher: RandomState::new(),
            timer,
            spawner,
            run,
        }
    }

    /// Asks foreign code about a key. Panics if that does.
    pub(super) fn item(&self, key: K) -> Item<K, P>
    where
        P: Hash,
    {
        let hooks = &self.hooks;
        let partition = (hooks.partition)(&key);
        Item {
            key_hash: match &hooks.joiner {
                Some(joiner) => (joiner.hash)(&self.hasher, &key),
                None => 0,
            },
            partition_hash: match hooks.is_partitioned {
                true => self.hasher.hash_one(&partition),
                false => 0,
            },
            weight: hooks.weigher.as_ref().map_or(0, |weigher| weigher(&key)),
            arrived: Duration::ZERO,
            key: Some(key),
            partition: Some(partition),
        }
    }

    /// Reads the clock if arrivals matter.
    pub(super) fn arrival_time(&self) -> Duration {
        match self.config.idle {
            Some(_) => self.timer.now(),
            None => Duration::ZERO,
        }
    }

    /// Changes the state under its lock; what the change entails outside is done afterwards.
    pub(super) fn with<R>(
        &self,
        change: impl FnOnce(&mut State<K, V, E, P>, &mut After<K, P>) -> R,
    ) -> R {
        let mut after = After::new();
        let result = change(&mut lock(&self.state.0), &mut after);
        after.settle();
        result
    }

    /// Gives a new batch its task. Whatever goes wrong here drops the task, which tells its callers.
    pub(super) fn start(self: &Arc<Self>, batch: SharedBatch<K, V, E>) {
        let mut turn = Turn::new(Arc::clone(self), batch);
        let _ = contain(|| {
            turn.open();
            self.spawner.spawn((self.run)(turn));
        });
    }
}
