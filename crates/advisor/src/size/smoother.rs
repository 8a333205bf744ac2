//! [`SizeSmoother`]: the utilisation of the last minutes, so that a size is not suggested for a
//! moment.

use std::time::Duration;

use crate::numbers::fraction;
use crate::size::{SizeFormula, SizeRange};
use crate::trend::History;

/// How many intervals a window is made of.
const INTERVALS: u32 = 30;

/// The mean utilisation over a window of time, and the size that it suggests.
///
/// Times are what passed since any fixed moment of the caller's choice. Every interval of the
/// window counts the same, however often it was measured.
#[derive(Clone, Debug)]
pub struct SizeSmoother {
    formula: SizeFormula,
    history: History,
}

impl SizeSmoother {
    /// A smoother over this window, which is kept as 30 intervals of at least a millisecond.
    #[must_use]
    pub fn new(formula: SizeFormula, window: Duration) -> Self {
        Self {
            formula,
            history: History::new(window / INTERVALS, INTERVALS as usize),
        }
    }

    /// Takes in the utilisation of this moment, as a fraction. What is not a number is left out.
    pub fn observe(&mut self, at: Duration, utilisation: f64) {
        if !utilisation.is_nan() {
            self.history.record(at, fraction(utilisation));
        }
    }

    /// The mean utilisation over the window; none until what was measured reaches over half of it,
    /// however seldom that was.
    #[must_use]
    pub fn utilisation(&self) -> Option<f64> {
        let oldest = self.history.intervals().next()?.index;
        let (sum, count, newest) = self
            .history
            .intervals()
            .fold((0.0, 0u32, oldest), |(sum, count, _), interval| {
                (sum + interval.mean(), count + 1, interval.index)
            });
        let reach = newest - oldest + 1;
        (reach >= u64::from(INTERVALS / 2)).then(|| sum / f64::from(count))
    }

    /// The size suggested for a pool configured with this minimum and maximum; none while the
    /// utilisation is not known.
    #[must_use]
    pub fn suggest(&self, min: u32, max: u32) -> Option<SizeRange> {
        let utilisation = self.utilisation()?;
        Some(self.formula.suggest(utilisation, min, max))
    }
}
