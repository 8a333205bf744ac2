//! Known defects of other caches, each as a promise that it is not here. Those of loading are beside.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use brolly_sync::ManualClock;
use brolly_ttl_cache::{Cache, RemovalCause};

/// moka 0.12: a cache for ten held 74 entries, one for a thousand 1,407, as maintenance lagged.
#[test]
fn a_burst_does_not_outrun_the_bound() {
    let small = Cache::<u64, u64>::builder()
        .max_capacity(10)
        .shards(8)
        .build()
        .unwrap();
    for key in 0..10_000 {
        small.insert(key, key);
        assert!(small.shard_sizes().iter().sum::<u64>() <= 10);
    }
}

/// moka 0.12: an entry heavier than the cache could be read until maintenance came by.
#[test]
fn an_overweight_entry_is_never_visible() {
    let seen = Arc::new(AtomicU64::new(0));
    let cache = Cache::<u64, u64>::builder()
        .max_weight(10)
        .weigher(|_, value| *value)
        .eviction_listener({
            let seen = Arc::clone(&seen);
            move |_, _, cause| {
                if cause == RemovalCause::Rejected {
                    seen.fetch_add(1, Relaxed);
                }
            }
        })
        .build()
        .unwrap();
    cache.insert(1, 11);
    assert_eq!(
        (cache.get(&1), cache.len(), seen.load(Relaxed)),
        (None, 0, 1)
    );
}

/// moka #52 and its limit of a thousand years: long durations panicked.
#[test]
fn a_duration_without_end_is_no_reason_to_panic() {
    let cache = Cache::<u64, u64>::builder()
        .time_to_live(Duration::MAX)
        .time_to_idle(Duration::MAX)
        .build()
        .unwrap();
    cache.insert(1, 1);
    cache.insert_with_ttl(2, 2, Duration::MAX).unwrap();
    assert_eq!((cache.get(&1), cache.get(&2)), (Some(1), Some(2)));
}

/// moka #601: overwriting an expired key told the listener when the new value was already there,
/// and gave the old one out as replaced.
#[test]
fn overwriting_an_expired_key_tells_expired_and_returns_nothing() {
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let clock = ManualClock::new();
    let cache = Cache::<u64, u64>::builder()
        .clock(clock.clone())
        .time_to_live(Duration::from_secs(1))
        .eviction_listener({
            let told = Arc::clone(&told);
            move |key, value, cause| told.lock().unwrap().push((key, value, cause))
        })
        .build()
        .unwrap();
    cache.insert(1, 1);
    clock.advance(Duration::from_secs(1));
    assert_eq!(cache.insert(1, 2), None);
    assert_eq!(*told.lock().unwrap(), [(1, 1, RemovalCause::Expired)]);
    assert_eq!(cache.get(&1), Some(2));
}

/// moka #391: a listener that panicked once was never called again.
#[test]
fn a_listener_survives_its_panics() {
    let calls = Arc::new(AtomicU64::new(0));
    let cache = Cache::<u64, u64>::builder()
        .max_capacity(10)
        .eviction_listener({
            let calls = Arc::clone(&calls);
            move |_, _, _| {
                if calls.fetch_add(1, Relaxed).is_multiple_of(2) {
                    std::panic::resume_unwind(Box::new("on purpose"));
                }
            }
        })
        .build()
        .unwrap();
    for key in 0..100 {
        cache.insert(key, key);
    }
    assert_eq!(calls.load(Relaxed), 90);
    assert_eq!(cache.stats().listener_panics, 45);
}

/// moka #155: after `invalidate_all`, entries could still be seen.
#[test]
fn clear_is_immediate() {
    let cache = Cache::<u64, u64>::builder()
        .max_capacity(10_000)
        .shards(8)
        .build()
        .unwrap();
    for key in 0..5000 {
        cache.insert(key, key);
    }
    assert_eq!(cache.clear(), 5000);
    assert!((0..5000).all(|key| cache.peek(&key).is_none()));
    assert_eq!(cache.iter().count(), 0);
}

