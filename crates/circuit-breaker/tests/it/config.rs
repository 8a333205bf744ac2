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
        (builder().failures(3), "failures"),
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

#[test]
fn the_window_that_was_set_last_counts() {
    let builder = CircuitBreaker::builder()
        .consecutive_failures(1)
        .count_window(20);
    let breaker = builder.failure_rate(1.0).minimum_calls(2).build().unwrap();
    crate::support::fail(&breaker).unwrap();
    crate::support::fail(&breaker).unwrap();
    assert!(crate::support::fail(&breaker).is_err());
    let builder = CircuitBreaker::builder()
        .count_window(20)
        .consecutive_failures(1);
    let breaker = builder.build().unwrap();
    crate::support::fail(&breaker).unwrap();
    assert!(crate::support::fail(&breaker).is_err());
}

#[cfg(feature = "serde")]
#[test]
fn a_configuration_file_says_what_the_builder_can() {
    use brolly_circuit_breaker::Config;
    let read = |text: &str| serde_json::from_str::<Config>(text);
    let text = r#"{"name":"n","time_window":"10s","failures":3,"failure_rate":0.5,
        "slow_call_rate":{"longer_than":"1s","rate":0.5},"minimum_calls":5,"open_for":"1m30s",
        "backoff":{"factor":2.0,"max":"5m"},"permitted_probes":2,
        "success_rate":{"probes":3,"rate":0.5},"max_half_open_wait":"1m",
        "count_cancel_as_failure":true,"count_panic_as_failure":false,"totals":false,
        "event_capacity":8}"#;
    let config = read(text).unwrap();
    let breaker = config.builder().unwrap().build().unwrap();
    for _ in 0..3 {
        crate::support::fail(&breaker).unwrap();
    }
    assert_eq!(breaker.snapshot().retry_after.unwrap().as_secs(), 89);
    let written = serde_json::to_string(&config).unwrap();
    assert_eq!(read(&written).unwrap(), config);
    assert_eq!(serde_json::to_string(&Config::default()).unwrap(), "{}");
    for wrong in [
        r#"{"failurerate":0.5}"#,
        r#"{"open_for":60}"#,
        r#"{"open_for":"60"}"#,
    ] {
        read(wrong).unwrap_err();
    }
    for (text, field) in [
        (r#"{"count_window":5,"time_window":"5s"}"#, "count_window"),
        (
            r#"{"consecutive_failures":5,"time_window":"5s"}"#,
            "consecutive_failures",
        ),
        (
            r#"{"consecutive_failures":5,"count_window":5}"#,
            "consecutive_failures",
        ),
        (
            r#"{"success_threshold":1,"success_rate":{"probes":1,"rate":1.0}}"#,
            "success_threshold",
        ),
    ] {
        assert_eq!(
            read(text).unwrap().builder().map(drop).unwrap_err().field(),
            field
        );
    }
    let none = read(r#"{"count_window":0}"#).unwrap().builder().unwrap();
    assert_eq!(none.build().map(drop).unwrap_err().field(), "count_window");
}
