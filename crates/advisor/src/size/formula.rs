//! [`SizeFormula`]: a pool's size from its configured maximum and how much of it is used.

use crate::numbers::ceil_u32;

/// A least and a greatest size, with `1 <= min <= max` always.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct SizeRange {
    min: u32,
    max: u32,
}

impl SizeRange {
    /// A range of at least one: `max` is raised to 1, then `min` is brought into `1..=max`.
    #[must_use]
    pub fn new(min: u32, max: u32) -> Self {
        let max = max.max(1);
        Self {
            min: min.clamp(1, max),
            max,
        }
    }

    /// The least size, at least 1 and at most [`max`](Self::max).
    #[must_use]
    pub fn min(self) -> u32 {
        self.min
    }

    /// The greatest size, at least 1.
    #[must_use]
    pub fn max(self) -> u32 {
        self.max
    }
}

/// The originals' rule of thumb.
///
/// Above 80 % utilisation the maximum becomes one and a half times, the minimum half the configured
/// maximum. Below 30 % they become 0.7 times (at least 10) and 0.3 times (at least 5) the
/// configured maximum, but a pool that is hardly used is never told to grow. In between nothing
/// changes.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields, default)
)]
pub struct SizeFormula {
    /// The utilisation, as a fraction, above which the pool should grow.
    pub grow_above: f64,
    /// The utilisation below which it should shrink.
    pub shrink_below: f64,
    /// No suggestion is larger than this: what the other end can bear.
    pub ceiling: u32,
}

impl Default for SizeFormula {
    fn default() -> Self {
        Self {
            grow_above: 0.8,
            shrink_below: 0.3,
            ceiling: u32::MAX,
        }
    }
}

impl SizeFormula {
    /// A size for a pool configured with this minimum and maximum. Utilisation is a fraction; when
    /// it is not a number, nothing is known and nothing changes.
    #[doc(alias = "suggest_pool_size")]
    #[must_use]
    pub fn suggest(&self, utilisation: f64, min: u32, max: u32) -> SizeRange {
        let configured = f64::from(max);
        let (min, max) = if utilisation > self.grow_above {
            (ceil_u32(0.5 * configured), ceil_u32(1.5 * configured))
        } else if utilisation < self.shrink_below {
            let smaller = ceil_u32(0.7 * configured).max(10).min(max);
            (ceil_u32(0.3 * configured).max(5), smaller)
        } else {
            (min, max)
        };
        SizeRange::new(min, max.min(self.ceiling))
    }
}
