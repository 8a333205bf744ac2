//! [`Buckets`]: how a histogram groups its values.

use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::error::BucketsError;
use crate::snapshot::log_linear::Precision;
use crate::unit::Unit;

/// How a histogram groups its values.
#[derive(Clone, Debug, PartialEq)]
pub enum Buckets {
    /// Log-linear buckets over the whole range: quantiles within a known relative error.
    LogLinear(Precision),
    /// Buckets that end at these bounds, and one for what is above the last.
    Explicit(Bounds),
}

impl Default for Buckets {
    fn default() -> Self {
        Self::LogLinear(Precision::DEFAULT)
    }
}

impl Buckets {
    /// The bucket of a value in steps.
    #[inline]
    pub(crate) fn index_of(&self, steps: u64) -> usize {
        match self {
            Self::LogLinear(precision) => precision.index_of(steps),
            Self::Explicit(bounds) => bounds.index_of(steps),
        }
    }

    /// The values of a bucket, in steps.
    pub(crate) fn values_of(&self, index: usize) -> RangeInclusive<u64> {
        match self {
            Self::LogLinear(precision) => precision.values_of(index),
            Self::Explicit(bounds) => bounds.values_of(index),
        }
    }

    /// How many buckets there are.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::LogLinear(precision) => precision.blocks() * precision.block_len(),
            Self::Explicit(bounds) => bounds.values.len() + 1,
        }
    }
}

/// Upper bounds of buckets: finite, strictly increasing, at least one. A bound belongs to the
/// bucket it ends.
#[derive(Clone, Debug)]
pub struct Bounds {
    values: Arc<[f64]>,
    steps: Arc<[u64]>,
}

impl Bounds {
    /// Most bounds that a histogram may have.
    pub const MAX_LEN: usize = 512;

    /// Bounds in the unit of the histogram they are for.
    ///
    /// # Errors
    ///
    /// When there are none or more than [`MAX_LEN`](Self::MAX_LEN), when one is negative, not
    /// finite or too large for the unit, or when they do not increase by at least one step of the
    /// unit's resolution.
    pub fn new(unit: Unit, bounds: &[f64]) -> Result<Self, BucketsError> {
        if bounds.is_empty() {
            return Err(BucketsError::Empty);
        }
        if bounds.len() > Self::MAX_LEN {
            return Err(BucketsError::TooMany {
                count: bounds.len(),
                max: Self::MAX_LEN,
            });
        }
        let mut steps: Vec<u64> = Vec::with_capacity(bounds.len());
        for (position, &value) in bounds.iter().enumerate() {
            let Some(step) = unit.to_steps(value).filter(|step| *step < u64::MAX) else {
                return Err(BucketsError::OutOfRange {
                    position,
                    value,
                    max: unit.in_units(u64::MAX),
                });
            };
            if let Some(before) = position.checked_sub(1)
                && steps[before] >= step
            {
                return Err(BucketsError::NotIncreasing {
                    position,
                    value,
                    before: bounds[before],
                });
            }
            steps.push(step);
        }
        Ok(Self {
            values: bounds.into(),
            steps: steps.into(),
        })
    }

    /// The bounds, as they were given.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    pub(crate) fn index_of(&self, steps: u64) -> usize {
        self.steps.partition_point(|bound| *bound < steps)
    }

    fn values_of(&self, index: usize) -> RangeInclusive<u64> {
        let low = match index.checked_sub(1) {
            Some(before) => self.steps[before] + 1,
            None => 0,
        };
        low..=self.steps.get(index).copied().unwrap_or(u64::MAX)
    }
}

impl PartialEq for Bounds {
    fn eq(&self, other: &Self) -> bool {
        self.steps == other.steps
    }
}
