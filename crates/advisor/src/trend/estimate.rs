//! [`Trend`]: how a number changes with time, and whether that could be chance.
//!
//! The slope is the median of the slopes between all pairs of points (H. Theil, "A rank-invariant
//! method of linear and polynomial regression analysis", 1950; P. K. Sen, "Estimates of the
//! regression coefficient based on Kendall's tau", 1968, also for its confidence interval), which
//! up to 29 % of wild points cannot carry away. Whether there is a trend at all is the test of
//! H. B. Mann ("Nonparametric tests against trend", 1945) and M. G. Kendall ("Rank correlation
//! methods"), with the correction for ties.

use crate::numbers::{finite, median};
use crate::trend::normal::{two_sided_p, two_sided_z};

/// Fewer points than this make no trend: the normal approximation of the test needs them.
pub const MIN_POINTS: usize = 8;

/// Of more points than this, the last ones are used: the work grows with their square.
pub const MAX_POINTS: usize = 256;

/// Where a trend goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(rename_all = "snake_case")
)]
pub enum Direction {
    /// Up.
    Rising,
    /// Down.
    Falling,
    /// Neither, or not significantly so.
    Steady,
}

/// How a number changes with time.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Trend {
    /// Change in a second: the median over all pairs of points.
    pub slope: f64,
    /// The lower end of the slope's confidence interval.
    pub slope_low: f64,
    /// The upper end of the slope's confidence interval.
    pub slope_high: f64,
    /// The number that the trend gives for the time of the last point.
    pub level: f64,
    /// The time of the last point, in seconds.
    pub at: f64,
    /// How probable so clear a trend would be if there were none.
    pub p_value: f64,
    /// Below which [`p_value`](Self::p_value) it is taken for significant.
    pub alpha: f64,
    /// How many points it was made of.
    pub points: usize,
}

impl Trend {
    /// The trend of points in time: (seconds, number), oldest first. `alpha` is the probability of
    /// taking chance for a trend, usually 0.05; the confidence interval is one of `1 − alpha`.
    ///
    /// None when fewer than [`MIN_POINTS`] remain after those that are not finite or not later than
    /// the one before were left out, or when the numbers are so far apart that their differences
    /// overflow. Of more than [`MAX_POINTS`] the last ones are used.
    #[must_use]
    pub fn of(points: impl IntoIterator<Item = (f64, f64)>, alpha: f64) -> Option<Self> {
        let points = usable(points);
        if points.len() < MIN_POINTS {
            return None;
        }
        let mut slopes = slopes(&points)?;
        let slope = median(&mut slopes)?;
        let alpha = if alpha > 0.0 { alpha.min(1.0) } else { 0.0 };
        let (score, variance) = mann_kendall(&points);
        let spread = two_sided_z(alpha) * variance.sqrt();
        slopes.sort_unstable_by(f64::total_cmp);
        // As many slopes lie below the interval as above it. The cast saturates at 0.
        let below = (slopes.len() as f64 - spread) / 2.0 - 1.0;
        let below = (below.round() as usize).min((slopes.len() - 1) / 2);
        let (&(at, _), _) = points.split_last()?;
        let mut levels: Vec<f64> = points
            .iter()
            .map(|(time, value)| value + slope * (at - time))
            .collect();
        Some(Self {
            slope,
            slope_low: slopes[below],
            slope_high: slopes[slopes.len() - 1 - below],
            level: finite(median(&mut levels)?)?,
            at,
            p_value: p_value(score, variance),
            alpha,
            points: points.len(),
        })
    }

    /// Whether this is unlikely to be chance.
    #[must_use]
    pub fn is_significant(&self) -> bool {
        self.p_value < self.alpha && self.slope != 0.0
    }

    /// Where it goes; [`Steady`](Direction::Steady) unless significant.
    #[must_use]
    pub fn direction(&self) -> Direction {
        match self.is_significant() {
            true if self.slope > 0.0 => Direction::Rising,
            true => Direction::Falling,
            false => Direction::Steady,
        }
    }
}

/// The slope of the line of least squares, in change a second; none for fewer than two times.
///
/// One wild point can carry it anywhere; see [`Trend`] for one that bears them.
#[must_use]
pub fn least_squares_slope(points: impl IntoIterator<Item = (f64, f64)>) -> Option<f64> {
    let points = usable(points);
    let count = points.len() as f64;
    let mean_time = points.iter().map(|(time, _)| time / count).sum::<f64>();
    let mean_value = points.iter().map(|(_, value)| value / count).sum::<f64>();
    let both = points
        .iter()
        .map(|(t, v)| (t - mean_time) * (v - mean_value));
    let times = points.iter().map(|(t, _)| (t - mean_time).powi(2));
    finite(both.sum::<f64>() / times.sum::<f64>())
}

/// The last points whose numbers are finite and whose times increase.
fn usable(points: impl IntoIterator<Item = (f64, f64)>) -> Vec<(f64, f64)> {
    let mut kept = std::collections::VecDeque::new();
    for (time, value) in points {
        let is_later = kept.back().is_none_or(|&(last, _)| time > last);
        if !(time.is_finite() && value.is_finite() && is_later) {
            continue;
        }
        if kept.len() == MAX_POINTS {
            kept.pop_front();
        }
        kept.push_back((time, value));
    }
    kept.into()
}

/// The slopes between all pairs of points; none when one is not finite.
fn slopes(points: &[(f64, f64)]) -> Option<Vec<f64>> {
    let pairs = points.len() * (points.len() - 1) / 2;
    let mut slopes = Vec::with_capacity(pairs);
    for (index, (time, value)) in points.iter().enumerate() {
        for (later, next) in &points[index + 1..] {
            slopes.push(finite((next - value) / (later - time))?);
        }
    }
    Some(slopes)
}

/// Pairs that rise less pairs that fall, and the variance that chance would give that.
fn mann_kendall(points: &[(f64, f64)]) -> (f64, f64) {
    let mut score = 0i64;
    for (index, (_, value)) in points.iter().enumerate() {
        for (_, next) in &points[index + 1..] {
            score += i64::from(next > value) - i64::from(next < value);
        }
    }
    let mut values: Vec<f64> = points.iter().map(|(_, value)| *value).collect();
    values.sort_unstable_by(f64::total_cmp);
    let weight = |count: f64| count * (count - 1.0) * (2.0 * count + 5.0);
    let ties = values.chunk_by(|a, b| a == b);
    let ties: f64 = ties.map(|tie| weight(tie.len() as f64)).sum();
    let variance = (weight(points.len() as f64) - ties) / 18.0;
    (score as f64, variance.max(0.0))
}

/// How probable a score at least so far from 0 is, with the correction for continuity.
fn p_value(score: f64, variance: f64) -> f64 {
    if variance == 0.0 {
        return 1.0;
    }
    let distance = (score.abs() - 1.0).max(0.0);
    two_sided_p(distance / variance.sqrt())
}
