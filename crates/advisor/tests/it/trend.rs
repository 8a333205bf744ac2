//! Histories, trends, forecasts and anomalies.

use std::time::Duration;

use brolly_advisor::{
    AnomalyDetector, Direction, Forecast, History, MAX_POINTS, MIN_POINTS, Trend,
    least_squares_slope,
};
use proptest::prelude::*;

const MINUTE: Duration = Duration::from_secs(60);

fn means(history: &History) -> Vec<(u64, f64)> {
    let intervals = history.intervals();
    intervals
        .map(|interval| (interval.index, interval.mean()))
        .collect()
}

#[test]
fn a_history_keeps_the_last_intervals() {
    let mut history = History::new(MINUTE, 3);
    let start = Duration::from_secs(7_777);
    for (second, value) in [(0, 1.0), (59, 3.0), (60, 5.0), (125, 7.0), (180, 9.0)] {
        history.record(start + Duration::from_secs(second), value);
    }
    assert_eq!(means(&history), [(1, 5.0), (2, 7.0), (3, 9.0)]);
    let points: Vec<_> = history.points().collect();
    assert_eq!(points, [(90.0, 5.0), (150.0, 7.0), (210.0, 9.0)]);
}

#[test]
fn an_interval_knows_its_extremes_and_its_last_sample() {
    let mut history = History::new(MINUTE, 3);
    for value in [4.0, 9.0, -1.0] {
        history.record(Duration::ZERO, value);
    }
    let interval = *history.intervals().next().expect("there are samples");
    assert_eq!((interval.count, interval.sum), (3, 12.0));
    assert_eq!(
        (interval.min, interval.max, interval.last),
        (-1.0, 9.0, -1.0)
    );
}

#[test]
fn a_long_idle_gap_empties_a_history_in_one_step() {
    let mut history = History::new(Duration::from_millis(1), 4_096);
    for millisecond in 0..5_000 {
        history.record(Duration::from_millis(millisecond), 1.0);
    }
    assert_eq!(history.intervals().count(), 4_096);
    // Half a billion years: a loop over the milliseconds would not end.
    history.record(Duration::MAX, 2.0);
    assert_eq!(
        history
            .intervals()
            .map(|interval| interval.sum)
            .collect::<Vec<_>>(),
        [2.0]
    );
}

#[test]
fn a_clock_that_steps_back_goes_on_in_the_newest_interval() {
    let mut history = History::new(MINUTE, 3);
    history.record(Duration::from_secs(1000), 1.0);
    history.record(Duration::from_secs(1070), 2.0);
    history.record(Duration::from_secs(10), 4.0);
    assert_eq!(means(&history), [(0, 1.0), (1, 3.0)]);
    history.record(Duration::from_secs(70), 5.0);
    assert_eq!(means(&history), [(0, 1.0), (1, 3.0), (2, 5.0)]);
}

#[test]
fn a_history_never_grows_and_refuses_what_is_no_number() {
    let mut history = History::new(MINUTE, 60);
    let bytes = history.memory_bytes();
    assert_eq!(bytes, 60 * 56 + size_of::<History>());
    for second in 0..100_000 {
        history.record(Duration::from_secs(second), 1.0);
    }
    history.record(Duration::ZERO, f64::NAN);
    history.record(Duration::ZERO, f64::INFINITY);
    assert_eq!(history.memory_bytes(), bytes);
    assert_eq!(history.rejected(), 2);
    assert_eq!(History::new(Duration::ZERO, 0).intervals().count(), 0);
    assert!(History::new(MINUTE, usize::MAX).memory_bytes() < 300_000);
}

#[test]
fn huge_samples_have_a_mean_within_their_extremes() {
    let mut history = History::new(MINUTE, 2);
    history.record(Duration::ZERO, f64::MAX);
    history.record(Duration::ZERO, f64::MAX);
    let interval = history.intervals().next().expect("there are samples");
    assert_eq!((interval.mean(), interval.sum), (f64::MAX, f64::MAX));
}

fn line(count: usize, value: impl Fn(f64) -> f64) -> Vec<(f64, f64)> {
    (0..count)
        .map(|n| n as f64)
        .map(|time| (time, value(time)))
        .collect()
}

