//! [`HistogramSnapshot`]: a distribution as plain data, with quantiles, merging and differences.

use crate::error::{MergeError, QuantileError};
use crate::recording::shards::Totals;
use crate::snapshot::buckets::Buckets;
use crate::unit::Unit;

/// A distribution at one moment.
///
/// Values are whole multiples ("steps") of the unit's resolution. The count is the sum of the
/// buckets: there is no second number that could disagree.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramSnapshot {
    unit: Unit,
    buckets: Buckets,
    /// Bucket number and samples in it; sorted, and only what is not empty.
    counts: Vec<(u32, u64)>,
    sum: u128,
    /// The extremes; meaningless while there are no counts.
    min: u64,
    max: u64,
    rejected: u64,
}

impl HistogramSnapshot {
    /// A distribution without samples.
    #[must_use]
    pub fn empty(unit: Unit, buckets: Buckets) -> Self {
        Self {
            unit,
            buckets,
            counts: Vec::new(),
            sum: 0,
            min: 0,
            max: 0,
            rejected: 0,
        }
    }

    /// The distribution of these samples, in the unit. What is negative or not finite is rejected
    /// and counted.
    #[must_use]
    pub fn of(unit: Unit, buckets: Buckets, samples: impl IntoIterator<Item = f64>) -> Self {
        let mut all = std::collections::BTreeMap::new();
        let mut this = Self::empty(unit, buckets);
        this.min = u64::MAX;
        for sample in samples {
            let Some(steps) = unit.to_steps(sample) else {
                this.rejected += 1;
                continue;
            };
            let index = this.buckets.index_of(steps) as u32;
            *all.entry(index).or_insert(0u64) += 1;
            this.sum += u128::from(steps);
            this.min = this.min.min(steps);
            this.max = this.max.max(steps);
        }
        if all.is_empty() {
            this.min = 0;
        }
        this.counts = all.into_iter().collect();
        this
    }

    /// Replaces its samples by what shards hold together.
    pub(crate) fn refill(&mut self, totals: &Totals, rejected: u64) {
        self.counts.clear();
        self.counts.extend(totals.counts());
        self.sum = totals.sum;
        (self.min, self.max) = totals.extremes.unwrap_or_default();
        self.rejected = rejected;
    }

    /// How many samples there are: the sum of the buckets.
    #[must_use]
    pub fn count(&self) -> u64 {
        let counts = self.counts.iter().map(|(_, count)| *count);
        counts.fold(0, u64::saturating_add)
    }

