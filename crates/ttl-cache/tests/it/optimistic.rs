//! Reads without a lock answer as reads with one do.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use brolly_sync::ManualClock;
use brolly_ttl_cache::Cache;

use crate::support::POLICIES;

#[test]
fn every_plain_type_can_be_a_key_and_a_value() {
    macro_rules! round_trip {
        ($($value:expr),* $(,)?) => {$({
            let cache = Cache::builder().optimistic_reads().build().unwrap();
            cache.insert($value, $value);
            assert_eq!(cache.get(&$value), Some($value));
            assert_eq!(cache.insert($value, $value), Some($value));
            assert_eq!(cache.remove(&$value), Some($value));
            assert_eq!(cache.get(&$value), None);
        })*};
    }
    round_trip!(
        7_u8,
        7_u16,
        7_u32,
        7_u64,
        7_u128,
        7_usize,
        -7_i8,
        -7_i16,
        -7_i32,
        -7_i64,
        -7_i128,
        true,
        'ü',
        (),
        [1_u8; 33],
        [[1_u16; 3]; 5],
        [9_u128; 2],
        [0_u64; 0],
        std::num::NonZeroU8::MIN,
        std::num::NonZeroI64::MAX,
    );
    let floats = Cache::builder().optimistic_reads().build().unwrap();
    floats.insert(1, 1.5_f64);
    assert_eq!(floats.get(&1), Some(1.5));
}

#[test]
fn an_array_is_found_by_its_slice() {
    let cache = Cache::<[u8; 4], u32>::builder()
        .optimistic_reads()
        .build()
        .unwrap();
    cache.insert([1, 2, 3, 4], 5);
    assert_eq!(cache.get(&[1, 2, 3, 4][..]), Some(5));
    assert_eq!(cache.get(&[1, 2, 3][..]), None);
}

/// Whatever a reader sees of a counter that is only written upwards never goes back.
#[test]
fn reads_of_one_key_never_go_back() {
    for policy in POLICIES {
        let cache = Cache::<u64, u64>::builder()
            .eviction_policy(policy)
            .shards(1)
            .optimistic_reads()
            .build()
            .unwrap();
        cache.insert(0, 0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for value in 1..=40_000 {
                    cache.insert(0, value);
                }
            });
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut last = 0;
                    while last < 40_000 {
                        let now = cache.get(&0).expect("it is always there");
                        assert!(now >= last, "{now} after {last}");
                        last = now;
                    }
                });
            }
        });
    }
}

/// A write that has returned is seen by whoever learns that it has.
#[test]
fn a_write_is_seen_by_whoever_knows_of_it() {
    let cache = Cache::<u64, u64>::builder()
        .optimistic_reads()
        .build()
        .unwrap();
    let told = AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for value in 1..=50_000 {
                if value % 3 == 0 {
                    cache.remove(&(value % 8));
                }
                cache.insert(value % 8, value);
                told.store(value, Release);
            }
        });
        scope.spawn(|| {
            let mut known = 0;
            while known < 50_000 {
                known = told.load(Acquire);
                if known > 0 {
                    // Its own writer may have taken it out since, or have written it again.
                    let seen = cache.get(&(known % 8));
                    let later = told.load(Acquire);
                    assert!(
                        seen.is_some_and(|seen| seen >= known) || later > known || seen.is_none(),
                        "{known} was written, {seen:?} was read"
                    );
                }
            }
        });
    });
}

#[test]
fn lookups_of_all_threads_are_counted_once_each() {
    for plain in [false, true] {
        let mut builder = Cache::<u64, u64>::builder().max_capacity(64);
        if plain {
            builder = builder.optimistic_reads();
        }
        let cache = builder.build().unwrap();
        for key in 0..50 {
            cache.insert(key, key);
        }
        for _ in 0..3 {
            // Threads come and go; their counts stay.
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        for round in 0..1000_u64 {
                            let _ = cache.get(&(round % 100));
                        }
                    });
                }
                scope.spawn(|| {
                    for round in 0..500 {
                        cache.insert(round % 50, round);
                    }
                });
            });
        }
        let stats = cache.stats();
        assert_eq!(
            (stats.hits, stats.misses),
            (6000, 6000),
            "optimistic: {plain}"
        );
        assert_eq!(stats.hit_rate, Some(0.5));
    }
}

#[test]
fn lookups_in_destructors_of_a_thread_are_counted_too() {
    struct Last(Cache<u64, u64>);
    impl Drop for Last {
        fn drop(&mut self) {
            assert_eq!(self.0.get(&1), Some(1));
            let _ = self.0.get(&2);
        }
    }
    thread_local! {
        static LAST: std::cell::RefCell<Option<Last>> = const { std::cell::RefCell::new(None) };
    }
    let cache = Cache::<u64, u64>::builder()
        .optimistic_reads()
        .build()
        .unwrap();
    cache.insert(1, 1);
    let other = cache.clone();
    std::thread::spawn(move || {
        LAST.with(|last| *last.borrow_mut() = Some(Last(other.clone())));
        let _ = other.get(&1);
    })
    .join()
    .unwrap();
    assert_eq!((cache.stats().hits, cache.stats().misses), (2, 1));
}

#[test]
fn an_expired_value_is_not_read_without_a_lock_either() {
    let clock = ManualClock::new();
    let cache = Cache::<u64, u64>::builder()
        .clock(clock.clone())
        .time_to_live(Duration::from_secs(1))
        .optimistic_reads()
        .build()
        .unwrap();
    cache.insert(1, 1);
    clock.advance(Duration::from_nanos(999_999_999));
    assert_eq!(cache.get(&1), Some(1));
    clock.advance(Duration::from_nanos(1));
    assert_eq!(cache.get(&1), None);
}

/// A value whose next clone waits inside a lookup until it is let on.
struct Held(Arc<Gate>);

#[derive(Default)]
struct Gate {
    armed: AtomicBool,
    inside: AtomicBool,
    open: AtomicBool,
}

impl Clone for Held {
    fn clone(&self) -> Self {
        if self.0.armed.swap(false, Ordering::SeqCst) {
            self.0.inside.store(true, Ordering::SeqCst);
            while !self.0.open.load(Ordering::SeqCst) {
                thread::yield_now();
            }
        }
        Self(Arc::clone(&self.0))
    }
}

#[test]
fn a_writer_waits_for_lookups_that_took_no_lock() {
    let gate = Arc::new(Gate::default());
    let cache: Cache<u64, Held> = Cache::builder().shards(1).build().unwrap();
    cache.insert(1, Held(Arc::clone(&gate)));
    // After so many reads without a write, lookups take no lock.
    for _ in 0..10_000 {
        assert!(cache.get(&1).is_some());
    }
    thread::scope(|scope| {
        gate.armed.store(true, Ordering::SeqCst);
        let reader = scope.spawn(|| cache.get(&1).is_some());
        while !gate.inside.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        let (done, written) = std::sync::mpsc::channel();
        let (cache, other) = (&cache, Arc::clone(&gate));
        scope.spawn(move || {
            cache.insert(1, Held(other));
            done.send(()).unwrap();
        });
        let early = written.recv_timeout(Duration::from_millis(100));
        gate.open.store(true, Ordering::SeqCst);
        assert!(early.is_err(), "written while a lookup had a reference");
        assert!(reader.join().unwrap());
        written.recv().unwrap();
    });
}
