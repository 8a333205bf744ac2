//! Changing one key: nothing of anybody else is lost.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use brolly_sync::ManualClock;
use brolly_ttl_cache::{Cache, Compute, Computed, Refusal};

#[test]
fn eight_threads_that_count_lose_nothing() {
    let cache: Cache<u8, u64> = Cache::builder()
        .no_time_to_live()
        .shards(4)
        .build()
        .expect("valid");
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for step in 0..2_000_u64 {
                    let key = (step % 2) as u8;
                    cache.compute(key, |before| Compute::Put(before.unwrap_or(0) + 1));
                }
            });
        }
    });
    assert_eq!(cache.get(&0), Some(8_000));
    assert_eq!(cache.get(&1), Some(8_000));
}

#[test]
fn and_modify_loses_nothing_either() {
    let cache: Cache<u8, u64> = Cache::new(10);
    cache.insert(1, 0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..1_000 {
                    let _ = cache.entry(1).and_modify(|value| *value += 1);
                }
            });
        }
    });
    assert_eq!(cache.get(&1), Some(4_000));
}

#[test]
fn a_value_is_taken_by_one_only() {
    let cache: Cache<u64, u64> = Cache::new(10);
    for round in 0..500 {
        cache.insert(round, round);
        let taken: usize = thread::scope(|scope| {
            let take = || {
                usize::from(matches!(
                    cache.compute(round, |_| Compute::Remove),
                    Computed::Removed(_)
                ))
            };
            let takers: Vec<_> = (0..3).map(|_| scope.spawn(take)).collect();
            takers
                .into_iter()
                .map(|taker| taker.join().expect("no panic"))
                .sum()
        });
        assert_eq!(taken, 1, "round {round}");
    }
}

#[test]
fn compute_asks_again_when_the_key_was_written_meanwhile() {
    let cache: Cache<&str, u64> = Cache::new(10);
    cache.insert("a", 1);
    let asked = Cell::new(0);
    let computed = cache.compute("a", |before| {
        asked.set(asked.get() + 1);
        if asked.get() == 1 {
            // The closure runs without a lock, so it may use the cache.
            cache.insert("a", 10);
        }
        Compute::Put(before.expect("it is there") + 1)
    });
    assert_eq!(asked.get(), 2);
    assert_eq!(
        computed,
        Computed::Put {
            before: Some(10),
            after: 11
        }
    );
    assert_eq!(cache.get("a"), Some(11));
}

#[test]
fn compute_removes_keeps_and_says_what_there_is() {
    let cache: Cache<&str, u64> = Cache::new(10);
    assert_eq!(cache.compute("a", |_| Compute::Keep), Computed::Kept(None));
    assert_eq!(
        cache.compute("a", |_| Compute::Remove),
        Computed::Kept(None)
    );
    cache.insert("a", 1);
    assert_eq!(
        cache.compute("a", |_| Compute::Keep),
        Computed::Kept(Some(1))
    );
    assert_eq!(
        cache.compute("a", |_| Compute::Remove),
        Computed::Removed(1)
    );
    assert_eq!(cache.get("a"), None);
    assert_eq!(cache.stats().removals, 1);
}

#[test]
fn compute_never_sees_an_expired_value() {
    let clock = ManualClock::new();
    let cache: Cache<&str, u64> = Cache::builder()
        .time_to_live(Duration::from_secs(1))
        .clock(clock.clone())
        .build()
        .expect("valid");
    cache.insert("a", 1);
    clock.advance(Duration::from_secs(1));
    let computed = cache.compute("a", |before| {
        assert_eq!(before, None);
        Compute::Put(2)
    });
    assert_eq!(computed.into_value(), Some(2));
}

#[test]
fn a_panic_in_compute_changes_nothing_and_blocks_nobody() {
    let cache: Cache<&str, u64> = Cache::new(10);
    cache.insert("a", 1);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        cache.compute("a", |_| panic!("on purpose"));
    }));
    assert!(panicked.is_err());
    assert_eq!(cache.get("a"), Some(1));
    assert_eq!(
        cache.compute("a", |_| Compute::Put(2)).into_value(),
        Some(2)
    );
}

