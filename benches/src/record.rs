//! One line of results: an axis, ours, the peers, and the ratio against the goal.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Whether a smaller or a larger figure is the better one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    Lower,
    Higher,
}

/// The outcome of one axis against one baseline. The field order is that of the JSON line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    #[serde(rename = "crate")]
    pub krate: String,
    pub axis: String,
    pub unit: String,
    pub better: Better,
    /// Median over the rounds, as are the figures of the peers.
    pub ours: f64,
    pub peers: BTreeMap<String, f64>,
    /// Peers that break the rule of the axis, and how.
    pub disqualified: BTreeMap<String, String>,
    /// Work without the feature: shown, never compared with.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub floors: BTreeMap<String, f64>,
    /// The baseline of `ratio`.
    pub vs: String,
    /// At least 1 when ours is at least as good as the baseline.
    pub ratio: f64,
    pub goal: f64,
    /// For a goal on our own value: the figure it must keep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound: Option<f64>,
    pub rounds: usize,
    /// Interquartile range over the median, of the ratio over the rounds.
    pub spread: f64,
    pub quick: bool,
    /// What a mean is made of, for plots: by cell and by entrant. Kept in the files, not printed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cells: BTreeMap<String, BTreeMap<String, f64>>,
}

impl Record {
    pub fn reaches_goal(&self) -> bool {
        self.ratio >= self.goal
    }
}

/// How good `ours` is beside `other`, as a factor: 1 is equal, more is better.
pub fn ratio(better: Better, ours: f64, other: f64) -> f64 {
    match better {
        // A bound of nothing is kept by nothing only.
        Better::Lower if other == 0.0 => f64::from(u8::from(ours == 0.0)),
        Better::Lower => other / ours.max(f64::MIN_POSITIVE),
        Better::Higher => ours / other.max(f64::MIN_POSITIVE),
    }
}

/// The value in the middle; the mean of the two in the middle for an even count.
pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// Interquartile range over the median.
pub fn spread(values: &[f64]) -> f64 {
    let middle = median(values);
    if middle == 0.0 {
        return 0.0;
    }
    (quantile(values, 0.75) - quantile(values, 0.25)) / middle
}

/// Four significant digits: more would be noise.
pub fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let digits = 3 - value.abs().log10().floor() as i32;
    let scale = 10f64.powi(digits);
    (value * scale).round() / scale
}

/// Linear interpolation between the two neighbours.
fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else {
        return 0.0;
    };
    let position = q * last as f64;
    let below = position.floor() as usize;
    let above = position.ceil() as usize;
    sorted[below] + (sorted[above] - sorted[below]) * (position - below as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_of_at_least_one_means_ours_is_at_least_as_good() {
        assert_eq!(ratio(Better::Lower, 10.0, 20.0), 2.0);
        assert_eq!(ratio(Better::Higher, 10.0, 20.0), 0.5);
        assert_eq!(ratio(Better::Lower, 0.0, 0.0), 1.0);
        assert_eq!(ratio(Better::Lower, 0.1, 0.0), 0.0);
    }

    #[test]
    fn quartiles_interpolate() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(spread(&[1.0, 2.0, 3.0, 4.0, 5.0]), 2.0 / 3.0);
        assert_eq!(spread(&[7.0]), 0.0);
    }

    #[test]
    fn figures_keep_four_digits() {
        assert_eq!(rounded(123_456.0), 123_500.0);
        assert_eq!(rounded(0.001_234_56), 0.001_235);
        assert_eq!(rounded(0.0), 0.0);
    }

    #[test]
    fn a_line_of_json_is_read_back() {
        let line = r#"{"crate":"ttl-cache","axis":"hit_50k","unit":"ns","better":"lower","ours":13.1,"peers":{"moka":553.0,"quick_cache":16.8},"disqualified":{"stretto":"98x over capacity"},"vs":"quick_cache","ratio":1.28,"goal":1.33,"rounds":7,"spread":0.06,"quick":true}"#;
        let record: Record = serde_json::from_str(line).expect("the line of the page");
        assert_eq!(serde_json::to_string(&record).expect("plain data"), line);
        assert!(!record.reaches_goal());
    }
}
