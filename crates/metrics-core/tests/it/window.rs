//! Windows over cumulative snapshots, under every kind of clock.

use std::time::Duration;

use brolly_metrics_core::{
    Buckets, Ewma, HistogramSnapshot, QuantileError, Snapshot, Unit, Windows,
};
use proptest::prelude::*;

use crate::fixture::{empty, family, plain};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn total(total: u64) -> Snapshot {
    Snapshot {
        counters: vec![plain("c", Unit::None, total)],
        ..empty()
    }
}

/// Ten-second readings of the last hour.
fn hour() -> Windows {
    Windows::new(seconds(10), seconds(3600)).expect("valid")
}

/// Windows that were fed these totals at these seconds.
fn fed(readings: &[(u64, u64)]) -> Windows {
    let mut windows = hour();
    for &(at, count) in readings {
        windows.feed(seconds(at), total(count));
    }
    windows
}

#[test]
fn the_rate_of_a_counter_of_seconds_is_in_seconds() {
    let mut windows = hour();
    for (at, nanos) in [(100, 0), (110, 5_000_000_000)] {
        let counters = vec![plain("busy_seconds", Unit::Seconds, nanos)];
        windows.feed(
            seconds(at),
            Snapshot {
                counters,
                ..empty()
            },
        );
    }
    assert_eq!(windows.rate("busy_seconds", &[], seconds(10)), Some(0.5));
    assert_eq!(
        windows.smoothed_rate("busy_seconds", &[], seconds(10)),
        Some(0.5)
    );
}

#[test]
fn a_rate_is_the_difference_over_the_time() {
    let windows = fed(&[(100, 5), (110, 25), (120, 65)]);
    assert_eq!(windows.increase("c", &[], seconds(10)), Some(40));
    assert_eq!(windows.increase("c", &[], seconds(20)), Some(60));
    assert_eq!(windows.rate("c", &[], seconds(10)), Some(4.0));
    assert_eq!(windows.rate("c", &[], seconds(20)), Some(3.0));
    // Between two readings the window reaches back to the earlier one.
    assert_eq!(windows.rate("c", &[], seconds(15)), Some(3.0));
}

#[test]
fn too_little_data_is_none() {
    let ten = seconds(10);
    assert_eq!(hour().rate("c", &[], ten), None);
    assert!(hour().is_empty());
    let one = fed(&[(100, 5)]);
    assert_eq!(one.rate("c", &[], ten), None);
    assert_eq!(one.smoothed_rate("c", &[], ten), None);
    let two = fed(&[(100, 5), (110, 5)]);
    assert_eq!(two.rate("c", &[], ten), Some(0.0));
    assert_eq!(
        two.rate("c", &[], seconds(11)),
        None,
        "it goes back before the first"
    );
    assert_eq!(two.rate("c", &[], Duration::ZERO), None);
    assert_eq!(two.rate("c", &[], Duration::MAX), None);
    assert_eq!(two.rate("other", &[], ten), None);
    assert_eq!(two.rate("c", &[("label", "x")], ten), None);
    assert_eq!(two.quantile("c", &[], 0.5, ten), Ok(None));
}

#[test]
fn a_counter_that_was_reset_counts_from_nothing() {
    let windows = fed(&[(0, 100), (10, 150), (20, 30), (30, 50)]);
    assert_eq!(windows.increase("c", &[], seconds(30)), Some(50 + 30 + 20));
    assert_eq!(windows.increase("c", &[], seconds(10)), Some(20));
}

#[test]
fn a_clock_that_goes_backwards_starts_again() {
    let mut windows = fed(&[(1000, 100), (1010, 200)]);
    windows.feed(seconds(5), total(300));
    assert_eq!(windows.len(), 1);
    assert_eq!(windows.increase("c", &[], seconds(10)), None);
    windows.feed(seconds(15), total(310));
    assert_eq!(windows.increase("c", &[], seconds(10)), Some(10));
}

#[test]
fn an_idle_gap_is_not_spread_over_a_window_that_it_hides() {
    let mut windows = fed(&[(0, 0), (10, 10)]);
    windows.feed(seconds(100_000), total(1_000));
    // Nobody knows when in the gap it was counted.
    assert_eq!(windows.increase("c", &[], seconds(60)), None);
    windows.feed(seconds(100_060), total(1_060));
    assert_eq!(windows.rate("c", &[], seconds(60)), Some(1.0));
}

#[test]
fn a_gap_of_ages_costs_nothing() {
    let mut windows = hour();
    windows.feed(Duration::ZERO, total(0));
    windows.feed(Duration::MAX - seconds(10), total(7));
    windows.feed(Duration::MAX, total(9));
    assert_eq!(windows.increase("c", &[], seconds(10)), Some(2));
    assert_eq!(windows.increase("c", &[], Duration::MAX), Some(9));
    assert!(windows.len() <= 3);
}

