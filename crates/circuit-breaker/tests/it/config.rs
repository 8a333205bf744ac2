//! Settings out of range are named, with their value and what is allowed.

use std::time::Duration;

use brolly_circuit_breaker::{CircuitBreaker, CircuitBreakerBuilder, ConfigError, Jitter};

use crate::support::SECOND;

fn refused(builder: CircuitBreakerBuilder) -> (&'static str, String) {
    let error = builder.build().map(drop).unwrap_err();
    (error.field(), error.to_string())
}

#[test]
fn every_setting_out_of_range_is_refused_by_name() {
    let builder = CircuitBreaker::builder;
    let rates = [
        0.0,
        -0.1,
        1.000_001,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
    ];
    let window = || builder().count_window(10);
    for (settings, field) in [
        (builder().consecutive_failures(0), "consecutive_failures"),
        (window().failures(0), "failures"),
        (window().failures(11), "failures"),
        (window().minimum_calls(0), "minimum_calls"),
        (window().minimum_calls(11), "minimum_calls"),
        (builder().count_window(0), "count_window"),
        (builder().count_window(65_537), "count_window"),
        (builder().time_window(Duration::ZERO), "time_window"),
        (
            builder().time_window(Duration::from_nanos(9)),
            "time_window",
        ),
        (builder().time_window_in(SECOND, 0), "time_window_in"),
        (builder().time_window_in(SECOND, 1_025), "time_window_in"),
        (
            window().slow_call_rate(Duration::ZERO, 0.5),
            "slow_call_rate",
        ),
        (builder().open_for(Duration::ZERO), "open_for"),
        (builder().backoff(0.9, 90 * SECOND), "backoff"),
        (builder().backoff(f64::NAN, 90 * SECOND), "backoff"),
        (builder().backoff(f64::INFINITY, 90 * SECOND), "backoff"),
        (builder().backoff(2.0, 59 * SECOND), "backoff"),
        (builder().jitter(Jitter::Above(1.1)), "jitter"),
        (builder().jitter(Jitter::Proportional(f64::NAN)), "jitter"),
        (builder().permitted_probes(0), "permitted_probes"),
        (builder().permitted_probes(65_536), "permitted_probes"),
        (builder().success_threshold(0), "success_threshold"),
        (builder().success_threshold(65_536), "success_threshold"),
        (builder().success_rate(0, 0.5), "success_rate"),
        (builder().success_rate(65_536, 0.5), "success_rate"),
        (
            builder().max_half_open_wait(Duration::ZERO),
            "max_half_open_wait",
        ),
        (builder().event_capacity(0), "event_capacity"),
        (builder().event_capacity(65_537), "event_capacity"),
        (builder().name(""), "name"),
        (builder().name("a\u{0}b"), "name"),
        (builder().name("x".repeat(257)), "name"),
    ] {
        let (named, text) = refused(settings);
        assert_eq!(named, field, "{text}");
        assert!(
            text.starts_with(field) && text.contains("allowed is"),
            "{text}"
        );
    }
    for rate in rates {
        let shown = format!("is {rate}, allowed is more than 0, at most 1");
        for (settings, field) in [
            (window().failure_rate(rate), "failure_rate"),
            (window().slow_call_rate(SECOND, rate), "slow_call_rate"),
            (builder().success_rate(10, rate), "success_rate"),
        ] {
            assert_eq!(refused(settings), (field, format!("{field} {shown}")));
        }
    }
}

#[test]
fn settings_without_a_meaning_are_refused_rather_than_ignored() {
    let builder = || CircuitBreaker::builder().consecutive_failures(3);
    for (settings, field) in [
        (builder().failure_rate(0.5), "failure_rate"),
        (builder().minimum_calls(5), "minimum_calls"),
        (builder().slow_call_rate(SECOND, 0.5), "slow_call_rate"),
    ] {
        let error = settings.build().map(drop).unwrap_err();
        assert!(matches!(error, ConfigError::Conflict { .. }));
        assert_eq!(error.field(), field);
    }
}

#[test]
fn the_ends_of_every_range_are_allowed() {
    let builder = CircuitBreaker::builder;
    for settings in [
        builder().consecutive_failures(1),
        builder().consecutive_failures(u32::MAX),
        builder().count_window(1),
        builder()
            .count_window(65_536)
            .failures(65_536)
            .minimum_calls(65_536),
        builder().time_window(Duration::MAX),
        builder().time_window_in(Duration::from_nanos(1), 1),
        builder().count_window(1).slow_call_rate(Duration::MAX, 1.0),
        builder().count_window(1).failure_rate(f64::MIN_POSITIVE),
        builder()
            .open_for(Duration::MAX)
            .backoff(f64::MAX, Duration::MAX),
        builder().open_for(Duration::from_nanos(1)),
        builder().permitted_probes(65_535).success_threshold(65_535),
        builder().success_rate(65_535, 1.0),
        builder().max_half_open_wait(Duration::MAX),
        builder().max_half_open_wait(None),
        builder().event_capacity(1),
        builder().name("x".repeat(256)),
    ] {
        settings.build().unwrap();
    }
}

#[test]
fn a_registry_of_nothing_is_refused() {
    let error = CircuitBreaker::builder().registry(0).map(drop).unwrap_err();
    assert_eq!(error.field(), "max_breakers");
}