#[test]
fn a_rising_line_is_a_trend_with_its_slope() {
    let trend = Trend::of(line(20, |t| 3.0 + 2.0 * t), 0.05).expect("enough points");
    assert_eq!((trend.slope, trend.level, trend.at), (2.0, 41.0, 19.0));
    assert_eq!((trend.slope_low, trend.slope_high), (2.0, 2.0));
    assert_eq!(trend.direction(), Direction::Rising);
    assert!(trend.p_value < 1e-6);
    let squares = least_squares_slope(line(20, |t| 3.0 + 2.0 * t)).expect("enough points");
    assert!((squares - 2.0).abs() < 1e-12, "{squares}");
}

#[test]
fn the_interval_of_a_slope_reaches_as_far_down_as_up() {
    // The slopes of this curve lie evenly around 7, so what is symmetric by rank is by value.
    for (alpha, reach) in [(0.05, 3.0), (0.5, 1.0), (1.0, 0.0)] {
        let trend = Trend::of(line(8, |time| time * time), alpha).expect("8 points");
        assert_eq!(trend.slope, 7.0);
        let ends = (trend.slope_low, trend.slope_high);
        assert_eq!(ends, (7.0 - reach, 7.0 + reach), "{alpha}");
    }
}

#[test]
fn a_quarter_of_wild_points_does_not_carry_the_trend_away() {
    let wild = line(40, |t| if t % 4.0 == 0.0 { 1e6 } else { -t });
    let trend = Trend::of(wild.clone(), 0.05).expect("enough points");
    assert!((trend.slope + 1.0).abs() < 0.5, "{trend:?}");
    let squares = least_squares_slope(wild).expect("enough points");
    assert!(squares.abs() > 100.0, "{squares}");
}

#[test]
fn significance_is_what_the_test_gives_by_hand() {
    // Ten values, one tie: S = 41 - 3, variance 125 - 1, z = (S - 1) / sqrt(124) = 3.3227.
    let values = [1.0, 2.0, 4.0, 3.0, 5.0, 5.0, 7.0, 6.0, 9.0, 8.0];
    let points = values
        .iter()
        .enumerate()
        .map(|(at, value)| (at as f64, *value));
    let trend = Trend::of(points, 0.05).expect("enough points");
    let rises = [9, 8, 6, 6, 4, 4, 2, 2, 0, 0];
    let falls = [0, 0, 1, 0, 0, 0, 1, 0, 1, 0];
    let s: i32 = rises.iter().sum::<i32>() - falls.iter().sum::<i32>();
    let z = f64::from(s - 1) / 124f64.sqrt();
    // Two-sided probabilities of the normal distribution, from a table.
    assert!((z - 3.3227).abs() < 1e-3, "{z}");
    assert!(
        (trend.p_value - 0.000_891).abs() < 5e-6,
        "{}",
        trend.p_value
    );
}

#[test]
fn noise_and_constants_are_no_trend() {
    let constant = Trend::of(line(30, |_| 5.0), 0.05).expect("enough points");
    assert_eq!((constant.slope, constant.p_value), (0.0, 1.0));
    assert_eq!(constant.direction(), Direction::Steady);
    let swing = Trend::of(line(30, |t| (t * 2.4).sin()), 0.05).expect("enough points");
    assert_eq!(swing.direction(), Direction::Steady);
}

#[test]
fn too_little_data_is_no_trend() {
    assert_eq!(Trend::of(line(MIN_POINTS - 1, |t| t), 0.05), None);
    assert!(Trend::of(line(MIN_POINTS, |t| t), 0.05).is_some());
    assert_eq!(Trend::of([(1.0, 2.0); 100], 0.05), None, "all at one time");
    assert_eq!(least_squares_slope([(1.0, 2.0)]), None);
    assert_eq!(least_squares_slope([]), None);
}

#[test]
fn points_that_are_out_of_order_or_no_numbers_are_left_out() {
    let mut points = line(20, |t| t);
    points.insert(10, (3.0, 1e9));
    points.insert(11, (9.0, 1e9));
    points.insert(12, (9.5, f64::NAN));
    points.push((f64::INFINITY, 5.0));
    let trend = Trend::of(points, 0.05).expect("enough points");
    assert_eq!((trend.points, trend.slope), (20, 1.0));
}

#[test]
fn differences_that_overflow_are_no_trend() {
    let huge = line(20, |t| if t < 10.0 { f64::MIN } else { f64::MAX });
    assert_eq!(Trend::of(huge, 0.05), None);
}

