//! Snapshots: what is restored is what was there, or nothing.
#![cfg(feature = "serde")]

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use brolly_sync::ManualClock;
use brolly_ttl_cache::{Cache, RestoreError, Snapshot};
use serde_json::{Value, json};

const HOUR: Duration = Duration::from_secs(3600);

fn cache(clock: &ManualClock) -> Cache<String, u64> {
    Cache::builder()
        .max_capacity(100)
        .time_to_live(Duration::from_secs(300))
        .clock(clock.clone())
        .shards(1)
        .build()
        .expect("valid")
}

fn filled(clock: &ManualClock) -> Cache<String, u64> {
    let cache = cache(clock);
    cache.insert("a".to_owned(), 1);
    clock.advance(Duration::from_secs(100));
    cache
        .insert_with_ttl("b".to_owned(), 2, Duration::from_secs(1_000))
        .expect("positive");
    cache
        .insert_with_ttl("c".to_owned(), 3, Duration::MAX)
        .expect("positive");
    cache
        .insert_tagged("d".to_owned(), 4, ["t"])
        .expect("few tags");
    cache
}

/// The snapshot with something else in it.
fn changed(
    snapshot: &Snapshot<String, u64>,
    change: impl FnOnce(&mut Value),
) -> Snapshot<String, u64> {
    let mut value = serde_json::to_value(snapshot).expect("plain data");
    change(&mut value);
    serde_json::from_value(value).expect("still a snapshot")
}

fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_millis() as u64
}

#[test]
fn restored_entries_live_as_long_as_they_had_left() {
    let clock = ManualClock::new();
    let snapshot = filled(&clock).snapshot().expect("plain entries");
    assert_eq!((snapshot.len(), snapshot.version()), (4, 1));
    // Taken 50 seconds ago.
    let snapshot = changed(&snapshot, |value| {
        value["taken_at_ms"] = json!(now_ms() - 50_000);
    });

    let clock = ManualClock::new();
    let cache = cache(&clock);
    assert_eq!(cache.restore(&snapshot, None).expect("sound"), 4);
    let live = |keys: &str| {
        cache.len() == keys.len() as u64
            && keys.chars().all(|key| cache.contains_key(&key.to_string()))
    };
    assert!(live("abcd"));
    // "a" had 200 s left, less the 50.
    clock.advance(Duration::from_secs(149));
    assert!(live("abcd"));
    clock.advance(Duration::from_secs(2));
    assert!(live("bcd"));
    clock.advance(Duration::from_secs(100));
    assert!(live("bc"));
    clock.advance(Duration::from_secs(700));
    assert!(live("c"));
    clock.advance(Duration::from_secs(1 << 40));
    assert!(live("c"));
}

#[test]
fn what_has_expired_meanwhile_is_left_out() {
    let clock = ManualClock::new();
    let snapshot = filled(&clock).snapshot().expect("plain entries");
    let snapshot = changed(&snapshot, |value| {
        value["taken_at_ms"] = json!(now_ms() - 250_000);
    });
    let cache = cache(&ManualClock::new());
    assert_eq!(cache.restore(&snapshot, None).expect("sound"), 3);
    assert!(!cache.contains_key("a"));
}

#[test]
fn tags_and_newer_values_survive() {
    let clock = ManualClock::new();
    let snapshot = filled(&clock).snapshot().expect("plain entries");
    let cache = cache(&clock);
    cache.insert("a".to_owned(), 100);
    assert_eq!(cache.restore(&snapshot, None).expect("sound"), 3);
    assert_eq!(cache.get("a"), Some(100));
    assert_eq!(cache.invalidate_tag("t"), 1);
    assert_eq!(cache.get("d"), None);
}

#[test]
fn the_order_of_use_survives() {
    let clock = ManualClock::new();
    let old = cache(&clock);
    for key in 0..100 {
        old.insert(key.to_string(), key);
    }
    for key in (0..50).rev() {
        let _ = old.get(&key.to_string());
    }
    let new = cache(&clock);
    assert_eq!(
        new.restore(&old.snapshot().expect("plain"), None)
            .expect("sound"),
        100
    );
    assert_eq!(new.shrink_to(0.5), Ok(50));
    assert!((0..50).all(|key: u64| new.contains_key(&key.to_string())));
    assert_eq!(new.shrink_to(0.02), Ok(49));
    assert!(new.contains_key("0"));
}