    /// The sum of all samples, in the unit.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.sum as f64 / self.unit.steps() as f64
    }

    /// The mean of all samples; none when there are none.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        match self.count() {
            0 => None,
            count => Some(self.sum() / count as f64),
        }
    }

    /// The smallest sample, exactly; none when there are none.
    #[must_use]
    pub fn min(&self) -> Option<f64> {
        (!self.counts.is_empty()).then(|| self.unit.in_units(self.min))
    }

    /// The largest sample, exactly; none when there are none.
    #[must_use]
    pub fn max(&self) -> Option<f64> {
        (!self.counts.is_empty()).then(|| self.unit.in_units(self.max))
    }

    /// Samples refused because they were negative or not finite.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.rejected
    }

    /// What its values are counted in.
    #[must_use]
    pub fn unit(&self) -> Unit {
        self.unit
    }

    /// How its values are grouped.
    #[must_use]
    pub fn buckets(&self) -> &Buckets {
        &self.buckets
    }

    /// The value below which the fraction `q` of the samples lies; none when there are none.
    ///
    /// The answer stands for the sample of rank `ceil(q × count)` and lies in its bucket and
    /// within the exact extremes. With log-linear buckets it is off by at most
    /// [`Precision::relative_error`](crate::Precision::relative_error) of that sample (and half a
    /// step), with explicit ones by at most the width of the bucket.
    ///
    /// # Errors
    ///
    /// When `q` is not within 0 and 1.
    pub fn quantile(&self, q: f64) -> Result<Option<f64>, QuantileError> {
        if !(0.0..=1.0).contains(&q) {
            return Err(QuantileError { q });
        }
        let count = self.count();
        let rank = ((q * count as f64).ceil() as u64).clamp(1, count.max(1));
        let mut below = 0u64;
        for &(index, samples) in &self.counts {
            let through = below.saturating_add(samples);
            if through >= rank {
                let steps = self.stands_for(index as usize, rank - below, samples);
                let steps = steps.min(self.max).max(self.min);
                return Ok(Some(self.unit.in_units(steps)));
            }
            below = through;
        }
        Ok(None)
    }

    /// Adds the samples of another distribution. Exact, and the same in any order.
    ///
    /// # Errors
    ///
    /// When the two group or measure their values differently; nothing is changed then.
    pub fn merge(&mut self, other: &Self) -> Result<(), MergeError> {
        self.check_mergeable(other)?;
        self.rejected = self.rejected.saturating_add(other.rejected);
        if other.counts.is_empty() {
            return Ok(());
        }
        if self.counts.is_empty() {
            (self.min, self.max) = (other.min, other.max);
        }
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.sum = self.sum.saturating_add(other.sum);
        self.counts = union(&self.counts, &other.counts);
        Ok(())
    }

    /// What was recorded after an earlier snapshot of the same histogram.
    ///
    /// When the histogram [was reset](Self::was_reset_since) in between, that is all it holds. The
    /// extremes are exact where they were reached in between, and else those of the buckets.
    ///
    /// # Errors
    ///
    /// When the two group or measure their values differently.
    pub fn since(&self, earlier: &Self) -> Result<Self, MergeError> {
        self.check_mergeable(earlier)?;
        if self.was_reset_since(earlier) {
            return Ok(self.clone());
        }
        let mut before = earlier.counts.iter().peekable();
        let grown = self.counts.iter().filter_map(|&(index, count)| {
            let same = before.next_if(|(earlier, _)| *earlier == index);
            let more = count - same.map_or(0, |(_, earlier)| *earlier);
            (more > 0).then_some((index, more))
        });
        let counts: Vec<(u32, u64)> = grown.collect();
        let (min, max) = match (counts.first(), counts.last()) {
            (Some(&(first, _)), Some(&(last, _))) => {
                let had_none = earlier.counts.is_empty();
                let low = *self.buckets.values_of(first as usize).start();
                let high = *self.buckets.values_of(last as usize).end();
                let is_new_min = had_none || self.min < earlier.min;
                let is_new_max = had_none || self.max > earlier.max;
                (
                    if is_new_min {
                        self.min
                    } else {
                        low.max(self.min)
                    },
                    if is_new_max {
                        self.max
                    } else {
                        high.min(self.max)
                    },
                )
            }
            _ => (0, 0),
        };
        Ok(Self {
            unit: self.unit,
            buckets: self.buckets.clone(),
            counts,
            sum: self.sum - earlier.sum,
            min,
            max,
            rejected: self.rejected.saturating_sub(earlier.rejected),
        })
    }

    /// Whether the histogram was reset after an earlier snapshot of it: whether something is
    /// smaller now that can only grow.
    #[must_use]
    pub fn was_reset_since(&self, earlier: &Self) -> bool {
        let mut now = self.counts.iter().peekable();
        let has_fewer = earlier.counts.iter().any(|&(index, count)| {
            while now.next_if(|(ours, _)| *ours < index).is_some() {}
            now.next_if(|(ours, _)| *ours == index)
                .is_none_or(|(_, ours)| *ours < count)
        });
        has_fewer || self.sum < earlier.sum
    }

    /// How many samples are at most `le`, as far as the buckets tell: those in buckets that end
    /// there or below. Exact when `le` is an explicit bound.
    #[must_use]
    pub fn cumulative(&self, le: f64) -> u64 {
        let Some(nearest) = self.unit.to_steps(le) else {
            return if le > 0.0 { self.count() } else { 0 };
        };
        // A bound that was given may lie between two steps, and ends its bucket all the same.
        let is_bound = match &self.buckets {
            Buckets::LogLinear(_) => false,
            Buckets::Explicit(bounds) => bounds.values().contains(&le),
        };
        let is_above = !is_bound && self.unit.in_units(nearest) > le;
        let Some(steps) = nearest.checked_sub(u64::from(is_above)) else {
            return 0;
        };
        let ends_below = |index: u32| *self.buckets.values_of(index as usize).end() <= steps;
        let counts = self.counts.iter();
        let below = counts.take_while(|(index, _)| ends_below(*index));
        below.fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// What it holds, as whole steps.
    #[cfg(feature = "serde")]
    pub(crate) fn steps(&self) -> Steps {
        Steps {
            counts: self.counts.clone(),
            sum: self.sum,
            min: self.min,
            max: self.max,
        }
    }

    /// A distribution that holds this. The buckets are sorted, exist and are not empty.
    #[cfg(feature = "serde")]
    pub(crate) fn of_steps(unit: Unit, buckets: Buckets, steps: Steps, rejected: u64) -> Self {
        Self {
            unit,
            buckets,
            counts: steps.counts,
            sum: steps.sum,
            min: steps.min,
            max: steps.max,
            rejected,
        }
    }

    /// Whether the two group and measure their values alike.
    pub(crate) fn check_mergeable(&self, other: &Self) -> Result<(), MergeError> {
        if self.unit != other.unit {
            return Err(MergeError::Units {
                ours: self.unit,
                theirs: other.unit,
            });
        }
        if self.buckets != other.buckets {
            return Err(MergeError::Buckets);
        }
        Ok(())
    }

    /// How many samples are at most each bound: each explicit one, or with log-linear buckets each
    /// of `ladder`, in steps, which should be upper edges of buckets.
    pub(crate) fn cumulative_counts<'a>(
        &'a self,
        ladder: &'a [u64],
    ) -> impl Iterator<Item = u64> + 'a {
        let bounds = match &self.buckets {
            Buckets::LogLinear(_) => ladder.len(),
            Buckets::Explicit(bounds) => bounds.values().len(),
        };
        let mut counts = self.counts.iter().peekable();
        let mut below = 0u64;
        (0..bounds).map(move |position| {
            let last = match &self.buckets {
                Buckets::LogLinear(precision) => precision.index_of(ladder[position]),
                Buckets::Explicit(_) => position,
            };
            while let Some((_, count)) = counts.next_if(|(index, _)| *index as usize <= last) {
                below = below.saturating_add(*count);
            }
            below
        })
    }

    /// The value that stands for the sample of this rank within a bucket, from 1.
    fn stands_for(&self, index: usize, rank: u64, samples: u64) -> u64 {
        match &self.buckets {
            Buckets::LogLinear(precision) => precision.middle_of(index),
            Buckets::Explicit(_) => {
                let values = self.buckets.values_of(index);
                let low = (*values.start()).max(self.min);
                let high = (*values.end()).min(self.max);
                let share = rank as f64 / samples as f64;
                low.saturating_add((high.saturating_sub(low) as f64 * share) as u64)
            }
        }
    }
}

/// What a distribution holds, as whole steps of its unit's resolution.
#[cfg(feature = "serde")]
pub(crate) struct Steps {
    pub(crate) counts: Vec<(u32, u64)>,
    pub(crate) sum: u128,
    pub(crate) min: u64,
    pub(crate) max: u64,
}

/// The sum of two sorted lists of counts.
fn union(a: &[(u32, u64)], b: &[(u32, u64)]) -> Vec<(u32, u64)> {
    let mut all = Vec::with_capacity(a.len().max(b.len()));
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    while let (Some(&&(left, ours)), Some(&&(right, theirs))) = (a.peek(), b.peek()) {
        all.push((left.min(right), 0));
        let last = all.last_mut().map(|(_, count)| count);
        let last = last.expect("it was pushed just above");
        if left <= right {
            *last = ours;
            a.next();
        }
        if right <= left {
            *last = last.saturating_add(theirs);
            b.next();
        }
    }
    all.extend(a.chain(b).copied());
    all
}