#[test]
fn a_late_step_of_few_points_is_not_called_falling() {
    // More pairs rise than chance would have, but most are level: the median slope is 0.
    let step = line(25, |t| if t < 20.0 { 0.0 } else { 1.0 });
    let trend = Trend::of(step, 0.05).expect("enough points");
    assert!(trend.p_value < 0.05 && trend.slope == 0.0);
    assert_eq!(trend.direction(), Direction::Steady);
    assert_eq!(Forecast::of(&trend, 5.0), None);
}

#[test]
fn only_the_last_points_are_used() {
    let bent = line(MAX_POINTS + 1000, |t| if t < 1000.0 { -1e9 * t } else { t });
    let trend = Trend::of(bent, 0.05).expect("enough points");
    assert_eq!((trend.points, trend.slope), (MAX_POINTS, 1.0));
}

#[test]
fn a_forecast_says_when_a_threshold_is_reached() {
    let rising = Trend::of(line(20, |t| 3.0 + 2.0 * t), 0.05).expect("enough points");
    let forecast = Forecast::of(&rising, 101.0).expect("it leads there");
    assert_eq!(forecast.expected, Duration::from_secs(30));
    assert_eq!(forecast.earliest, Duration::from_secs(30));
    assert_eq!(forecast.latest, Some(Duration::from_secs(30)));
}

#[test]
fn a_forecast_says_none_when_the_trend_leads_away_or_could_be_chance() {
    let rising = Trend::of(line(20, |t| 3.0 + 2.0 * t), 0.05).expect("enough points");
    assert_eq!(Forecast::of(&rising, 10.0), None, "passed already");
    let falling = Trend::of(line(20, |t| -t), 0.05).expect("enough points");
    assert_eq!(Forecast::of(&falling, 10.0), None, "leads away");
    assert!(Forecast::of(&falling, -30.0).is_some());
    let noise = Trend::of(line(30, |t| (t * 2.4).sin()), 0.05).expect("enough points");
    assert_eq!(Forecast::of(&noise, 10.0), None, "not significant");
    assert_eq!(Forecast::of(&rising, f64::INFINITY), None);
    assert_eq!(Forecast::of(&rising, f64::NAN), None);
    assert_eq!(Forecast::of(&rising, 1e300), None, "beyond any duration");
}

#[test]
fn a_noisy_forecast_has_a_range() {
    let noisy = line(60, |t| t + 8.0 * (t * 2.4).sin());
    let trend = Trend::of(noisy, 0.05).expect("enough points");
    assert!(trend.slope_low < trend.slope && trend.slope < trend.slope_high);
    let forecast = Forecast::of(&trend, 200.0).expect("it leads there");
    assert!(forecast.earliest < forecast.expected);
    assert!(forecast.latest.expect("both ends lead there") > forecast.expected);
}

#[test]
fn a_number_far_from_the_usual_ones_is_an_anomaly() {
    let usual = [10.0, 11.0, 9.0, 10.5, 9.5, 10.0, 10.2, 9.8];
    let judge = |value| {
        AnomalyDetector::default()
            .judge(usual, value)
            .expect("enough")
    };
    assert!(!judge(10.9).is_anomalous);
    assert!(judge(20.0).is_anomalous && judge(20.0).score > 0.0);
    assert!(judge(0.0).is_anomalous && judge(0.0).score < 0.0);
    // Median 10, median distance 0.35: 0.6745 x 1 / 0.35.
    assert!(
        (judge(11.0).score - 1.927_14).abs() < 1e-4,
        "{:?}",
        judge(11.0)
    );
}

#[test]
fn usual_numbers_that_are_nearly_all_the_same_have_a_spread() {
    let usual = [5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 6.0];
    let judge = |value| {
        AnomalyDetector::default()
            .judge(usual, value)
            .expect("enough")
    };
    // The median distance is 0; the mean distance is 1/8.
    assert!((judge(6.0).score - 1.0 / (1.253_314 / 8.0)).abs() < 1e-9);
    assert!(judge(6.0).is_anomalous);
    assert!(!judge(5.1).is_anomalous);
    let constant = AnomalyDetector::default()
        .judge([5.0; 20], 5.0)
        .expect("enough");
    assert_eq!((constant.score, constant.is_anomalous), (0.0, false));
    let off = AnomalyDetector::default()
        .judge([5.0; 20], 5.1)
        .expect("enough");
    assert_eq!((off.score, off.is_anomalous), (f64::INFINITY, true));
}

