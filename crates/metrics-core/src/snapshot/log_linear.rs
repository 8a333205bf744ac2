//! The arithmetic of log-linear buckets: from a value to its bucket and back.
//!
//! Every power of two is cut into `2^precision` buckets of equal width, so a bucket is at most
//! `2^-precision` of its values wide, and its middle is at most half of that away from any of
//! them. Small values, below `2^(precision + 1)`, have a bucket each. The scheme is that of
//! HdrHistogram and of the H2 histogram of Rezolus; it needs no floating point and no search.

use std::ops::RangeInclusive;

/// How finely powers of two are cut: `2^precision` buckets each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Precision(u8);

impl Precision {
    /// The coarsest: 4 buckets a power of two, quantiles within 12.5 %.
    pub const MIN: Self = Self(2);
    /// The finest: 4,096 buckets a power of two, quantiles within 0.013 %.
    pub const MAX: Self = Self(12);
    /// 64 buckets a power of two, quantiles within 0.8 %.
    pub const DEFAULT: Self = Self(6);

    /// The precision of `bits` bits, from [`MIN`](Self::MIN) to [`MAX`](Self::MAX).
    #[must_use]
    pub const fn new(bits: u8) -> Option<Self> {
        if bits < Self::MIN.0 || bits > Self::MAX.0 {
            return None;
        }
        Some(Self(bits))
    }

    /// The precision in bits.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The most by which a reported quantile differs from the sample it stands for, as a fraction
    /// of it.
    #[must_use]
    pub fn relative_error(self) -> f64 {
        0.5 / f64::from(1u32 << self.0)
    }

    /// Buckets in a block: the values of one power of two.
    pub(crate) const fn block_len(self) -> usize {
        1 << self.0
    }

    /// Blocks that cover every `u64`.
    pub(crate) const fn blocks(self) -> usize {
        65 - self.0 as usize
    }

    /// The bucket of a value. Buckets are numbered in the order of their values.
    pub(crate) const fn index_of(self, value: u64) -> usize {
        self.scale().index_of(value)
    }

    /// What finds buckets.
    pub(crate) const fn scale(self) -> Scale {
        Scale {
            bits: self.0 as u32,
            block_len: 1 << self.0,
        }
    }

    /// The values of a bucket.
    pub(crate) const fn values_of(self, index: usize) -> RangeInclusive<u64> {
        let bits = self.0 as u32;
        // Blocks 0 and 1 both hold values that have a bucket each.
        let shift = (index >> bits).saturating_sub(1) as u32;
        let low = ((index - ((shift as usize) << bits)) as u64) << shift;
        low..=low + ((1 << shift) - 1)
    }

    /// The value that stands for all values of a bucket: its middle.
    pub(crate) const fn middle_of(self, index: usize) -> u64 {
        let values = self.values_of(index);
        *values.start() + (*values.end() - *values.start()) / 2
    }
}

impl Default for Precision {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A precision with its power of two worked out: a shift by a variable is dear on processors of
/// the x86-64 baseline, and this leaves one of three.
#[derive(Clone, Copy)]
pub(crate) struct Scale {
    bits: u32,
    block_len: u32,
}

impl Scale {
    /// The bucket of a value.
    #[inline]
    pub(crate) const fn index_of(self, value: u64) -> usize {
        let exponent = 63 - (value | self.block_len as u64).leading_zeros();
        let shift = exponent - self.bits;
        (shift * self.block_len) as usize + (value >> shift) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_touch_and_cover_every_value() {
        for bits in Precision::MIN.0..=Precision::MAX.0 {
            let precision = Precision::new(bits).expect("in range");
            let mut next = 0u64;
            let last = precision.blocks() * precision.block_len() - 1;
            for index in 0..=last {
                let values = precision.values_of(index);
                assert_eq!(*values.start(), next, "{bits} {index}");
                assert_eq!(precision.index_of(*values.start()), index);
                assert_eq!(precision.index_of(*values.end()), index);
                next = values.end().wrapping_add(1);
            }
            assert_eq!(next, 0, "the last bucket ends with the last value");
        }
    }

    #[test]
    fn the_middle_is_within_the_stated_error() {
        for bits in Precision::MIN.0..=Precision::MAX.0 {
            let precision = Precision::new(bits).expect("in range");
            for index in 0..precision.blocks() * precision.block_len() {
                let middle = precision.middle_of(index) as f64;
                let values = precision.values_of(index);
                for value in [*values.start(), *values.end()] {
                    let error = (middle - value as f64).abs();
                    assert!(error <= value as f64 * precision.relative_error());
                }
            }
        }
    }
}