/// moka #345, #349, #544: nothing happened, and `len` was wrong, before somebody ran the pending
/// tasks.
#[test]
fn nothing_waits_for_maintenance_to_be_true() {
    let clock = ManualClock::new();
    let cache = Cache::<u64, u64>::builder()
        .clock(clock.clone())
        .time_to_live(Duration::from_secs(1))
        .max_capacity(50)
        .build()
        .unwrap();
    assert!(cache.is_empty());
    for key in 0..100 {
        cache.insert(key, key);
    }
    assert_eq!(cache.len(), 50);
    clock.advance(Duration::from_secs(1));
    assert_eq!((cache.len(), cache.weight()), (0, 0));
}

/// moka #72: memory grew far beyond what the capacity allows while many wrote.
#[test]
fn values_in_memory_are_bounded_while_many_write() {
    let cache = Cache::<u64, Arc<u64>>::builder()
        .max_capacity(100)
        .shards(4)
        .build()
        .unwrap();
    let probe = Arc::new(0);
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let (cache, probe) = (&cache, &probe);
            scope.spawn(move || {
                for round in 0..5000_u64 {
                    cache.insert(thread << 32 | round, Arc::clone(probe));
                    assert!(Arc::strong_count(probe) <= 1 + 100 + 3 * 4);
                }
            });
        }
    });
}

/// moka #64, #65, #176, #177, #329: values leaked when entries were evicted, expired or
/// invalidated at an unlucky moment.
#[test]
fn no_value_outlives_its_cache() {
    let clock = ManualClock::new();
    let probe = Arc::new(0);
    let cache = Cache::<u64, Arc<u64>>::builder()
        .clock(clock.clone())
        .max_capacity(64)
        .time_to_live(Duration::from_secs(1))
        .shards(4)
        .build()
        .unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let (cache, probe, clock) = (&cache, &probe, &clock);
            scope.spawn(move || {
                for round in 0..3000_u64 {
                    let key = (round * 31 + thread) % 200;
                    match round % 8 {
                        0 => cache.invalidate(&key),
                        1 => clock.advance(Duration::from_millis(20)),
                        2 if round % 500 == 2 => drop(cache.clear()),
                        _ => drop(cache.insert(key, Arc::clone(probe))),
                    }
                }
            });
        }
    });
    drop(cache);
    assert_eq!(Arc::strong_count(&probe), 1);
}

/// moka #548, #565, #566, #570: use after free in the timer wheel when an entry's own time to live
/// appeared or went away on an update.
#[test]
fn an_own_time_to_live_may_come_and_go_with_each_write() {
    let clock = ManualClock::new();
    let cache = Cache::<u64, u64>::builder()
        .clock(clock.clone())
        .no_time_to_live()
        .max_capacity(50)
        .expire_with(|_, value| (value % 3 == 0).then(|| Duration::from_millis(1 + value % 700)))
        .build()
        .unwrap();
    for round in 0..20_000_u64 {
        cache.insert(round * 7 % 80, round);
        if round % 5 == 0 {
            cache.remove(&(round % 80));
        }
        clock.advance(Duration::from_millis(round % 4));
    }
    clock.advance(Duration::from_secs(1));
    assert!(cache.iter().all(|(_, value)| value % 3 != 0));
    assert_eq!(cache.len(), cache.iter().count() as u64);
}

/// moka #549, #564: an update without a time of its own kept the end of the value before.
#[test]
fn an_update_without_an_end_of_its_own_has_none() {
    let clock = ManualClock::new();
    let cache = Cache::<u64, u64>::builder()
        .clock(clock.clone())
        .no_time_to_live()
        .build()
        .unwrap();
    cache.insert_with_ttl(1, 1, Duration::from_secs(1)).unwrap();
    cache.insert(1, 2);
    clock.advance(Duration::from_secs(3600));
    assert_eq!(cache.get(&1), Some(2));
    cache.insert_with_ttl(1, 3, Duration::from_secs(1)).unwrap();
    clock.advance(Duration::from_secs(1));
    assert_eq!(cache.get(&1), None);
}

/// moka, spiceai #11077: entries invalidated by a predicate stayed in memory of an idle cache.
#[test]
fn what_a_predicate_invalidates_is_dropped_when_the_call_returns() {
    let probe = Arc::new(0);
    let cache = Cache::<u64, Arc<u64>>::builder()
        .max_capacity(2000)
        .build()
        .unwrap();
    for key in 0..1000 {
        cache.insert(key, Arc::clone(&probe));
    }
    assert_eq!(cache.retain(|key, _| *key < 10), 990);
    assert_eq!(Arc::strong_count(&probe), 11);
}

