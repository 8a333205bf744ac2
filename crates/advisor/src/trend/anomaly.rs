//! [`AnomalyDetector`]: whether a number is out of the ordinary.
//!
//! The modified z-score of B. Iglewicz and D. C. Hoaglin ("How to detect and handle outliers",
//! 1993): `0.6745 (x − median) / MAD`, where MAD is the median distance from the median; beyond 3.5
//! a number is out of the ordinary. When more than half of the numbers are the same the MAD is 0,
//! and the mean distance takes its place: `(x − median) / (1.253314 × mean distance)`.

use crate::numbers::{finite, median};

/// How far a number is from what is usual.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Anomaly {
    /// The median of the usual numbers.
    pub median: f64,
    /// The distance from it, in the spread of the usual numbers; negative below. Infinite when the
    /// usual numbers are all the same and this one is not.
    pub score: f64,
    /// Whether that is out of the ordinary.
    pub is_anomalous: bool,
}

/// When a number is out of the ordinary.
#[doc(alias = "z_score")]
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields, default)
)]
pub struct AnomalyDetector {
    /// From which score on, on either side.
    pub threshold: f64,
    /// How many usual numbers are needed to tell.
    pub min_points: usize,
}

impl Default for AnomalyDetector {
    fn default() -> Self {
        Self {
            threshold: 3.5,
            min_points: 8,
        }
    }
}

impl AnomalyDetector {
    /// How far `value` is from what is usual; none when that is not a number, or when there are too
    /// few usual numbers. Usual numbers that are not finite are left out.
    #[must_use]
    pub fn judge(&self, usual: impl IntoIterator<Item = f64>, value: f64) -> Option<Anomaly> {
        finite(value)?;
        let mut usual: Vec<f64> = usual
            .into_iter()
            .filter(|usual| usual.is_finite())
            .collect();
        if usual.len() < self.min_points.max(1) {
            return None;
        }
        let middle = median(&mut usual)?;
        // Halved, so that the distance of two huge numbers does not overflow; the halves cancel.
        let distance = |from: f64| (from / 2.0 - middle / 2.0).abs();
        let mut distances: Vec<f64> = usual.iter().map(|usual| distance(*usual)).collect();
        let count = distances.len() as f64;
        let mean = distances
            .iter()
            .map(|distance| distance / count)
            .sum::<f64>();
        let spread = match median(&mut distances)? / 0.6745 {
            0.0 => mean * 1.253_314,
            spread => spread,
        };
        let away = distance(value);
        let score = match away {
            0.0 => 0.0,
            away => (away / spread).copysign(value - middle),
        };
        Some(Anomaly {
            median: middle,
            score,
            is_anomalous: score.abs() >= self.threshold,
        })
    }
}
