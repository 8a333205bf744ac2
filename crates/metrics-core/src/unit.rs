//! [`Unit`]: what the values of a metric are counted in.

/// What the values of a metric are counted in.
///
/// A histogram counts whole multiples of its unit's [`resolution`](Self::resolution), so that sums
/// are exact and merging gives the same answer in any order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Unit {
    /// A plain number, kept to a millionth.
    #[default]
    None,
    /// Seconds, kept to the nanosecond.
    Seconds,
    /// Whole bytes.
    Bytes,
    /// A fraction of one, kept to a billionth.
    Ratio,
}

impl Unit {
    /// The smallest difference that a histogram of this unit keeps.
    #[must_use]
    pub const fn resolution(self) -> f64 {
        match self {
            Self::None => 1e-6,
            Self::Seconds | Self::Ratio => 1e-9,
            Self::Bytes => 1.0,
        }
    }

    /// How many steps of the resolution make one unit.
    #[must_use]
    pub const fn steps(self) -> u64 {
        match self {
            Self::None => 1_000_000,
            Self::Seconds | Self::Ratio => 1_000_000_000,
            Self::Bytes => 1,
        }
    }

    /// What the total of a counter is in this unit: counters count whole numbers, and those of
    /// seconds count nanoseconds.
    #[must_use]
    pub fn counted(self, total: u64) -> f64 {
        match self {
            Self::Seconds => self.in_units(total),
            Self::None | Self::Bytes | Self::Ratio => total as f64,
        }
    }

    /// The name that Prometheus and OpenMetrics give it; empty for a plain number.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Seconds => "seconds",
            Self::Bytes => "bytes",
            Self::Ratio => "ratio",
        }
    }

    /// A value as whole steps, rounded to the nearest (halves to even) and saturated; none for what a distribution
    /// cannot hold: what is negative or not finite.
    #[inline]
    pub(crate) fn to_steps(self, value: f64) -> Option<u64> {
        let scaled = value * self.steps() as f64;
        if (0.0..WHOLE).contains(&scaled) {
            // Adding moves the fraction out of the number and the rest to its last bits.
            return Some((scaled + WHOLE).to_bits() - WHOLE.to_bits());
        }
        // From here on there are no fractions, and the cast saturates.
        (0.0..f64::INFINITY)
            .contains(&value)
            .then_some(scaled as u64)
    }

    pub(crate) fn in_units(self, steps: u64) -> f64 {
        steps as f64 / self.steps() as f64
    }
}

/// Numbers from here on have no fraction.
const WHOLE: f64 = (1u64 << (f64::MANTISSA_DIGITS - 1)) as f64;
