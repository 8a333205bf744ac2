//! [`Histogram`]: a distribution of values.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::primitive::AtomicU64;
use crate::recording::local;
use crate::recording::numbers::Numbers;
use crate::recording::shards::{Home, Totals};
use crate::snapshot::buckets::Buckets;
use crate::snapshot::histogram::HistogramSnapshot;
use crate::snapshot::log_linear::Scale;
use crate::unit::Unit;

/// A distribution of values, such as how long requests took.
///
/// Recording costs a handful of loads and stores in a shard of the calling thread; threads never
/// wait for each other. Reading adds the shards up.
///
/// Values are kept as whole steps of the unit's resolution, so sums and extremes are exact; see
/// [`Buckets`] for how exactly quantiles are known. Clones record together.
#[derive(Clone)]
pub struct Histogram {
    number: u32,
    unit: Unit,
    /// Finds log-linear buckets; none for explicit ones.
    scale: Option<Scale>,
    core: Arc<Core>,
}

struct Core {
    number: usize,
    home: Arc<Home>,
    buckets: Buckets,
    rejected: AtomicU64,
}

impl Histogram {
    pub(crate) fn new(unit: Unit, buckets: Buckets) -> Self {
        let (number, home) = HOMES.take(buckets.len());
        Self {
            // A home that has no shards needs no number that is told from others without.
            number: u32::try_from(number).unwrap_or(u32::MAX),
            unit,
            scale: match &buckets {
                Buckets::LogLinear(precision) => Some(precision.scale()),
                Buckets::Explicit(_) => None,
            },
            core: Arc::new(Core {
                number,
                home,
                buckets,
                rejected: AtomicU64::new(0),
            }),
        }
    }

    /// Records a value in the histogram's unit, rounded to the nearest step of its resolution.
    ///
    /// What is negative or not finite is refused and counted as rejected; what is beyond the last
    /// step counts as the last.
    #[inline]
    pub fn observe(&self, value: f64) {
        match self.unit.to_steps(value) {
            Some(steps) => self.record_raw(steps),
            None => self.reject(),
        }
    }

    /// Records a duration, in seconds. In a histogram of seconds, to the nanosecond.
    #[inline]
    pub fn observe_duration(&self, duration: Duration) {
        match self.unit {
            Unit::Seconds => {
                self.record_raw(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
            }
            _ => self.observe(duration.as_secs_f64()),
        }
    }

    /// Records a value that is already counted in steps of the unit's resolution: nanoseconds in a
    /// histogram of seconds, bytes in one of bytes, millionths in one without a unit.
    #[inline]
    pub fn record_raw(&self, steps: u64) {
        // Everything else is looked at once the thread has been asked for its own: what is held
        // meanwhile has to be saved.
        if !local::record(|shards| {
            shards.record(self.number as usize, self.bucket_of(steps), steps)
        }) {
            self.record_first(steps);
        }
    }

    #[inline]
    fn bucket_of(&self, steps: u64) -> usize {
        match self.scale {
            Some(scale) => scale.index_of(steps),
            None => self.bucket_in_bounds(steps),
        }
    }

    /// Not inlined: the search would weigh on what needs none.
    #[inline(never)]
    fn bucket_in_bounds(&self, steps: u64) -> usize {
        self.core.buckets.index_of(steps)
    }

    /// Records where something is to be done first; see [`local::record_first`].
    #[cold]
    #[inline(never)]
    fn record_first(&self, steps: u64) {
        let bucket = self.bucket_of(steps);
        let home = &self.core.home;
        if !local::record_first(self.number as usize, home, bucket, steps) {
            home.record_retired(bucket, steps);
        }
    }

    /// What was recorded so far.
    #[must_use]
    pub fn snapshot(&self) -> HistogramSnapshot {
        let mut snapshot = HistogramSnapshot::empty(self.unit, self.core.buckets.clone());
        self.read(&mut snapshot, &mut Totals::default());
        snapshot
    }

    /// Replaces the samples of a snapshot of this unit and these buckets. Allocates nothing when
    /// it has room.
    pub(crate) fn read(&self, snapshot: &mut HistogramSnapshot, totals: &mut Totals) {
        self.core.home.read(totals);
        snapshot.refill(totals, self.core.rejected.load(Relaxed));
    }

    #[cold]
    fn reject(&self) {
        self.core.rejected.fetch_add(1, Relaxed);
    }

    /// Forgets everything.
    pub(crate) fn reset(&self) {
        self.core.home.reset();
        self.core.rejected.store(0, Relaxed);
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let snapshot = self.snapshot();
        f.debug_struct("Histogram")
            .field("count", &snapshot.count())
            .field("sum", &snapshot.sum())
            .finish_non_exhaustive()
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        HOMES.give_back(self.number, self.buckets.len(), Arc::clone(&self.home));
    }
}

/// The homes of the process.
///
/// A home whose histogram is gone is kept for the next one of the same length, since threads may
/// still hold shards of it.
struct Homes(Mutex<Option<HomesState>>);

struct HomesState {
    numbers: Numbers,
    free: HashMap<usize, Vec<(usize, Arc<Home>)>>,
}

static HOMES: Homes = Homes(Mutex::new(None));

impl Homes {
    /// A home without samples for this many buckets, and its number.
    fn take(&self, buckets: usize) -> (usize, Arc<Home>) {
        self.with(|homes| {
            let free = homes.free.get_mut(&buckets).and_then(Vec::pop);
            free.unwrap_or_else(|| (homes.numbers.take(), Arc::new(Home::new(buckets))))
        })
    }

    fn give_back(&self, number: usize, buckets: usize, home: Arc<Home>) {
        home.reset();
        self.with(|homes| homes.free.entry(buckets).or_default().push((number, home)));
    }

    fn with<R>(&self, act: impl FnOnce(&mut HomesState) -> R) -> R {
        let mut homes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        act(homes.get_or_insert_with(|| HomesState {
            numbers: Numbers::new(),
            free: HashMap::new(),
        }))
    }
}
