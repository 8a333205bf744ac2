//! Several writes at once, or none.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread;

use brolly_ttl_cache::{Cache, RemovalCause, TransactionError};

type Nothing = std::convert::Infallible;

#[test]
fn a_transaction_reads_its_own_writes_and_others_do_not() {
    let cache: Cache<&str, u64> = Cache::new(10);
    cache.insert("a", 1);
    let seen = cache.transaction(|tx| {
        tx.insert("a", 2);
        tx.remove("b");
        assert_eq!(
            (tx.get("a"), tx.get("b"), tx.get("c")),
            (Some(2), None, None)
        );
        assert_eq!(cache.get("a"), Some(1));
        tx.insert("b", 3);
        tx.remove("a");
        Ok::<_, Nothing>(tx.get("b"))
    });
    assert_eq!(seen.expect("applied"), Some(3));
    assert_eq!((cache.get("a"), cache.get("b")), (None, Some(3)));
    assert!(cache.check().is_healthy());
}

#[test]
fn an_error_or_a_panic_applies_nothing() {
    let cache: Cache<u64, u64> = Cache::new(10);
    cache.insert(1, 1);
    let error = cache.transaction(|tx| {
        tx.insert(1, 2);
        tx.insert(2, 2);
        Err::<(), _>("changed my mind")
    });
    assert!(matches!(
        error,
        Err(TransactionError::RolledBack("changed my mind"))
    ));
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        cache.transaction::<(), Nothing>(|tx| {
            tx.remove(1);
            panic!("on purpose")
        })
    }));
    assert!(panicked.is_err());
    assert_eq!((cache.get(&1), cache.get(&2)), (Some(1), None));
}

#[test]
fn readers_of_one_shard_see_all_of_a_transaction_or_nothing() {
    // One value in two keys; a reader that looks at both under one look would see them agree.
    let cache: Cache<u64, u64> = Cache::builder()
        .max_capacity(100)
        .shards(1)
        .build()
        .expect("valid");
    cache
        .transaction(|tx| {
            tx.insert(1, 0);
            tx.insert(2, 0);
            Ok::<_, Nothing>(())
        })
        .expect("applied");
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1..20_000 {
                cache
                    .transaction(|tx| {
                        tx.insert(1, number);
                        tx.insert(2, number);
                        Ok::<_, Nothing>(())
                    })
                    .expect("applied");
            }
            stop.store(true, Relaxed);
        });
        while !stop.load(Relaxed) {
            // Iteration copies both under one lock.
            let mut values: Vec<_> = cache.iter().collect();
            values.sort_unstable();
            assert_eq!(values.len(), 2);
            assert_eq!(values[0].1, values[1].1);
            // Read one after the other, the second is never older.
            let first = cache.get(&1).expect("always there");
            let second = cache.get(&2).expect("always there");
            assert!(second >= first);
        }
    });
}

#[test]
fn the_bounds_hold_and_a_transaction_never_evicts_itself() {
    let cache: Cache<u64, u64> = Cache::builder()
        .max_capacity(50)
        .max_weight(500)
        .weigher(|_, value| *value)
        .shards(4)
        .build()
        .expect("valid");
    for round in 0..200_u64 {
        let keys: Vec<_> = (0..20).map(|key| round * 7 + key).collect();
        cache
            .transaction(|tx| {
                for key in &keys {
                    tx.insert(*key, key % 20);
                }
                Ok::<_, Nothing>(())
            })
            .expect("it fits");
        assert!(cache.len() <= 50 && cache.weight() <= 500);
        let present = keys.iter().filter(|key| cache.contains_key(key)).count();
        // A later shard of the transaction may take room from an earlier one.
        assert!(present >= 10, "{present}");
        let report = cache.check();
        assert!(report.is_healthy(), "{report}");
    }
}

#[test]
fn all_of_a_transaction_is_in_when_it_just_fits_one_shard() {
    let cache: Cache<u64, u64> = Cache::builder()
        .max_capacity(20)
        .shards(1)
        .build()
        .expect("valid");
    for round in 0..50_u64 {
        cache
            .transaction(|tx| {
                for key in 0..20 {
                    tx.insert(round * 10 + key, round);
                }
                Ok::<_, Nothing>(())
            })
            .expect("it fits");
        assert!(
            (0..20).all(|key| cache.get(&(round * 10 + key)) == Some(round)),
            "round {round}"
        );
        assert_eq!(cache.len(), 20);
    }
    // Ten of the keys were there each time: they were replaced, nothing was evicted for them.
    let stats = cache.stats();
    assert_eq!((stats.replaced, stats.evictions), (49 * 10, 49 * 10));
}