#[test]
fn readings_are_bounded_however_often_they_come() {
    let mut windows = Windows::new(seconds(10), seconds(100)).expect("valid");
    for millis in (0..1_000_000).step_by(300) {
        windows.feed(Duration::from_millis(millis), total(millis));
        assert!(windows.len() <= 10 + 3, "{}", windows.len());
        let (at, newest) = windows.newest().expect("just fed");
        assert_eq!(at, Duration::from_millis(millis));
        assert_eq!(newest.counter("c").and_then(|c| c.get(&[])), Some(&millis));
    }
    // Every length up to the longest can be asked for, and the rate is right.
    for over in 1..=100 {
        let rate = windows
            .rate("c", &[], seconds(over))
            .expect("it is covered");
        assert!((rate - 1_000.0).abs() < 1e-6, "{over} {rate}");
    }
}

#[test]
fn readings_that_come_a_little_early_are_kept() {
    let mut windows = hour();
    for reading in 0..100 {
        windows.feed(Duration::from_millis(9_900 * reading), total(reading));
    }
    assert!(windows.len() >= 98);
    let rate = windows.rate("c", &[], seconds(60)).expect("it is covered");
    assert!((rate - 1.0 / 9.9).abs() < 1e-6);
}

#[test]
fn series_are_chosen_by_label_and_added() {
    let requests = |get: u64, put: u64, errors: u64| Snapshot {
        counters: vec![family(
            "requests",
            Unit::None,
            &["method", "status"],
            [
                (vec!["GET", "200"], get),
                (vec!["GET", "500"], errors),
                (vec!["PUT", "200"], put),
            ],
        )],
        ..empty()
    };
    let mut windows = hour();
    windows.feed(seconds(0), requests(10, 20, 30));
    windows.feed(seconds(10), requests(11, 22, 34));
    let increase = |labels: &[(&str, &str)]| windows.increase("requests", labels, seconds(10));
    assert_eq!(increase(&[]), Some(7));
    assert_eq!(increase(&[("method", "GET")]), Some(5));
    assert_eq!(increase(&[("status", "200"), ("method", "GET")]), Some(1));
    assert_eq!(increase(&[("method", "DELETE")]), None);
    assert_eq!(increase(&[("zone", "a")]), None);
}

#[test]
fn a_series_that_appears_started_at_nothing() {
    let mut windows = hour();
    windows.feed(seconds(0), empty());
    windows.feed(seconds(10), total(4));
    windows.feed(seconds(20), total(9));
    assert_eq!(windows.increase("c", &[], seconds(20)), Some(9));
}

fn times(samples: &[f64]) -> Snapshot {
    let samples = samples.iter().copied();
    let histogram = HistogramSnapshot::of(Unit::Seconds, Buckets::default(), samples);
    Snapshot {
        histograms: vec![plain("h", Unit::Seconds, histogram)],
        ..empty()
    }
}

#[test]
fn a_quantile_is_that_of_the_window() {
    let mut windows = hour();
    windows.feed(seconds(0), times(&[9.0, 9.0, 9.0]));
    windows.feed(seconds(10), times(&[9.0, 9.0, 9.0, 0.5, 0.5]));
    windows.feed(seconds(20), times(&[9.0, 9.0, 9.0, 0.5, 0.5, 2.0]));
    let median = |over| {
        let answer = windows.quantile("h", &[], 0.5, seconds(over));
        answer.expect("within 0 and 1").expect("it is covered")
    };
    assert!((median(20) - 0.5).abs() < 0.5 * 0.01);
    assert!((median(10) - 2.0).abs() < 2.0 * 0.01);
    let window = windows.distribution("h", &[], seconds(20));
    assert_eq!(window.map(|it| it.count()), Some(3));
    let q = 1.5;
    assert_eq!(
        windows.quantile("h", &[], q, seconds(10)),
        Err(QuantileError { q })
    );
}

#[test]
fn a_histogram_that_was_reset_counts_from_nothing() {
    let mut windows = hour();
    windows.feed(seconds(0), times(&[9.0, 9.0]));
    windows.feed(seconds(10), times(&[1.0]));
    let window = windows
        .distribution("h", &[], seconds(10))
        .expect("covered");
    assert_eq!((window.count(), window.max()), (1, Some(1.0)));
}

#[test]
fn intervals_that_make_no_sense_are_refused() {
    for (interval, length) in [
        (Duration::ZERO, seconds(1)),
        (seconds(2), seconds(1)),
        (seconds(1), seconds(10_001)),
        (Duration::from_nanos(1), Duration::MAX),
    ] {
        let error = Windows::new(interval, length).expect_err("it makes no sense");
        assert_eq!((error.interval, error.length), (interval, length));
    }
    assert!(Windows::new(seconds(1), seconds(10_000)).is_ok());
    assert!(Windows::new(Duration::MAX, Duration::MAX).is_ok());
}

