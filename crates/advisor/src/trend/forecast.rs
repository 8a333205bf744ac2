//! [`Forecast`]: when a trend reaches a threshold.

use std::time::Duration;

use crate::trend::Trend;

/// When a trend reaches a threshold, counted from the last point of the trend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Forecast {
    /// With the slope of the trend.
    pub expected: Duration,
    /// With the steepest slope of its confidence interval.
    pub earliest: Duration,
    /// With the flattest slope of its confidence interval; none when that one never gets there.
    pub latest: Option<Duration>,
}

impl Forecast {
    /// When this trend reaches the threshold. None when the trend is not significant, leads away
    /// from the threshold or has already passed it, or takes longer than a [`Duration`] can say.
    #[must_use]
    pub fn of(trend: &Trend, threshold: f64) -> Option<Self> {
        if !trend.is_significant() {
            return None;
        }
        let distance = threshold - trend.level;
        let reach = |slope: f64| {
            let seconds = distance / slope;
            let is_ahead = seconds.is_finite() && seconds >= 0.0;
            is_ahead.then(|| Duration::try_from_secs_f64(seconds).ok())?
        };
        let expected = reach(trend.slope)?;
        // The slope lies between the ends, so one of them is at least as steep, and the other, if it
        // leads there at all, no steeper.
        let ends = [reach(trend.slope_low), reach(trend.slope_high)];
        let latest = match ends {
            [Some(one), Some(other)] => Some(one.max(other)),
            _ => None,
        };
        Some(Self {
            expected,
            earliest: ends.into_iter().flatten().min().unwrap_or(expected),
            latest,
        })
    }
}