#[test]
fn huge_usual_numbers_have_a_median() {
    let judged = AnomalyDetector::default()
        .judge([f64::MAX; 8], f64::MIN)
        .expect("enough");
    assert_eq!((judged.median, judged.score), (f64::MAX, f64::NEG_INFINITY));
}

#[test]
fn too_little_or_nothing_usable_is_no_anomaly() {
    let detector = AnomalyDetector::default();
    assert_eq!(detector.judge([1.0; 7], 9.0), None);
    assert_eq!(detector.judge([f64::NAN; 70], 9.0), None);
    assert_eq!(detector.judge([1.0; 70], f64::NAN), None);
    let eager = AnomalyDetector {
        min_points: 0,
        ..detector
    };
    assert_eq!(eager.judge([], 9.0), None);
}

/// Whole numbers, so that shifting and scaling by powers of two is exact.
fn whole() -> impl Strategy<Value = Vec<f64>> {
    proptest::collection::vec((-1000i32..1000).prop_map(f64::from), MIN_POINTS..60)
}

fn trend(values: &[f64]) -> Trend {
    let points = values
        .iter()
        .enumerate()
        .map(|(at, value)| (at as f64, *value));
    Trend::of(points, 0.05).expect("enough points")
}

proptest! {
    #[test]
    fn a_shift_does_not_change_a_trend(values in whole(), by in -1000i32..1000) {
        let shifted: Vec<_> = values.iter().map(|value| value + f64::from(by)).collect();
        let (one, other) = (trend(&values), trend(&shifted));
        prop_assert_eq!((one.slope, one.p_value), (other.slope, other.p_value));
        prop_assert!((one.level + f64::from(by) - other.level).abs() < 1e-6);
    }

    #[test]
    fn a_scale_scales_the_slope(values in whole(), power in -20i32..20) {
        let scale = 2f64.powi(power);
        let scaled: Vec<_> = values.iter().map(|value| value * scale).collect();
        let (one, other) = (trend(&values), trend(&scaled));
        prop_assert_eq!((one.slope * scale, one.p_value), (other.slope, other.p_value));
    }

    #[test]
    fn the_mirror_image_goes_the_other_way(values in whole()) {
        let mirrored: Vec<_> = values.iter().map(|value| -value).collect();
        let reversed: Vec<_> = values.iter().rev().copied().collect();
        let one = trend(&values);
        for other in [trend(&mirrored), trend(&reversed)] {
            prop_assert_eq!((one.slope, one.p_value), (-other.slope, other.p_value));
        }
        prop_assert!(one.slope_low <= one.slope && one.slope <= one.slope_high);
    }

    #[test]
    fn every_list_of_points_has_an_answer(
        points in proptest::collection::vec((any::<f64>(), any::<f64>()), 0..300),
        alpha in any::<f64>(),
        threshold in any::<f64>(),
    ) {
        if let Some(trend) = Trend::of(points.iter().copied(), alpha) {
            prop_assert!((0.0..=1.0).contains(&trend.p_value));
            let _ = Forecast::of(&trend, threshold);
        }
        let _ = least_squares_slope(points.iter().copied());
        let usual = points.iter().map(|(_, value)| *value);
        let _ = AnomalyDetector::default().judge(usual, threshold);
    }

    #[test]
    fn a_history_is_what_a_naive_one_would_be(
        samples in proptest::collection::vec((0u64..5_000, -100i32..100), 1..200),
        len in 1usize..20,
    ) {
        let mut history = History::new(Duration::from_millis(1_000), len);
        let mut naive: Vec<(u64, Vec<f64>)> = Vec::new();
        let mut now = 0;
        for (step, value) in &samples {
            now += step;
            history.record(Duration::from_millis(123 + now), f64::from(*value));
            // The first sample is the beginning.
            let index = (now - samples[0].0) / 1_000;
            match naive.last_mut() {
                Some((last, values)) if *last == index => values.push(f64::from(*value)),
                _ => naive.push((index, vec![f64::from(*value)])),
            }
        }
        let newest = naive.last().expect("there are samples").0;
        naive.retain(|(index, _)| index + len as u64 > newest);
        let got: Vec<_> = history.intervals().map(|one| (one.index, one.count, one.sum)).collect();
        let expected: Vec<_> = naive
            .iter()
            .map(|(index, values)| (*index, values.len() as u64, values.iter().sum::<f64>()))
            .collect();
        prop_assert_eq!(got, expected);
    }
}
