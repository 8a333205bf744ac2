//! [`Family`]: one metric, told apart by label values.

pub(crate) mod core;
pub(crate) mod index;
pub(crate) mod key;
pub(crate) mod recipe;
pub(crate) mod rows;
pub(crate) mod typed;

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::family::core::FamilyCore;
use crate::instrument::metric::Instrument;

/// One metric, told apart by the values of `N` labels.
///
/// The number of series is limited. Beyond the limit everything is recorded in one series whose
/// labels all read `overflow`, so totals stay right whatever the values are.
///
/// Clones are the same family.
pub struct Family<M, const N: usize> {
    core: Arc<FamilyCore>,
    instrument: PhantomData<fn() -> M>,
}

impl<M: Instrument, const N: usize> Family<M, N> {
    pub(crate) fn new(core: Arc<FamilyCore>) -> Self {
        Self {
            core,
            instrument: PhantomData,
        }
    }

    /// Calls `record` with the metric of these label values, in the order in which the labels were
    /// named.
    ///
    /// Where the values are known, this allocates nothing, takes no lock and writes nothing that
    /// other threads read.
    #[inline]
    pub fn with<R>(&self, values: [&str; N], record: impl FnOnce(&M) -> R) -> R {
        self.core.with(&values, |metric| {
            record(M::of(metric).expect("a family holds what its recipe makes"))
        })
    }

    /// The metric of these label values, to keep: the fastest where they stay the same.
    #[must_use]
    pub fn get(&self, values: [&str; N]) -> M {
        self.with(values, M::clone)
    }

    /// Forgets the series of these label values; false if there is none.
    ///
    /// Handles to it go on recording, unseen. Takes time in proportion to the number of series.
    pub fn remove(&self, values: [&str; N]) -> bool {
        self.core.remove(&values)
    }

    /// How many combinations of label values there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.core.len()
    }

    /// Whether nothing was looked up yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many lookups went to the series `overflow`, because the family was full.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.core.dropped()
    }
}

impl<M, const N: usize> Clone for Family<M, N> {
    fn clone(&self) -> Self {
        Self {
            core: Arc::clone(&self.core),
            instrument: PhantomData,
        }
    }
}

impl<M, const N: usize> fmt::Debug for Family<M, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Family")
            .field("name", &self.core.name)
            .field("series", &self.core.len())
            .finish_non_exhaustive()
    }
}