#[test]
fn each_reason_to_refuse_has_its_error_and_leaves_the_cache_alone() {
    let clock = ManualClock::new();
    let snapshot = filled(&clock).snapshot().expect("plain entries");
    let cache = cache(&clock);
    cache.insert("mine".to_owned(), 7);
    let refused = |change: &dyn Fn(&mut Value)| {
        let error = cache
            .restore(&changed(&snapshot, change), None)
            .expect_err("refused");
        assert_eq!((cache.len(), cache.get("mine")), (1, Some(7)));
        error
    };
    let error = refused(&|value| value["version"] = json!(2));
    assert!(
        matches!(
            error,
            RestoreError::Version {
                found: 2,
                expected: 1
            }
        ),
        "{error}"
    );
    let error = refused(&|value| value["format"] = json!("other"));
    assert!(matches!(error, RestoreError::Format), "{error}");
    let error = refused(&|value| value["taken_at_ms"] = json!(now_ms() + 60_000));
    assert!(matches!(error, RestoreError::Future { .. }), "{error}");
    let error = refused(&|value| value["taken_at_ms"] = json!(u64::MAX));
    assert!(matches!(error, RestoreError::Future { .. }), "{error}");
    let error = refused(&|value| value["taken_at_ms"] = json!(now_ms() - 3_600_500));
    assert!(
        matches!(error, RestoreError::TooOld { max_age: HOUR, .. }),
        "{error}"
    );
    let error = refused(&|value| value["checksum"] = json!(1));
    assert!(
        matches!(error, RestoreError::Truncated { entries: 4 }),
        "{error}"
    );
    let error = refused(&|value| {
        value["entries"].as_array_mut().expect("entries").pop();
    });
    assert!(
        matches!(error, RestoreError::Truncated { entries: 3 }),
        "{error}"
    );
    let error = refused(&|value| {
        let text = value["entries"][1]
            .as_str()
            .expect("text")
            .replace("\"b\"", "\"x\"");
        value["entries"][1] = json!(text);
    });
    assert!(
        matches!(error, RestoreError::Checksum { entry: 1 }),
        "{error}"
    );
    for damaged in ["", "zz", "+0000000 []", "00000000 []", "äöü"] {
        let error = refused(&|value| value["entries"][0] = json!(damaged));
        assert!(
            matches!(error, RestoreError::Checksum { entry: 0 }),
            "{error}"
        );
    }
}

#[test]
fn more_or_heavier_entries_than_allowed_are_refused() {
    let clock = ManualClock::new();
    let snapshot = filled(&clock).snapshot().expect("plain entries");
    let small: Cache<String, u64> = Cache::new(3);
    let error = small.restore(&snapshot, None).expect_err("four entries");
    assert!(
        matches!(error, RestoreError::TooManyEntries { max_entries: 3 }),
        "{error}"
    );
    let light: Cache<String, u64> = Cache::builder()
        .max_weight(9)
        .weigher(|_, value| *value)
        .build()
        .expect("valid");
    let error = light.restore(&snapshot, None).expect_err("they weigh ten");
    assert!(
        matches!(error, RestoreError::TooHeavy { max_weight: 9 }),
        "{error}"
    );
    assert!(small.is_empty() && light.is_empty());
}

#[test]
fn another_type_is_an_error() {
    let snapshot = filled(&ManualClock::new())
        .snapshot()
        .expect("plain entries");
    let value = serde_json::to_value(&snapshot).expect("plain data");
    let other: Snapshot<String, String> =
        serde_json::from_value(value).expect("not looked into yet");
    let cache: Cache<String, String> = Cache::new(10);
    let error = cache
        .restore(&other, None)
        .expect_err("numbers are no texts");
    assert!(
        matches!(error, RestoreError::Entry { entry: 0, .. }),
        "{error}"
    );
    assert!(cache.is_empty());
}

