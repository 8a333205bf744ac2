//! Defects of the caches that this one was written to replace, each as a promise that it is not here.

use std::time::{Duration, Instant};

use brolly_sync::ManualClock;
use brolly_ttl_cache::Cache;

fn small(clock: &ManualClock) -> Cache<String, u64> {
    let builder = Cache::builder().clock(clock.clone()).max_capacity(3);
    let builder = builder.time_to_live(Duration::from_secs(300));
    builder.build().expect("the setting is valid")
}

/// One evicted on every write of a full cache, new key or not.
#[test]
fn overwriting_an_existing_key_evicts_nobody() {
    let cache = small(&ManualClock::new());
    for key in ["a", "b", "c"] {
        cache.insert(key.into(), 1);
    }
    for round in 2..10 {
        cache.insert("b".into(), round);
    }
    assert_eq!((cache.len(), cache.stats().evictions), (3, 0));
}

/// One could not tell a cached nothing from a miss.
#[test]
fn a_cached_none_is_not_a_miss() {
    let cache = Cache::<&str, Option<u64>>::new(10);
    cache.insert("none", None);
    assert_eq!(cache.get("none"), Some(None));
    assert_eq!(cache.get("missing"), None);
    assert_eq!(cache.stats().hit_rate, Some(0.5));
}

/// One reported a literal zero, another a literal "60 %", as its hit rate.
#[test]
fn the_hit_rate_is_measured() {
    let cache = small(&ManualClock::new());
    assert_eq!(
        cache.stats().hit_rate,
        None,
        "there is none before the first lookup"
    );
    cache.insert("a".into(), 1);
    for _ in 0..3 {
        assert_eq!(cache.get("a"), Some(1));
    }
    assert_eq!(cache.get("b"), None);
    let stats = cache.stats();
    assert_eq!((stats.hit_rate, stats.miss_rate), (Some(0.75), Some(0.25)));
}

/// All monitors of one shared one counter.
#[test]
fn two_caches_count_apart() {
    let (good, bad) = (small(&ManualClock::new()), small(&ManualClock::new()));
    good.insert("a".into(), 1);
    for _ in 0..10 {
        assert_eq!(good.get("a"), Some(1));
        assert_eq!(bad.get("a"), None);
    }
    assert_eq!(good.stats().hit_rate, Some(1.0));
    assert_eq!(bad.stats().hit_rate, Some(0.0));
}

/// One set the age of an entry back when it was read: with a time to live of 1 s it was still
/// served after 2.7 s.
#[test]
fn a_time_to_live_does_not_turn_into_a_time_to_idle() {
    let clock = ManualClock::new();
    let cache = Cache::<&str, u64>::builder()
        .clock(clock.clone())
        .time_to_live(Duration::from_secs(1))
        .build()
        .unwrap();
    cache.insert("a", 1);
    for _ in 0..9 {
        clock.advance(Duration::from_millis(111));
        assert_eq!(cache.get("a"), Some(1));
    }
    clock.advance(Duration::from_millis(1));
    assert_eq!(cache.get("a"), None);
}

/// One compared with "later than", so that an entry outlived its time by one reading of the clock.
#[test]
fn an_entry_has_ended_when_its_time_is_exactly_over() {
    let clock = ManualClock::new();
    let cache = small(&clock);
    cache.insert("a".into(), 1);
    clock.advance(Duration::from_secs(300));
    assert_eq!(cache.get("a"), None);
}

/// One promised automatic cleanup and had none; another removed expired searches only when they
/// were asked for again, so they piled up.
#[test]
fn expired_entries_go_without_being_asked_for() {
    let clock = ManualClock::new();
    let cache = Cache::<u64, u64>::builder()
        .clock(clock.clone())
        .max_capacity(1_000_000)
        .time_to_live(Duration::from_secs(1))
        .build()
        .unwrap();
    for key in 0..100_000 {
        cache.insert(key, key);
        clock.advance(Duration::from_micros(200));
    }
    // Five thousand are written in a second; the others went by the writes of those that came.
    let held: u64 = cache.shard_sizes().iter().sum();
    assert!(held <= 10_000, "{held} are held for 5,000 that live");
    clock.advance(Duration::from_secs(1));
    let _ = cache.run_pending_tasks();
    assert_eq!(
        cache.shard_sizes().iter().sum::<u64>(),
        0,
        "and the rest without traffic"
    );
}

