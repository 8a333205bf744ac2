//! [`DurationEstimates`]: how long nodes took in earlier runs, by name.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use brolly_sync::{Clock, SystemClock};

use crate::error::ConfigError;
use crate::primitive::{Mutex, lock};

const DEFAULT_CAPACITY: usize = 10_000;
const MAX_CAPACITY: usize = 1 << 24;
const DEFAULT_NEWEST_PERCENT: usize = 30;

/// Durations of nodes, learnt from runs, that let later runs start the longest path first.
///
/// Give it to [`DagRunner::estimates`](crate::DagRunner::estimates): before the run it weighs the
/// nodes, and after the run it has learnt how long those took that succeeded. Nodes it does not
/// know weigh as much as the median of those of the graph that it does. Estimates change the order
/// in which ready nodes start and nothing else.
///
/// An estimate is an exponentially weighted moving average. No more than `capacity` names are
/// kept; those that were longest not seen go first. One value may serve any number of runs at the
/// same time, and is locked only to be read before and written after a run.
///
/// ```
/// use std::time::Duration;
/// use brolly_batch::{Dag, DurationEstimates};
///
/// let estimates = DurationEstimates::builder().newest_percent(50).build()?;
/// estimates.record(&"lint", Duration::from_secs(4));
/// estimates.record(&"lint", Duration::from_secs(8));
/// assert_eq!(estimates.get(&"lint"), Some(Duration::from_secs(6)));
///
/// let plan = Dag::from_dependencies([("test", vec![]), ("lint", vec![])])?;
/// plan.runner().estimates(&estimates).run_blocking(|_| Ok::<_, ()>(()))?;
/// assert!(estimates.get(&"test").is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct DurationEstimates<K> {
    capacity: usize,
    newest_percent: u64,
    clock: Arc<dyn Clock>,
    known: Mutex<Known<K>>,
}

/// What a [`DurationEstimates`] knows, as plain data to be kept between runs of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
#[non_exhaustive]
pub struct EstimatesSnapshot<K> {
    /// Those that were longest not seen first.
    pub nodes: Vec<NodeEstimate<K>>,
}

/// One node of an [`EstimatesSnapshot`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
#[non_exhaustive]
pub struct NodeEstimate<K> {
    /// Its name.
    pub key: K,
    /// How long it is expected to take.
    pub duration: Duration,
}

/// Collects the settings of a [`DurationEstimates`].
#[must_use = "a builder does nothing until it builds"]
pub struct DurationEstimatesBuilder<K> {
    capacity: usize,
    newest_percent: usize,
    clock: Option<Arc<dyn Clock>>,
    key: PhantomData<fn() -> K>,
}

impl<K> DurationEstimatesBuilder<K> {
    /// The most names that are kept: 1 to 16,777,216; 10,000 unless set.
    pub fn capacity(mut self, capacity: usize) -> Self {
        self.capacity = capacity;
        self
    }

    /// How much of a new estimate is the newest duration, in percent: 1 to 100; 30 unless set.
    pub fn newest_percent(mut self, percent: usize) -> Self {
        self.newest_percent = percent;
        self
    }

    /// The clock that runs are measured by; the system's monotonic one unless set.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`] names the setting, its value and what is allowed.
    pub fn build(self) -> Result<DurationEstimates<K>, ConfigError> {
        let in_range = |field, value, max| match value {
            1.. if value <= max => Ok(value),
            _ => Err(ConfigError::OutOfRange {
                field,
                value,
                min: 1,
                max,
            }),
        };
        let newest_percent = in_range("newest_percent", self.newest_percent, 100)?;
        Ok(DurationEstimates {
            capacity: in_range("capacity", self.capacity, MAX_CAPACITY)?,
            newest_percent: newest_percent as u64,
            clock: self.clock.unwrap_or_else(|| Arc::new(SystemClock::new())),
            known: Mutex::new(Known {
                by_key: HashMap::new(),
                now: 0,
            }),
        })
    }
}

impl<K> fmt::Debug for DurationEstimatesBuilder<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DurationEstimatesBuilder")
            .field("capacity", &self.capacity)
            .field("newest_percent", &self.newest_percent)
            .finish_non_exhaustive()
    }
}

/// Names are shared, so that the lock is never held while one is cloned or dropped.
struct Known<K> {
    by_key: HashMap<Arc<K>, Estimate>,
    /// Counts records; orders the names by when they were last seen.
    now: u64,
}

#[derive(Clone, Copy)]
struct Estimate {
    nanos: u64,
    last_seen: u64,
}

impl<K> DurationEstimates<K> {
    /// Sets up an empty memory.
    pub fn builder() -> DurationEstimatesBuilder<K> {
        DurationEstimatesBuilder {
            capacity: DEFAULT_CAPACITY,
            newest_percent: DEFAULT_NEWEST_PERCENT,
            clock: None,
            key: PhantomData,
        }
    }

    /// How many names are known.
    #[must_use]
    pub fn len(&self) -> usize {
        lock(&self.known).by_key.len()
    }

    /// Whether no name is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The most names that are kept.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Forgets everything.
    pub fn clear(&self) {
        let forgotten = mem::take(&mut lock(&self.known).by_key);
        drop(forgotten);
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }
}

