//! Statistics: what they count, and as data.

use std::time::Duration;

use brolly_sync::ManualClock;
use brolly_ttl_cache::{Cache, StatsWindow};

#[test]
fn every_event_is_counted_once_and_where_it_belongs() {
    let clock = ManualClock::new();
    let cache: Cache<u64, u64> = Cache::builder()
        .max_capacity(3)
        .time_to_live(Duration::from_secs(10))
        .clock(clock.clone())
        .build()
        .expect("valid");
    for key in 1..=3 {
        cache.insert(key, key);
    }
    cache.insert(3, 30); // replaces
    cache.insert(4, 4); // evicts 1
    cache.remove(&2);
    cache.remove(&2); // not there
    let _ = (
        cache.get(&3),
        cache.get(&1),
        cache.peek(&3),
        cache.contains_key(&9),
    );
    let stats = cache.stats();
    assert_eq!(
        (
            stats.inserts,
            stats.replaced,
            stats.evictions,
            stats.removals
        ),
        (5, 1, 1, 1)
    );
    assert_eq!((stats.hits, stats.misses), (1, 1));
    assert_eq!(
        (stats.hit_rate, stats.miss_rate, stats.eviction_rate),
        (Some(0.5), Some(0.5), Some(0.2))
    );
    assert_eq!((stats.entries, stats.expired_entries), (2, 0));
    clock.advance(Duration::from_secs(10));
    let stats = cache.stats();
    assert_eq!(
        (stats.entries, stats.expired_entries, stats.expirations),
        (0, 2, 0)
    );
    cache.run_pending_tasks();
    let stats = cache.stats();
    assert_eq!(
        (stats.entries, stats.expired_entries, stats.expirations),
        (0, 0, 2)
    );
}

#[test]
fn two_caches_count_apart() {
    let (one, other): (Cache<u64, u64>, Cache<u64, u64>) = (Cache::new(10), Cache::new(10));
    let _ = one.get(&1);
    assert_eq!((one.stats().misses, other.stats().misses), (1, 0));
    assert_eq!(one.clone().stats(), one.stats());
}

#[test]
fn a_window_shows_what_happened_in_between() {
    let cache: Cache<u64, u64> = Cache::new(2);
    for key in 0..10 {
        let _ = cache.get(&key);
    }
    let before = cache.stats();
    assert_eq!(
        StatsWindow::between(&before, &before),
        StatsWindow::default()
    );
    for key in 0..4 {
        cache.insert(key, key);
        let _ = cache.get(&key);
    }
    let _ = cache.get(&99);
    let window = StatsWindow::between(&before, &cache.stats());
    assert_eq!(
        (window.hits, window.misses, window.inserts, window.evictions),
        (4, 1, 4, 2)
    );
    assert_eq!(
        (window.hit_rate, window.eviction_rate),
        (Some(0.8), Some(0.5))
    );
    assert_eq!(StatsWindow::between(&cache.stats(), &before).hit_rate, None);
}

#[cfg(feature = "serde")]
#[test]
fn rates_are_null_before_there_is_anything_to_divide_by() {
    let cache: Cache<u64, u64> = Cache::new(10);
    let value = serde_json::to_value(cache.stats()).expect("plain data");
    for rate in ["hit_rate", "miss_rate", "eviction_rate", "adaptive_ttl"] {
        assert!(value[rate].is_null(), "{rate}");
    }
    let keys = value.as_object().expect("an object").keys();
    for key in keys {
        assert!(
            key.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_'),
            "{key}"
        );
    }
    let _ = cache.get(&1);
    let value = serde_json::to_value(cache.stats()).expect("plain data");
    assert_eq!(value["hit_rate"], 0.0);
    let read: brolly_ttl_cache::Stats = serde_json::from_value(value).expect("read back");
    assert_eq!(read, cache.stats());
}

#[test]
fn a_cache_tells_its_settings() {
    use brolly_ttl_cache::EvictionPolicy;
    let cache: Cache<u64, u64> = Cache::builder()
        .max_weight(100)
        .weigher(|_, _| 1)
        .no_time_to_live()
        .eviction_policy(EvictionPolicy::Lfu)
        .enabled(false)
        .build()
        .expect("valid");
    assert_eq!(
        (cache.max_capacity(), cache.max_weight()),
        (None, Some(100))
    );
    assert_eq!(
        (cache.time_to_live(), cache.stats().time_to_live),
        (None, None)
    );
    assert_eq!(
        (cache.policy(), cache.is_enabled()),
        (EvictionPolicy::Lfu, false)
    );
    cache.set_max_capacity(7).expect("positive");
    cache.set_enabled(true);
    assert_eq!((cache.max_capacity(), cache.is_enabled()), (Some(7), true));
    assert_eq!(
        Cache::<u64, u64>::new(1).stats().time_to_live,
        Some(Duration::from_secs(300))
    );
}