#[test]
fn what_is_too_heavy_is_refused_and_the_old_value_stays() {
    let cache: Cache<u8, u64> = Cache::builder()
        .max_weight(10)
        .weigher(|_, value| *value)
        .build()
        .expect("valid");
    cache.insert(1, 5);
    match cache.compute(1, |_| Compute::Put(11)) {
        Computed::Refused {
            before,
            value,
            reason,
        } => {
            assert_eq!((before, value), (Some(5), 11));
            assert_eq!(
                reason,
                Refusal::TooHeavy {
                    weight: 11,
                    max_weight: 10
                }
            );
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(cache.get(&1), Some(5));
    assert_eq!(cache.replace_if(1, 11, |_| true), Err(11));
    assert_eq!(cache.insert_if_absent(1, 11), Some(5));
    assert_eq!(cache.insert_if_absent(2, 11), None);
    assert_eq!(cache.get(&2), None);
    assert_eq!(cache.stats().rejections, 1);
}

#[test]
fn insert_if_absent_gives_the_value_that_is_there() {
    let cache: Cache<&str, u64> = Cache::new(10);
    assert_eq!(cache.insert_if_absent("a", 1), None);
    assert_eq!(cache.insert_if_absent("a", 2), Some(1));
    assert_eq!(cache.get("a"), Some(1));
}

#[test]
fn of_many_that_insert_if_absent_one_gets_through() {
    let cache: Cache<u64, usize> = Cache::new(1_000);
    for key in 0..300 {
        let results: Vec<_> = thread::scope(|scope| {
            let cache = &cache;
            let insert = |number| move || cache.insert_if_absent(key, number);
            let threads: Vec<_> = (0..3).map(|number| scope.spawn(insert(number))).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().expect("no panic"))
                .collect()
        });
        let there = cache.get(&key).expect("one wrote it");
        assert_eq!(results.iter().filter(|result| result.is_none()).count(), 1);
        assert!(results.into_iter().flatten().all(|seen| seen == there));
    }
}

#[test]
fn replace_if_replaces_what_it_was_asked_about() {
    let cache: Cache<&str, u64> = Cache::new(10);
    assert_eq!(cache.replace_if("a", 1, |_| true), Err(1));
    cache.insert("a", 1);
    assert_eq!(cache.replace_if("a", 2, |value| *value == 7), Err(2));
    assert_eq!(cache.replace_if("a", 2, |value| *value == 1), Ok(1));
    assert_eq!(cache.get("a"), Some(2));
}

#[test]
fn an_entry_makes_a_value_when_there_is_none() {
    let cache: Cache<&str, u64> = Cache::new(10);
    let entry = cache.entry("a");
    assert_eq!(entry.key(), &"a");
    assert_eq!(entry.or_insert(1), 1);
    assert_eq!(
        cache.entry("a").or_insert_with(|| panic!("there is one")),
        1
    );
    assert_eq!(
        cache
            .entry("a")
            .and_modify(|value| *value += 1)
            .or_insert(9),
        2
    );
    assert_eq!(
        cache
            .entry("b")
            .and_modify(|value| *value += 1)
            .or_default(),
        0
    );
    assert_eq!(cache.entry("c").into_key(), "c");
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses), (2, 2));
}

#[test]
fn a_cache_that_is_off_computes_and_stores_nothing() {
    let cache: Cache<&str, u64> = Cache::new(10);
    cache.insert("a", 1);
    cache.set_enabled(false);
    let computed = cache.compute("a", |before| Compute::Put(before.unwrap_or(40) + 2));
    assert_eq!(computed.into_value(), Some(42));
    assert_eq!(cache.insert_if_absent("b", 1), None);
    assert_eq!(cache.replace_if("a", 3, |_| true), Err(3));
    cache.set_enabled(true);
    assert_eq!((cache.get("a"), cache.get("b")), (Some(1), None));
}
