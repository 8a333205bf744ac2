//! Handles on the recording path for the loom models: a thread is a value here, and dropping it
//! is its end.

use std::sync::Arc;

use crate::recording::cells::{Group, LocalCells};
use crate::recording::shards::{Home, LocalShards, Totals};
use crate::snapshot::buckets::Buckets;

/// A thread: what it keeps, until it is dropped.
#[allow(missing_debug_implementations, reason = "only the models see it")]
pub struct Thread {
    cells: LocalCells,
    shards: LocalShards,
}

impl Thread {
    /// A thread that has recorded nothing.
    #[allow(clippy::new_without_default, reason = "only the models see it")]
    pub fn new() -> Self {
        Self {
            cells: LocalCells::new(),
            shards: LocalShards::new(),
        }
    }
}

/// A counter.
#[derive(Clone)]
#[allow(missing_debug_implementations, reason = "only the models see it")]
pub struct Total(Arc<Group>);

impl Total {
    /// A counter at zero.
    #[allow(clippy::new_without_default, reason = "only the models see it")]
    pub fn new() -> Self {
        Self(Arc::new(Group::new()))
    }

    /// Adds, as a thread.
    pub fn add(&self, thread: &Thread, by: u64) {
        assert!(thread.cells.add(0, by) || thread.cells.add_first(0, &self.0, by));
    }

    /// Reads.
    pub fn value(&self) -> u64 {
        self.0.total(0)
    }

    /// Starts again at zero.
    pub fn reset(&self) {
        self.0.reset(0);
    }
}

/// A distribution.
#[derive(Clone)]
#[allow(missing_debug_implementations, reason = "only the models see it")]
pub struct Distribution(Arc<Home>);

/// What a distribution holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Samples, by adding up the buckets.
    pub count: u64,
    /// Their sum.
    pub sum: u128,
    /// The least and the most.
    pub extremes: Option<(u64, u64)>,
}

impl Distribution {
    /// A distribution of a few small numbers.
    #[allow(clippy::new_without_default, reason = "only the models see it")]
    pub fn new() -> Self {
        Self(Arc::new(Home::new(4)))
    }

    /// Records a number below four, as a thread.
    pub fn record(&self, thread: &Thread, value: u64) {
        let bucket = Buckets::default().index_of(value);
        assert!(
            thread.shards.record(0, bucket, value)
                || thread.shards.record_first(0, &self.0, bucket, value)
        );
    }

    /// Reads.
    pub fn read(&self) -> Seen {
        let mut totals = Totals::default();
        self.0.read(&mut totals);
        Seen {
            count: totals.counts().map(|(_, count)| count).sum(),
            sum: totals.sum,
            extremes: totals.extremes,
        }
    }

    /// Forgets everything.
    pub fn reset(&self) {
        self.0.reset();
    }
}