/// quick_cache: the weigher was asked again on each promotion and eviction, so weights that had
/// changed meanwhile broke the sum; #69: weights that went from zero to more.
#[test]
fn a_weight_counts_as_it_was_when_it_was_written() {
    let unit = Arc::new(AtomicU64::new(0));
    let cache = Cache::<u64, u64>::builder()
        .max_weight(100)
        .weigher({
            let unit = Arc::clone(&unit);
            move |_, _| unit.load(Relaxed)
        })
        .build()
        .unwrap();
    for key in 0..50 {
        cache.insert(key, key);
    }
    assert_eq!((cache.len(), cache.weight()), (50, 0));
    unit.store(10, Relaxed);
    for key in 0..5 {
        cache.insert(key, key);
        let _ = cache.get(&(key + 10));
    }
    assert_eq!((cache.len(), cache.weight()), (50, 50));
    unit.store(1, Relaxed);
    for key in 0..50 {
        cache.remove(&key);
    }
    assert_eq!((cache.len(), cache.weight()), (0, 0));
}

/// cached 4: a value that had expired was given out as the one that was replaced or removed.
#[test]
fn a_displaced_value_that_has_expired_is_not_given_out() {
    let clock = ManualClock::new();
    let cache = Cache::<u64, u64>::builder()
        .clock(clock.clone())
        .time_to_live(Duration::from_secs(1))
        .build()
        .unwrap();
    cache.insert(1, 1);
    cache.insert(2, 2);
    clock.advance(Duration::from_secs(1));
    assert_eq!(cache.insert(1, 10), None);
    assert_eq!(cache.remove(&2), None);
    assert_eq!(cache.iter().collect::<Vec<_>>(), [(1, 10)]);
}

/// cached 4: a per-shard bound, rounded up, let small caches hold more than they were told.
#[test]
fn a_bound_is_not_rounded_by_shards() {
    for capacity in [1, 3, 7, 10, 17] {
        let cache = Cache::<u64, u64>::builder()
            .max_capacity(capacity)
            .shards(16)
            .build()
            .unwrap();
        for key in 0..200 {
            cache.insert(key, key);
        }
        assert_eq!(cache.len(), capacity);
    }
}

/// foyer #802, stretto: replacing the same keys over and over made the cache grow.
#[test]
fn replacing_does_not_grow() {
    let probe = Arc::new(0);
    let cache = Cache::<u64, Arc<u64>>::new(100);
    for round in 0..20_000_u64 {
        cache.insert(round % 10, Arc::clone(&probe));
    }
    assert_eq!((cache.len(), Arc::strong_count(&probe)), (10, 11));
}

/// dashmap and others: a look while iterating could deadlock.
#[test]
fn writing_while_iterating_does_not_deadlock() {
    let cache = Cache::<u64, u64>::new(500);
    for key in 0..300 {
        cache.insert(key, key);
    }
    let mut seen = 0;
    for (key, _) in &cache {
        cache.remove(&key);
        cache.insert(key + 1000, key);
        let _ = cache.get(&key);
        seen += 1;
        if seen > 5000 {
            panic!("the iteration does not end");
        }
    }
    assert!(seen >= 300);
}

/// Caffeine #193: a value that was invalidated while it was written came back. Here: what a clear
/// that began after a write has returned leaves behind is what was written later.
#[test]
fn what_was_removed_does_not_come_back() {
    let cache = Cache::<u64, u64>::builder()
        .max_capacity(1000)
        .shards(4)
        .build()
        .unwrap();
    std::thread::scope(|scope| {
        for thread in 0..3_u64 {
            let cache = &cache;
            scope.spawn(move || {
                // Each thread has keys of its own, so it knows what must be there.
                for round in 0..4000_u64 {
                    let key = thread * 1000 + round % 50;
                    cache.insert(key, round);
                    assert_eq!(cache.get(&key), Some(round));
                    assert_eq!(cache.remove(&key), Some(round));
                    assert_eq!(cache.get(&key), None);
                }
            });
        }
    });
}