/// One scanned all entries to count the expired ones, and all keys to evict one.
#[test]
fn the_cost_of_an_eviction_does_not_grow_with_the_cache() {
    let time = |entries: u64| {
        let cache = Cache::<u64, u64>::builder()
            .max_capacity(entries)
            .shards(1)
            .build()
            .unwrap();
        for key in 0..entries {
            cache.insert(key, key);
        }
        let mut best = Duration::MAX;
        for round in 1..6 {
            let start = Instant::now();
            for key in 0..2_000 {
                cache.insert(round << 32 | key, key);
            }
            best = best.min(start.elapsed());
        }
        best
    };
    let (small, large) = (time(1_000), time(100_000));
    // A scan would cost a hundred times as much; memory that is not at hand costs some.
    assert!(
        large < small * 20,
        "{small:?} with 1,000 entries, {large:?} with 100,000"
    );
}

/// One measured memory by sampling a hundred entries on each write.
#[test]
fn the_weigher_is_asked_once_a_write() {
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counter = std::sync::Arc::clone(&asked);
    let cache = Cache::<u64, u64>::builder()
        .max_weight(100)
        .weigher(move |_, _| {
            counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            2
        })
        .build()
        .unwrap();
    for key in 0..500 {
        cache.insert(key % 80, key);
        let _ = cache.get(&(key % 80));
        if key % 9 == 0 {
            cache.remove(&(key % 80));
        }
    }
    cache.clear();
    assert_eq!(asked.load(std::sync::atomic::Ordering::Relaxed), 500);
}

/// One looked for victims in the shard of the new key alone, and then refused the write with
/// "bounds exceeded"; it locked other shards while it held one.
#[test]
fn a_write_of_an_entry_that_fits_is_never_refused() {
    let cache = Cache::<u64, u64>::builder()
        .max_weight(1000)
        .weigher(|_, value| *value)
        .shards(8)
        .build()
        .unwrap();
    for key in 0..5000 {
        assert!(cache.try_insert(key, 1 + key * 97 % 1000).is_ok());
        assert!(cache.weight() <= 1000);
    }
}

/// One joined key and limit with a colon, so different questions could have one key.
#[test]
fn keys_are_values_and_not_their_text() {
    let cache = Cache::<(String, String), u64>::new(10);
    cache.insert(("a:b".into(), "c".into()), 1);
    cache.insert(("a".into(), "b:c".into()), 2);
    assert_eq!(cache.len(), 2);
}

/// One gave its cached array out by reference: changing it changed later answers.
#[test]
fn what_is_given_out_is_not_what_is_held() {
    let cache = Cache::<u64, Vec<u64>>::new(10);
    cache.insert(1, vec![1, 2, 3]);
    let mut mine = cache.get(&1).unwrap();
    mine.clear();
    assert_eq!(cache.get(&1), Some(vec![1, 2, 3]));
}

/// One was not to be switched off although its configuration said so.
#[test]
fn switched_off_means_that_nothing_is_found_and_nothing_is_stored() {
    let cache = Cache::<u64, u64>::builder().enabled(false).build().unwrap();
    cache.insert(1, 1);
    assert_eq!(cache.get(&1), None);
    cache.set_enabled(true);
    assert_eq!(cache.get(&1), None, "nothing was stored meanwhile");
}

/// Clearing one cleared another cache, and not the one that was meant.
#[test]
fn clearing_empties_this_cache_and_only_this() {
    let clock = ManualClock::new();
    let (one, other) = (small(&clock), small(&clock));
    one.insert("a".into(), 1);
    other.insert("a".into(), 2);
    assert_eq!(one.clear(), 1);
    assert_eq!((one.get("a"), other.get("a")), (None, Some(2)));
}