#[test]
fn a_smoothed_rate_forgets_by_the_time_passed() {
    // Ten a second for long, then nothing for one time constant.
    let mut readings: Vec<(u64, u64)> = (0..60).map(|i| (i * 10, i * 100)).collect();
    let windows = fed(&readings);
    let tau = seconds(60);
    let steady = windows.smoothed_rate("c", &[], tau).expect("covered");
    assert!((steady - 10.0).abs() < 1e-9);
    let last = readings[59];
    readings.extend((1..=6).map(|i| (last.0 + i * 10, last.1)));
    let faded = fed(&readings)
        .smoothed_rate("c", &[], tau)
        .expect("covered");
    assert!((faded - 10.0 / std::f64::consts::E).abs() < 1e-9, "{faded}");
}

#[test]
fn the_mean_depends_on_the_time_passed_and_not_on_the_number_of_samples() {
    let mut often = Ewma::new(seconds(60));
    let mut once = Ewma::new(seconds(60));
    often.update(seconds(0), 8.0);
    once.update(seconds(0), 8.0);
    for second in 1..=90 {
        often.update(seconds(second), 2.0);
    }
    once.update(seconds(90), 2.0);
    let (often, once) = (often.value().expect("fed"), once.value().expect("fed"));
    assert!((often - once).abs() < 1e-9, "{often} {once}");
}

#[test]
fn a_mean_survives_every_clock_and_every_sample() {
    let mut mean = Ewma::new(seconds(60));
    assert_eq!(mean.value(), None);
    mean.update(seconds(100), f64::NAN);
    assert_eq!(mean.value(), None);
    mean.update(seconds(100), 5.0);
    // The clock goes backwards: no weight, and time counts from there.
    mean.update(seconds(0), 50.0);
    mean.update(seconds(0), f64::INFINITY);
    assert_eq!(mean.value(), Some(5.0));
    mean.update(seconds(60), 10.0);
    let value = mean.value().expect("fed");
    let expected = 10.0 - 5.0 / std::f64::consts::E;
    assert!((value - expected).abs() < 1e-9, "{value}");
    mean.update(Duration::MAX, 7.0);
    assert_eq!(mean.value(), Some(7.0), "after ages only the new counts");

    let mut last = Ewma::new(Duration::ZERO);
    last.update(seconds(1), 5.0);
    last.update(seconds(2), 6.0);
    assert_eq!(last.value(), Some(6.0));
}

proptest! {
    /// Beside an oracle that keeps everything and adds it up.
    #[test]
    fn increases_are_those_of_an_oracle(
        moves in prop::collection::vec((1u64..5, 0u64..50, prop::bool::weighted(0.1)), 1..60),
        over in 1u64..40,
    ) {
        let mut windows = Windows::new(seconds(1), seconds(1000)).expect("valid");
        let (mut now, mut count) = (0, 0);
        let mut all: Vec<(u64, u64, u64)> = Vec::new();
        for (pause, more, is_reset) in moves {
            now += pause;
            count = if is_reset { more } else { count + more };
            // A reset to more than there was cannot be seen; the oracle sees what a reader sees.
            let before = all.last().map_or(0, |(_, count, _)| *count);
            all.push((now, count, count.checked_sub(before).unwrap_or(count)));
            windows.feed(seconds(now), total(count));
        }
        let expected = now.checked_sub(over).and_then(|start| {
            let first = all.iter().rposition(|(at, ..)| *at <= start)?;
            let is_covered = start - all[first].0 <= 2;
            let increase = all[first + 1..].iter().map(|(_, _, more)| more).sum();
            is_covered.then_some((increase, now - all[first].0))
        });
        let increase = windows.increase("c", &[], seconds(over));
        prop_assert_eq!(increase, expected.map(|(increase, _)| increase));
        let rate = windows.rate("c", &[], seconds(over));
        prop_assert_eq!(rate, expected.map(|(more, time): (u64, u64)| more as f64 / time as f64));
    }

    #[test]
    fn no_sequence_of_times_breaks_it(
        times in prop::collection::vec(prop_oneof![0u64..100, any::<u64>()], 0..50),
        over in prop_oneof![0u64..100, any::<u64>()],
    ) {
        let mut windows = Windows::new(seconds(3), seconds(30)).expect("valid");
        for (count, time) in times.into_iter().enumerate() {
            windows.feed(seconds(time), total(count as u64));
            prop_assert!(windows.len() <= 13);
            if let Some(rate) = windows.rate("c", &[], seconds(over)) {
                prop_assert!(rate.is_finite() && rate >= 0.0);
            }
            let smooth = windows.smoothed_rate("c", &[], seconds(over));
            prop_assert!(smooth.is_none_or(f64::is_finite));
        }
    }
}

#[test]
fn a_length_between_two_intervals_holds_as_many_as_the_next_one() {
    let mut windows =
        Windows::new(Duration::from_secs(1), Duration::from_millis(2500)).expect("valid");
    for millis in [9500, 10_700, 11_000, 12_000, 13_000, 13_100] {
        windows.feed(Duration::from_millis(millis), empty());
    }
    assert_eq!(windows.len(), 3 + 3);
}