#[test]
fn what_does_not_fit_is_refused_as_a_whole() {
    let cache: Cache<u64, u64> = Cache::builder()
        .max_capacity(10)
        .max_weight(100)
        .weigher(|_, value| *value)
        .build()
        .expect("valid");
    cache.insert(1, 1);
    let write = |keys: std::ops::Range<u64>, value| {
        cache.transaction(|tx| {
            for key in keys {
                tx.insert(key, value);
            }
            Ok::<_, Nothing>(())
        })
    };
    let error = write(0..11, 1).expect_err("eleven entries");
    assert_eq!(
        error.to_string(),
        "11 entries that weigh 11 are more than the cache holds"
    );
    assert!(matches!(
        write(0..6, 20),
        Err(TransactionError::TooLarge { weight: 120, .. })
    ));
    assert!(matches!(
        write(0..1, 101),
        Err(TransactionError::Refused { .. })
    ));
    assert_eq!((cache.len(), cache.get(&1)), (1, Some(1)));
    write(0..10, 10).expect("just fits");
    assert_eq!((cache.len(), cache.weight()), (10, 100));
}

#[test]
fn ten_thousand_operations_are_allowed_and_no_more() {
    let cache: Cache<u64, u64> = Cache::new(20_000);
    let run = |operations: u64| {
        cache.transaction(|tx| {
            for key in 0..operations {
                tx.insert(key, key);
            }
            Ok::<_, Nothing>(())
        })
    };
    assert!(matches!(
        run(10_001),
        Err(TransactionError::TooManyOperations { allowed: 10_000 })
    ));
    assert!(cache.is_empty());
    run(10_000).expect("just allowed");
    assert_eq!(cache.len(), 10_000);
}

#[test]
fn the_listener_is_told_after_all_locks_are_released() {
    let slot: Arc<Mutex<Option<Cache<u64, u64>>>> = Arc::default();
    let (own, told) = (Arc::clone(&slot), Arc::new(Mutex::new(Vec::new())));
    let note = Arc::clone(&told);
    let cache: Cache<u64, u64> = Cache::builder()
        .eviction_listener(move |key, value, cause| {
            note.lock().expect("no panic").push((key, value, cause));
            let cache = own.lock().expect("no panic").clone();
            if let Some(cache) = cache.filter(|_| key < 100) {
                cache.set_max_capacity(500).expect("positive");
                let _ = cache.transaction(|tx| {
                    tx.insert(100, 100);
                    Ok::<_, Nothing>(())
                });
            }
        })
        .build()
        .expect("valid");
    cache.insert(1, 1);
    cache.insert(2, 2);
    *slot.lock().expect("no panic") = Some(cache.clone());
    let applied = cache.transaction(|tx| {
        tx.insert(1, 10);
        tx.remove(2);
        Ok::<_, Nothing>(())
    });
    applied.expect("applied");
    slot.lock().expect("no panic").take();
    let mut told = told.lock().expect("no panic").clone();
    told.retain(|(key, _, _)| *key < 100);
    told.sort_by_key(|(key, _, _)| *key);
    assert_eq!(
        told,
        [
            (1, 1, RemovalCause::Replaced),
            (2, 2, RemovalCause::Explicit)
        ]
    );
}

#[test]
fn transactions_and_writers_at_the_same_time_keep_the_bounds() {
    let cache: Cache<u64, u64> = Cache::builder()
        .max_capacity(64)
        .max_weight(1_000)
        .weigher(|_, value| value % 30)
        .shards(4)
        .build()
        .expect("valid");
    thread::scope(|scope| {
        for thread in 0..2_u64 {
            let cache = &cache;
            scope.spawn(move || {
                for step in 0..300 {
                    let applied = cache.transaction(|tx| {
                        for key in 0..20 {
                            tx.insert(thread * 1_000 + step * 3 + key, step + key);
                        }
                        Ok::<_, Nothing>(())
                    });
                    applied.expect("it fits");
                }
            });
            scope.spawn(move || {
                for step in 0..3_000 {
                    cache.insert(thread * 1_000 + step, step);
                    assert!(cache.len() <= 64 && cache.weight() <= 1_000);
                }
            });
        }
    });
    let report = cache.check();
    assert!(report.is_healthy(), "{report}");
}

#[test]
fn keys_of_one_shard_are_known() {
    let one: Cache<u64, u64> = Cache::builder().shards(1).build().expect("valid");
    assert!(one.same_shard(&1, &2));
    let many: Cache<u64, u64> = Cache::builder().shards(64).build().expect("valid");
    assert!(many.same_shard(&1, &1));
    assert!((2..100).any(|key| !many.same_shard(&1, &key)));
}