#[test]
fn a_stream_is_restored_as_it_was_written() {
    let clock = ManualClock::new();
    let mut text = Vec::new();
    assert_eq!(filled(&clock).write_snapshot(&mut text).expect("memory"), 4);
    let cache = cache(&clock);
    assert_eq!(cache.read_snapshot(&text[..], None).expect("sound"), 4);
    let all: HashMap<_, _> = cache.iter().collect();
    let expected =
        [("a", 1), ("b", 2), ("c", 3), ("d", 4)].map(|(key, value)| (key.to_owned(), value));
    assert_eq!(all, HashMap::from(expected));
}

#[test]
fn a_stream_that_is_cut_or_damaged_anywhere_changes_nothing() {
    let clock = ManualClock::new();
    let mut text = Vec::new();
    filled(&clock).write_snapshot(&mut text).expect("memory");
    let cache = cache(&clock);
    for end in 0..text.len() {
        assert!(
            cache.read_snapshot(&text[..end], None).is_err(),
            "cut at {end}"
        );
    }
    let header = text
        .iter()
        .position(|byte| *byte == b'\n')
        .expect("a first line");
    for at in 0..text.len() {
        let mut damaged = text.clone();
        damaged[at] ^= 1;
        // Digits of the time may change and make another time that is just as good.
        if at > header {
            assert!(
                cache.read_snapshot(&damaged[..], None).is_err(),
                "damaged at {at}"
            );
        } else {
            let _ = cache.read_snapshot(&damaged[..], None);
            cache.clear();
        }
    }
    assert!(cache.is_empty());
    for nonsense in [
        &b""[..],
        b"\n",
        b"null\n",
        b"{}\n",
        b"\xff\xff\n",
        &[0; 1_000],
    ] {
        let error = cache
            .read_snapshot(nonsense, None)
            .expect_err("no snapshot");
        assert!(
            matches!(
                error,
                RestoreError::Format | RestoreError::Checksum { entry: 0 }
            ),
            "{error}"
        );
    }
}

#[test]
fn idle_time_is_not_taken_for_time_to_live() {
    let clock = ManualClock::new();
    let build = || -> Cache<String, u64> {
        Cache::builder()
            .time_to_live(Duration::from_secs(300))
            .time_to_idle(Duration::from_secs(10))
            .clock(clock.clone())
            .build()
            .expect("valid")
    };
    let old = build();
    old.insert("a".to_owned(), 1);
    clock.advance(Duration::from_secs(9));
    let new = build();
    assert_eq!(
        new.restore(&old.snapshot().expect("plain"), None)
            .expect("sound"),
        1
    );
    for _ in 0..20 {
        clock.advance(Duration::from_secs(9));
        assert_eq!(new.get("a"), Some(1));
    }
}

#[test]
fn types_need_no_default() {
    #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    enum Shape {
        Square { side: u64 },
    }
    let old: Cache<u64, Shape> = Cache::new(10);
    old.insert(1, Shape::Square { side: 2 });
    let text = serde_json::to_string(&old.snapshot().expect("plain")).expect("text");
    let snapshot: Snapshot<u64, Shape> = serde_json::from_str(&text).expect("a snapshot");
    let new: Cache<u64, Shape> = Cache::new(10);
    assert_eq!(new.restore(&snapshot, None).expect("sound"), 1);
    assert_eq!(new.get(&1), Some(Shape::Square { side: 2 }));
}

#[test]
fn what_json_cannot_say_is_an_error() {
    let cache: Cache<u64, std::collections::BTreeMap<(u8, u8), u8>> = Cache::new(10);
    cache.insert(1, [((1, 2), 3)].into());
    assert!(cache.snapshot().is_err());
    let mut text = Vec::new();
    assert!(cache.write_snapshot(&mut text).is_err());
    // What was written of it is no snapshot.
    assert!(cache.read_snapshot(&text[..], None).is_err());
}
