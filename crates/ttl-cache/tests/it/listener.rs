//! Who leaves is told, once, why, in order, without a lock.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use brolly_sync::ManualClock;
use brolly_ttl_cache::{Cache, CacheBuilder, RemovalCause};

type Told = Arc<Mutex<Vec<(u64, u64, RemovalCause)>>>;

fn told_to(builder: CacheBuilder<u64, u64>) -> (Cache<u64, u64>, Told) {
    let told = Told::default();
    let log = Arc::clone(&told);
    let builder = builder.eviction_listener(move |key, value, cause| {
        log.lock().expect("nobody panics").push((key, value, cause));
    });
    (builder.build().expect("the setting is valid"), told)
}

fn take(told: &Told) -> Vec<(u64, u64, RemovalCause)> {
    std::mem::take(&mut told.lock().expect("nobody panics"))
}

#[test]
fn each_cause_is_told_as_what_it_is() {
    let clock = ManualClock::new();
    let (cache, told) = told_to(
        Cache::builder()
            .clock(clock.clone())
            .max_capacity(2)
            .max_weight(100)
            .weigher(|_, value| *value)
            .shards(1)
            .time_to_live(Duration::from_secs(1)),
    );
    cache.insert(1, 1);
    cache.insert(1, 2);
    assert_eq!(take(&told), [(1, 1, RemovalCause::Replaced)]);
    cache.insert(2, 2);
    cache.insert(3, 3);
    assert_eq!(take(&told), [(1, 2, RemovalCause::Size)]);
    cache.remove(&2);
    assert_eq!(take(&told), [(2, 2, RemovalCause::Explicit)]);
    cache.insert(4, 101);
    assert_eq!(take(&told), [(4, 101, RemovalCause::Rejected)]);
    clock.advance(Duration::from_secs(1));
    assert_eq!(cache.len(), 0);
    assert_eq!(take(&told), [(3, 3, RemovalCause::Expired)]);
    cache.insert(5, 5);
    cache.clear();
    assert_eq!(take(&told), [(5, 5, RemovalCause::Explicit)]);
    assert_eq!(cache.retain(|_, _| false), 0);
    cache.remove(&5);
    assert_eq!(take(&told), []);
}

#[test]
fn an_expired_entry_is_told_as_expired_whoever_comes_across_it() {
    type Find = fn(&Cache<u64, u64>);
    let finders: [(&str, Find); 6] = [
        ("len", |cache| assert!(cache.is_empty())),
        ("remove", |cache| assert_eq!(cache.remove(&1), None)),
        ("clear", |cache| assert_eq!(cache.clear(), 0)),
        ("insert of the same key", |cache| {
            assert_eq!(cache.insert(1, 2), None)
        }),
        ("insert of another key", |cache| {
            assert_eq!(cache.insert(2, 2), None)
        }),
        ("maintenance", |cache| {
            let _ = cache.run_pending_tasks();
        }),
    ];
    for (name, find) in finders {
        let clock = ManualClock::new();
        let (cache, told) = told_to(
            Cache::builder()
                .clock(clock.clone())
                .time_to_live(Duration::from_secs(1)),
        );
        cache.insert(1, 1);
        clock.advance(Duration::from_secs(1));
        assert_eq!(cache.get(&1), None);
        find(&cache);
        assert_eq!(take(&told), [(1, 1, RemovalCause::Expired)], "{name}");
    }
}

#[test]
fn the_new_value_is_there_when_the_old_one_is_told() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let handle: Arc<std::sync::OnceLock<Cache<u64, u64>>> = Arc::default();
    let cache = Cache::builder()
        .eviction_listener({
            let (seen, handle) = (Arc::clone(&seen), Arc::clone(&handle));
            move |key, value, _| {
                let now = handle
                    .get()
                    .expect("set before the first insert")
                    .peek(&key);
                seen.lock().unwrap().push((value, now));
            }
        })
        .build()
        .unwrap();
    assert!(handle.set(cache.clone()).is_ok());
    for value in 0..4 {
        cache.insert(1, value);
    }
    cache.remove(&1);
    assert_eq!(
        *seen.lock().unwrap(),
        [(0, Some(1)), (1, Some(2)), (2, Some(3)), (3, None)]
    );
}

#[test]
fn a_replaced_value_is_told_and_returned() {
    let (cache, told) = told_to(Cache::builder());
    cache.insert(1, 10);
    assert_eq!(cache.insert(1, 11), Some(10));
    assert_eq!(cache.remove(&1), Some(11));
    assert_eq!(
        take(&told),
        [
            (1, 10, RemovalCause::Replaced),
            (1, 11, RemovalCause::Explicit)
        ]
    );
}

#[test]
fn causes_are_counted_in_the_statistics_of_their_cache_alone() {
    let clock = ManualClock::new();
    let new = || {
        told_to(
            Cache::builder()
                .clock(clock.clone())
                .max_capacity(3)
                .time_to_live(Duration::from_secs(1)),
        )
    };
    let ((cache, told), (idle, _)) = (new(), new());
    for key in 0..5 {
        cache.insert(key, key);
    }
    cache.insert(4, 5);
    cache.remove(&3);
    clock.advance(Duration::from_secs(1));
    assert_eq!(cache.len(), 0);
    let stats = cache.stats();
    assert_eq!((stats.inserts, stats.replaced, stats.evictions), (6, 1, 2));
    assert_eq!((stats.removals, stats.expirations), (1, 2));
    assert_eq!(take(&told).len(), 6);
    assert_eq!(idle.stats().inserts, 0);
    assert_eq!(idle.stats().hit_rate, None, "an unused cache has no rate");
}

#[test]
fn causes_have_names_for_logs() {
    let names = [
        RemovalCause::Expired,
        RemovalCause::Size,
        RemovalCause::Explicit,
        RemovalCause::Replaced,
        RemovalCause::Rejected,
    ]
    .map(|cause| cause.to_string());
    assert_eq!(
        names,
        ["expired", "size", "explicit", "replaced", "rejected"]
    );
}
