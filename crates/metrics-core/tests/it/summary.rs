//! Summaries: the last samples, exactly.

use std::time::Duration;

use brolly_metrics_core::{Registry, Summary, SummarySnapshot};
use brolly_sync::ManualClock;
use proptest::prelude::*;

fn summary(window: usize) -> Summary {
    let registry = Registry::new();
    registry
        .summary("s")
        .window(window)
        .register()
        .expect("valid")
}

#[test]
fn the_mean_lies_within_the_extremes() {
    for sample in [0.1, -0.3, 1.7e308, f64::MIN, 5e-324] {
        let summary = summary(100);
        for _ in 0..100 {
            summary.observe(sample);
            assert_eq!(summary.snapshot().avg, Some(sample));
        }
    }
}

#[test]
fn nothing_recorded_says_nothing() {
    assert_eq!(summary(10).snapshot(), SummarySnapshot::default());
}

#[test]
fn the_window_slides_and_the_count_goes_on() {
    let summary = summary(3);
    for sample in [100.0, 1.0, 2.0, 6.0] {
        summary.observe(sample);
    }
    let seen = summary.snapshot();
    assert_eq!((seen.count, seen.window_count), (4, 3));
    assert_eq!(
        (seen.min, seen.max, seen.avg),
        (Some(1.0), Some(6.0), Some(3.0))
    );
    assert_eq!(
        (seen.latest, seen.p50, seen.p99),
        (Some(6.0), Some(2.0), Some(6.0))
    );
}

#[test]
fn what_is_not_a_number_is_refused_and_counted() {
    let summary = summary(3);
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        summary.observe(bad);
    }
    let seen = summary.snapshot();
    assert_eq!((seen.count, seen.rejected, seen.latest), (0, 3, None));
}

#[test]
fn samples_older_than_the_maximum_age_are_forgotten() {
    let clock = ManualClock::new();
    let registry = Registry::builder().clock(clock.clone()).build();
    let summary = registry
        .summary("s")
        .max_age(Duration::from_secs(60))
        .register()
        .expect("valid");
    summary.observe(1.0);
    clock.advance(Duration::from_secs(60));
    summary.observe(2.0);
    assert_eq!(summary.snapshot().window_count, 2);
    clock.advance(Duration::from_nanos(1));
    let seen = summary.snapshot();
    assert_eq!((seen.count, seen.window_count, seen.avg), (2, 1, Some(2.0)));
    clock.advance(Duration::MAX);
    let seen = summary.snapshot();
    assert_eq!(
        (seen.window_count, seen.avg, seen.latest),
        (0, None, Some(2.0))
    );
}

#[test]
fn the_mean_of_huge_samples_is_finite() {
    let summary = summary(10);
    for _ in 0..4 {
        summary.observe(f64::MAX);
        summary.observe(-f64::MAX);
    }
    let avg = summary.snapshot().avg.expect("there are samples");
    assert!(avg.abs() <= f64::MAX, "{avg}");
}

proptest! {
    #[test]
    fn a_summary_says_what_its_last_samples_say(
        samples in prop::collection::vec(-1e6..1e6f64, 1..80),
        window in 1..20usize,
    ) {
        let summary = summary(window);
        samples.iter().for_each(|sample| summary.observe(*sample));
        let seen = summary.snapshot();
        let mut last = samples[samples.len().saturating_sub(window)..].to_vec();
        last.sort_by(f64::total_cmp);
        prop_assert_eq!(seen.window_count as usize, last.len());
        prop_assert_eq!(seen.min, last.first().copied());
        prop_assert_eq!(seen.max, last.last().copied());
        let mean = last.iter().sum::<f64>() / last.len() as f64;
        prop_assert!((seen.avg.expect("there are samples") - mean).abs() < 1e-6);
        for (q, found) in [(0.5, seen.p50), (0.95, seen.p95), (0.99, seen.p99)] {
            let rank = (q * last.len() as f64).ceil() as usize;
            prop_assert_eq!(found, Some(last[rank - 1]));
        }
    }
}

#[test]
fn samples_by_name_go_to_the_summary_that_was_registered_with_it() {
    let registry = Registry::new();
    let summary = registry
        .summary("x")
        .window(2)
        .max_age(Duration::from_secs(60));
    let summary = summary.register().expect("valid");
    for sample in [1.0, 2.0, 3.0] {
        registry.record("x", sample).expect("a summary");
    }
    assert_eq!(summary.snapshot().count, 3);
    assert_eq!(summary.snapshot().window_count, 2);
}