impl<K: Eq + Hash> DurationEstimates<K> {
    /// How long the node is expected to take, or `None` if it was never seen.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<Duration> {
        let known = lock(&self.known);
        let estimate = known.by_key.get(key);
        estimate.map(|estimate| Duration::from_nanos(estimate.nanos))
    }

    /// What each of these nodes is expected to take, in nanoseconds, at least 1: the median of the
    /// known ones for those that are not. `None` if none of them is known.
    pub(crate) fn weights(&self, keys: &[K]) -> Option<Vec<u64>> {
        let weights: Vec<Option<u64>> = {
            let known = lock(&self.known);
            let nanos = |key| known.by_key.get(key).map(|estimate| estimate.nanos.max(1));
            keys.iter().map(nanos).collect()
        };
        let mut sorted: Vec<u64> = weights.iter().flatten().copied().collect();
        if sorted.is_empty() {
            return None;
        }
        let middle = sorted.len() / 2;
        let (_, &mut median, _) = sorted.select_nth_unstable(middle);
        let weights = weights.into_iter();
        Some(weights.map(|known| known.unwrap_or(median)).collect())
    }
}

impl<K: Clone + Eq + Hash> DurationEstimates<K> {
    /// Learns that a node took this long.
    pub fn record(&self, key: &K, duration: Duration) {
        self.record_all([(key, duration)]);
    }

    /// Learns from many nodes under one lock; of more than `capacity`, from the last ones. Linear
    /// in the nodes, and in the names that are known if some have to go.
    pub fn record_all<'k>(&self, durations: impl IntoIterator<Item = (&'k K, Duration)>)
    where
        K: 'k,
    {
        let mut seen: Vec<(&K, Duration)> = durations.into_iter().collect();
        let surplus = seen.len().saturating_sub(self.capacity);
        seen.drain(..surplus);
        let is_new: Vec<bool> = {
            let known = lock(&self.known);
            let is_new = |(key, _): &(&K, _)| !known.by_key.contains_key(*key);
            seen.iter().map(is_new).collect()
        };
        let names = seen.iter().zip(is_new);
        let names: Vec<Option<Arc<K>>> = names
            .map(|(&(key, _), is_new)| is_new.then(|| Arc::new(key.clone())))
            .collect();
        let seen = seen.into_iter().zip(names);

        let mut known = lock(&self.known);
        let mut left_over = Vec::new();
        for ((key, duration), name) in seen {
            let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
            known.now += 1;
            let last_seen = known.now;
            match (known.by_key.get_mut(key), name) {
                (Some(estimate), name) => {
                    estimate.learn(nanos, self.newest_percent);
                    estimate.last_seen = last_seen;
                    left_over.extend(name); // named twice, or by another run in the meantime
                }
                (None, Some(name)) => {
                    let estimate = Estimate { nanos, last_seen };
                    known.by_key.insert(name, estimate);
                }
                (None, None) => {} // crowded out by another run in the meantime
            }
        }
        left_over.extend(known.shrink_to(self.capacity));
        drop(known);
        drop(left_over);
    }

    /// A copy as plain data, those that were longest not seen first.
    #[must_use]
    pub fn snapshot(&self) -> EstimatesSnapshot<K> {
        let mut names: Vec<(Arc<K>, Estimate)> = {
            let known = lock(&self.known);
            let all = known.by_key.iter();
            all.map(|(name, estimate)| (Arc::clone(name), *estimate))
                .collect()
        };
        names.sort_unstable_by_key(|(_, estimate)| estimate.last_seen);
        let node = |(name, estimate): (Arc<K>, Estimate)| NodeEstimate {
            key: K::clone(&name),
            duration: Duration::from_nanos(estimate.nanos),
        };
        EstimatesSnapshot {
            nodes: names.into_iter().map(node).collect(),
        }
    }

    /// Forgets everything and takes over a copy; of more than `capacity` names, the last ones.
    pub fn restore(&self, snapshot: &EstimatesSnapshot<K>) {
        self.clear();
        let nodes = snapshot.nodes.iter();
        self.record_all(nodes.map(|node| (&node.key, node.duration)));
    }
}

impl<K: Eq + Hash> Known<K> {
    /// Takes out the names that were longest not seen, until `capacity` are left.
    fn shrink_to(&mut self, capacity: usize) -> Vec<Arc<K>> {
        let surplus = self.by_key.len().saturating_sub(capacity);
        if surplus == 0 {
            return Vec::new();
        }
        let mut ages: Vec<u64> = self.by_key.values().map(|known| known.last_seen).collect();
        let (_, &mut newest_to_go, _) = ages.select_nth_unstable(surplus - 1);
        let goes = |_: &Arc<K>, known: &mut Estimate| known.last_seen <= newest_to_go;
        let gone = self.by_key.extract_if(goes);
        gone.map(|(name, _)| name).collect()
    }
}

impl Estimate {
    fn learn(&mut self, nanos: u64, newest_percent: u64) {
        let [old, new, percent] = [self.nanos, nanos, newest_percent].map(u128::from);
        let mean = (old * (100 - percent) + new * percent) / 100;
        self.nanos = u64::try_from(mean).expect("a mean of two values is none of them exceeded");
    }
}

impl<K> fmt::Debug for DurationEstimates<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DurationEstimates")
            .field("len", &self.len())
            .field("capacity", &self.capacity)
            .field("newest_percent", &self.newest_percent)
            .finish_non_exhaustive()
    }
}
