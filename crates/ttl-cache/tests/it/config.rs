//! Configuration as data: every key does what it says.
#![cfg(feature = "serde")]

use std::time::Duration;

use brolly_sync::ManualClock;
use brolly_ttl_cache::{AdaptiveTtl, Cache, Config, EvictionPolicy, TimeToLive};

type Numbers = Cache<u64, u64>;

fn config(text: &str) -> Config {
    serde_json::from_str(text).expect("a configuration")
}

fn built(text: &str) -> Numbers {
    Cache::builder()
        .config(&config(text))
        .build()
        .expect("valid")
}

/// A cache whose builder was told something else before.
fn timed(text: &str, clock: &ManualClock) -> Numbers {
    let builder = Cache::builder().clock(clock.clone()).no_time_to_live();
    builder.config(&config(text)).build().expect("valid")
}

#[test]
fn an_empty_configuration_changes_nothing() {
    let given = Cache::<u64, u64>::builder().max_capacity(7).shards(2);
    let cache = given.config(&config("{}")).build().expect("valid");
    assert_eq!(cache.stats().max_entries, Some(7));
    assert_eq!(cache.shard_sizes().len(), 2);
    assert_eq!(config("{}"), Config::default());
}

#[test]
fn max_capacity_is_taken_over() {
    assert_eq!(built(r#"{"max_capacity": 5}"#).stats().max_entries, Some(5));
}

#[test]
fn max_weight_is_taken_over() {
    let builder = Cache::<u64, u64>::builder().weigher(|_, value| *value);
    let cache = builder
        .config(&config(r#"{"max_weight": 9}"#))
        .build()
        .expect("valid");
    assert_eq!(cache.stats().max_weight, Some(9));
}

#[test]
fn time_to_live_is_taken_over() {
    let clock = ManualClock::new();
    let cache = timed(r#"{"time_to_live": "1m30s"}"#, &clock);
    cache.insert(1, 1);
    clock.advance(Duration::from_secs(89));
    assert!(cache.contains_key(&1));
    clock.advance(Duration::from_secs(1));
    assert!(!cache.contains_key(&1));

    let builder = Cache::<u64, u64>::builder().clock(clock.clone());
    let cache = builder
        .config(&config(r#"{"time_to_live": "never"}"#))
        .build()
        .expect("valid");
    cache.insert(1, 1);
    clock.advance(Duration::from_secs(1 << 30));
    assert!(cache.contains_key(&1));
}

#[test]
fn time_to_idle_is_taken_over() {
    let clock = ManualClock::new();
    let cache = timed(r#"{"time_to_idle": "500ms"}"#, &clock);
    cache.insert(1, 1);
    clock.advance(Duration::from_millis(500));
    assert!(!cache.contains_key(&1));
}

#[test]
fn ttl_jitter_is_taken_over() {
    let clock = ManualClock::new();
    let cache = timed(
        r#"{"max_capacity": 1000, "time_to_live": "1000s", "ttl_jitter": 0.5}"#,
        &clock,
    );
    for key in 0..1_000 {
        cache.insert(key, key);
    }
    clock.advance(Duration::from_secs(750));
    let left = cache.len();
    assert!((300..700).contains(&left), "about half of them: {left}");
}

#[test]
fn adaptive_ttl_is_taken_over() {
    let text = r#"{"adaptive_ttl": {"min": "1s", "max": "1h", "target_hit_rate": 0.9}}"#;
    assert!(built(text).stats().adaptive_ttl.is_some());
    assert!(built("{}").stats().adaptive_ttl.is_none());
}

#[test]
fn eviction_policy_is_taken_over() {
    let cache = built(r#"{"max_capacity": 2, "eviction_policy": "fifo"}"#);
    cache.insert(1, 1);
    cache.insert(2, 2);
    let _ = cache.get(&1);
    cache.insert(3, 3);
    assert!(
        !cache.contains_key(&1),
        "the first one in goes, although it was read"
    );
}

#[test]
fn shards_are_taken_over() {
    assert_eq!(built(r#"{"shards": 16}"#).shard_sizes().len(), 16);
}

#[test]
fn enabled_is_taken_over() {
    let cache = built(r#"{"enabled": false}"#);
    cache.insert(1, 1);
    assert_eq!(cache.get(&1), None);
    assert_eq!(cache.stats().bypassed, 1);
}

#[test]
fn settings_of_loading_are_taken_over() {
    for (key, value) in [
        ("refresh_after", "\"30s\""),
        ("refresh_early", "1.5"),
        ("stale_while_revalidate", "\"30s\""),
        ("stale_if_error", "\"30s\""),
        ("cache_errors_for", "\"30s\""),
        ("load_timeout", "\"30s\""),
        ("max_concurrent_loads", "3"),
    ] {
        let plain = format!("{:?}", Cache::<u64, u64>::builder());
        let text = format!("{{\"{key}\": {value}}}");
        let builder = Cache::<u64, u64>::builder().config(&config(&text));
        let shown = format!("{builder:?}");
        let written = format!("Some({})", value.trim_matches('"'));
        assert!(!plain.contains(&format!("{key}: {written}")));
        assert!(
            shown.contains(&format!("{key}: {written}")),
            "{key}: {shown}"
        );
    }
}

#[test]
fn what_is_out_of_range_is_found_when_the_cache_is_built() {
    for (text, field) in [
        (r#"{"max_capacity": 0}"#, "max_capacity"),
        (r#"{"time_to_live": "0s"}"#, "time_to_live"),
        (r#"{"shards": 3}"#, "shards"),
        (r#"{"ttl_jitter": 1.0}"#, "ttl_jitter"),
        (r#"{"max_concurrent_loads": 0}"#, "max_concurrent_loads"),
        (r#"{"refresh_early": 0.0}"#, "refresh_early"),
        (
            r#"{"adaptive_ttl": {"min": "2s", "max": "1s", "target_hit_rate": 0.9}}"#,
            "adaptive_ttl.max",
        ),
    ] {
        let error = Cache::<u64, u64>::builder()
            .config(&config(text))
            .build()
            .expect_err(text);
        assert_eq!(error.field, field);
    }
}

#[test]
fn unknown_keys_and_wrong_texts_are_errors() {
    for text in [
        r#"{"max_capcity": 5}"#,
        r#"{"time_to_live": 30}"#,
        r#"{"time_to_live": "30"}"#,
        r#"{"time_to_live": "forever"}"#,
        r#"{"time_to_idle": "-1s"}"#,
        r#"{"max_capacity": -1}"#,
        r#"{"eviction_policy": "best"}"#,
        r#"{"adaptive_ttl": {"min": "1s", "max": "2s", "target_hit_rate": 0.5, "more": 1}}"#,
    ] {
        assert!(serde_json::from_str::<Config>(text).is_err(), "{text}");
    }
}

#[test]
fn a_configuration_is_written_as_it_is_read() {
    let mut config = Config::default();
    config.max_capacity = Some(5);
    config.time_to_live = Some(TimeToLive::For(Duration::from_millis(90_500)));
    config.time_to_idle = Some(Duration::from_secs(60));
    config.eviction_policy = Some(EvictionPolicy::SoonestExpiry);
    config.adaptive_ttl = Some(AdaptiveTtl {
        min: Duration::from_secs(1),
        max: Duration::from_secs(7_200),
        target_hit_rate: 0.5,
    });
    let text = serde_json::to_string(&config).expect("plain data");
    let expected = concat!(
        r#"{"max_capacity":5,"time_to_live":"1m30s500ms","time_to_idle":"1m","#,
        r#""adaptive_ttl":{"min":"1s","max":"2h","target_hit_rate":0.5},"eviction_policy":"soonest-expiry"}"#
    );
    assert_eq!(text, expected);
    assert_eq!(self::config(&text), config);
}
