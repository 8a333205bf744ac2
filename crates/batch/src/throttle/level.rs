//! [`Level`]: whether a source is high, with a gap between rising and falling.

/// The levels of one source, in per cent. `resume` is not above `threshold`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Level {
    pub(super) threshold: u8,
    pub(super) resume: u8,
}

impl Level {
    /// A threshold and the resume level that goes with it: ten points below, or half of it where
    /// that is more, because a level near 0 might never be reached.
    pub(super) fn with_default_resume(threshold: u8) -> Self {
        Self {
            threshold,
            resume: threshold.saturating_sub(10).max(threshold / 2),
        }
    }

    /// Whether the source is high now, given whether it was.
    ///
    /// Without a reading it is not, except with a threshold of 0, which means always.
    pub(super) fn is_high(self, was_high: bool, percent: Option<f64>) -> bool {
        if self.threshold == 0 {
            return true;
        }
        let Some(percent) = percent else {
            return false;
        };
        percent >= f64::from(self.threshold) || was_high && percent > f64::from(self.resume)
    }
}

#[cfg(all(test, not(brolly_loom)))]
mod tests {
    use super::*;

    #[test]
    fn between_the_levels_nothing_changes() {
        let level = Level {
            threshold: 80,
            resume: 70,
        };
        let mut high = false;
        let mut states = Vec::new();
        for percent in [69.9, 79.9, 80.0, 75.0, 70.1, 70.0, 75.0, 100.0, 0.0] {
            high = level.is_high(high, Some(percent));
            states.push(high);
        }
        let expected = [false, false, true, true, true, false, false, true, false];
        assert_eq!(states, expected);
    }

    #[test]
    fn equal_levels_are_one_level() {
        let level = Level {
            threshold: 50,
            resume: 50,
        };
        assert!(level.is_high(true, Some(50.0)));
        assert!(!level.is_high(true, Some(49.9)));
    }

    #[test]
    fn a_threshold_of_zero_is_always_high() {
        let level = Level::with_default_resume(0);
        assert!(level.is_high(false, Some(0.0)));
        assert!(level.is_high(true, None));
    }

    #[test]
    fn every_default_resume_level_can_be_reached() {
        for threshold in 0..=100 {
            let level = Level::with_default_resume(threshold);
            assert!(level.resume <= threshold);
            assert!(level.resume > 0 || threshold <= 1);
        }
        assert_eq!(Level::with_default_resume(80).resume, 70);
        assert_eq!(Level::with_default_resume(10).resume, 5);
    }
}
