//! Input that nobody should give, and what must still hold then.

use std::cell::Cell;
use std::hash::{BuildHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use brolly_sync::{Clock, ManualClock};
use brolly_ttl_cache::{Cache, EvictionPolicy, RemovalCause};

use crate::support::{POLICIES, with_time_limit};

/// Hashes everything to the same number.
#[derive(Clone, Debug, Default)]
struct Constant;

impl BuildHasher for Constant {
    type Hasher = ConstantHasher;

    fn build_hasher(&self) -> ConstantHasher {
        ConstantHasher
    }
}

struct ConstantHasher;

impl Hasher for ConstantHasher {
    fn finish(&self) -> u64 {
        7
    }

    fn write(&mut self, _: &[u8]) {}
}

/// A panic that does not print.
fn quiet_panic() -> ! {
    resume_unwind(Box::new("on purpose"))
}

fn panics<R>(code: impl FnOnce() -> R) -> bool {
    catch_unwind(AssertUnwindSafe(code)).is_err()
}

#[test]
fn zero_capacity_and_zero_weight_are_refused_with_field_value_and_range() {
    let error = Cache::<u64, u64>::builder()
        .max_capacity(0)
        .build()
        .unwrap_err();
    assert_eq!((error.field, error.value.as_str()), ("max_capacity", "0"));
    assert_eq!(
        error.to_string(),
        "max_capacity is 0, allowed is at least 1"
    );

    let builder = Cache::<u64, u64>::builder().weigher(|_, _| 1).max_weight(0);
    assert_eq!(builder.build().unwrap_err().field, "max_weight");

    let cache = Cache::<u64, u64>::new(10);
    assert!(cache.set_max_capacity(0).is_err());
    cache.insert(1, 1);
    assert_eq!(cache.get(&1), Some(1), "a refused change changes nothing");
}

#[test]
fn zero_capacity_of_new_is_raised_to_one() {
    let cache = Cache::new(0);
    cache.insert(1, 1);
    cache.insert(2, 2);
    assert_eq!(cache.len(), 1);
}

#[test]
fn a_weight_bound_without_a_weigher_is_refused() {
    let built = Cache::<u64, u64>::builder().max_weight(5).build();
    assert_eq!(built.unwrap_err().field, "max_weight");
    assert!(Cache::<u64, u64>::new(10).set_max_weight(5).is_err());
}

#[test]
fn zero_durations_are_refused() {
    let builder = Cache::<u64, u64>::builder;
    let fields = [
        builder().time_to_live(Duration::ZERO).build(),
        builder().time_to_idle(Duration::ZERO).build(),
    ]
    .map(|built| built.unwrap_err().field);
    assert_eq!(fields, ["time_to_live", "time_to_idle"]);

    let cache = Cache::<u64, u64>::new(10);
    cache.insert(1, 10);
    let error = cache.insert_with_ttl(1, 11, Duration::ZERO).unwrap_err();
    assert_eq!((error.key, error.value), (1, 11), "the entry is given back");
    assert_eq!(cache.get(&1), Some(10), "the cache is unchanged");
}

#[test]
fn jitter_out_of_range_is_refused() {
    for share in [-0.1, 1.0, 2.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let built = Cache::<u64, u64>::builder().ttl_jitter(share).build();
        assert_eq!(built.unwrap_err().field, "ttl_jitter", "{share}");
    }
}

#[test]
fn shards_that_are_no_power_of_two_are_refused() {
    for shards in [0, 3, 1 << 17, usize::MAX] {
        let built = Cache::<u64, u64>::builder().shards(shards).build();
        assert_eq!(built.unwrap_err().field, "shards", "{shards}");
    }
}

#[test]
fn zero_from_expire_with_ends_an_entry_at_once() {
    for jitter in [0.0, 0.5] {
        for origin in [Duration::ZERO, Duration::from_secs(5)] {
            let clock = ManualClock::new();
            clock.set(origin);
            let cache = Cache::<u64, u64>::builder()
                .clock(clock)
                .ttl_jitter(jitter)
                .expire_with(|_, _| Some(Duration::ZERO))
                .build()
                .unwrap();
            cache.insert(1, 1);
            assert_eq!(cache.get(&1), None, "jitter {jitter}, clock at {origin:?}");
            assert_eq!(cache.len(), 0);
        }
    }
}

#[test]
fn the_longest_durations_never_end() {
    let clock = ManualClock::new();
    let cache = Cache::<u64, u64>::builder()
        .clock(clock.clone())
        .time_to_live(Duration::MAX)
        .time_to_idle(Duration::MAX)
        .ttl_jitter(0.25)
        .expire_with(|key, _| (*key == 1).then_some(Duration::MAX))
        .build()
        .unwrap();
    cache.insert(1, 1);
    cache.insert(2, 2);
    cache.insert_with_ttl(3, 3, Duration::MAX).unwrap();
    clock.advance(Duration::from_secs(3600 * 24 * 365 * 100));
    for key in 1..=3 {
        assert_eq!(cache.get(&key), Some(key));
    }
    cache.insert(4, 4);
    assert_eq!(cache.len(), 4);
}

#[test]
fn a_clock_at_its_end_neither_panics_nor_loses_the_cache() {
    let clock = ManualClock::new();
    clock.set(Duration::MAX);
    let cache = Cache::<u64, u64>::builder()
        .clock(clock.clone())
        .time_to_idle(Duration::from_secs(1))
        .build()
        .unwrap();
    cache.insert(1, 1);
    clock.advance(Duration::MAX);
    let _ = (
        cache.get(&1),
        cache.len(),
        cache.stats(),
        cache.iter().count(),
    );
    assert_eq!(cache.remove(&1), Some(1));
}

#[test]
fn the_largest_bounds_are_bounds() {
    let cache = Cache::<u64, u64>::builder()
        .max_capacity(u64::MAX)
        .max_weight(u64::MAX)
        .weigher(|_, value| *value)
        .build()
        .unwrap();
    for key in 0..4 {
        cache.insert(key, u64::MAX / 8);
    }
    assert!(cache.len() >= 3);
    assert!(cache.weight() <= u64::MAX / 2);
    cache.set_max_capacity(2).unwrap();
    assert_eq!(cache.len(), 2);
    cache.set_max_capacity(u64::MAX).unwrap();
    cache.insert(9, 1);
    assert_eq!(cache.len(), 3);
}

#[test]
fn weights_that_would_overflow_are_refused_and_the_old_value_goes() {
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let cache = Cache::<u64, u64>::builder()
        .max_weight(10)
        .weigher(|_, value| *value)
        .eviction_listener({
            let told = Arc::clone(&told);
            move |key, value, cause| told.lock().unwrap().push((key, value, cause))
        })
        .build()
        .unwrap();
    cache.insert(1, 10);
    let error = cache.try_insert(1, u64::MAX).unwrap_err();
    assert_eq!((error.key, error.value), (1, u64::MAX));
    assert_eq!(
        cache.peek(&1),
        Some(10),
        "try_insert leaves the cache alone"
    );
    assert_eq!(cache.insert(1, u64::MAX), Some(10));
    assert_eq!((cache.len(), cache.weight()), (0, 0));
    let told = told.lock().unwrap();
    assert_eq!(
        *told,
        [
            (1, 10, RemovalCause::Explicit),
            (1, u64::MAX, RemovalCause::Rejected)
        ]
    );
}

#[test]
fn weights_that_change_between_calls_do_not_corrupt_the_sum() {
    let next = Arc::new(AtomicU64::new(0));
    let cache = Cache::<u64, u64>::builder()
        .max_weight(50)
        .weigher({
            let next = Arc::clone(&next);
            move |_, _| next.fetch_add(3, Relaxed) % 17
        })
        .build()
        .unwrap();
    for key in 0..1000 {
        cache.insert(key % 40, key);
        assert!(cache.weight() <= 50);
        if key % 7 == 0 {
            cache.remove(&(key % 13));
        }
    }
    cache.clear();
    assert_eq!((cache.len(), cache.weight()), (0, 0));
}

#[test]
fn entries_without_weight_count_as_entries() {
    let cache = Cache::<u64, u64>::builder()
        .max_capacity(5)
        .max_weight(1)
        .weigher(|_, _| 0)
        .build()
        .unwrap();
    for key in 0..10 {
        cache.insert(key, key);
    }
    assert_eq!((cache.len(), cache.weight()), (5, 0));
}

#[test]
fn a_panicking_weigher_refuses_the_entry_and_nothing_else() {
    let cache = Cache::<u64, u64>::builder()
        .max_weight(100)
        .weigher(|key, _| if *key == 13 { quiet_panic() } else { 1 })
        .build()
        .unwrap();
    cache.insert(1, 1);
    let error = cache.try_insert(13, 5).unwrap_err();
    assert_eq!((error.key, error.value), (13, 5));
    assert_eq!(error.to_string(), "the weigher panicked");
    cache.insert(13, 5);
    assert_eq!(cache.stats().rejections, 1);
    assert_eq!(
        (cache.get(&1), cache.get(&13), cache.weight()),
        (Some(1), None, 1)
    );
}

#[test]
fn a_panicking_expire_with_refuses_the_entry_and_nothing_else() {
    let cache = Cache::<u64, u64>::builder()
        .expire_with(|key, _| if *key == 13 { quiet_panic() } else { None })
        .build()
        .unwrap();
    cache.insert(1, 1);
    assert!(cache.try_insert(13, 5).is_err());
    assert_eq!((cache.get(&1), cache.get(&13)), (Some(1), None));
}

#[test]
fn a_panicking_listener_is_called_again_each_time() {
    let calls = Arc::new(AtomicU64::new(0));
    let cache = Cache::<u64, u64>::builder()
        .max_capacity(10)
        .eviction_listener({
            let calls = Arc::clone(&calls);
            move |_, _, _| {
                calls.fetch_add(1, Relaxed);
                quiet_panic()
            }
        })
        .build()
        .unwrap();
    for key in 0..100 {
        cache.insert(key, key);
    }
    assert_eq!(calls.load(Relaxed), 90);
    assert_eq!(cache.stats().listener_panics, 90);
    assert_eq!(cache.len(), 10);
}

#[test]
fn a_payload_that_panics_when_it_is_dropped_goes_no_further() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                quiet_panic();
            }
        }
    }
    let cache = Cache::<u64, u64>::builder()
        .max_capacity(1)
        .weigher(|key, _| {
            if *key == 13 {
                resume_unwind(Box::new(Bomb))
            } else {
                1
            }
        })
        .eviction_listener(|_, _, _| resume_unwind(Box::new(Bomb)))
        .build()
        .unwrap();
    assert!(!panics(|| cache.insert(1, 1)));
    assert!(
        !panics(|| cache.insert(2, 2)),
        "the listener's payload got out"
    );
    assert!(
        !panics(|| cache.try_insert(13, 2).is_err()),
        "the weigher's payload got out"
    );
    assert_eq!(cache.len(), 1);
}

thread_local! {
    /// How many more calls of a key's or value's code succeed before one panics.
    static FUSE: Cell<Option<u32>> = const { Cell::new(None) };
}

fn burn() {
    FUSE.with(|fuse| match fuse.get() {
        Some(0) => {
            fuse.set(None);
            quiet_panic()
        }
        Some(left) => fuse.set(Some(left - 1)),
        None => {}
    });
}

/// A key, or a value, whose code panics when the fuse has burned down.
#[derive(Debug)]
struct Touchy(u64);

impl Hash for Touchy {
    fn hash<H: Hasher>(&self, state: &mut H) {
        burn();
        self.0.hash(state);
    }
}

impl PartialEq for Touchy {
    fn eq(&self, other: &Self) -> bool {
        burn();
        self.0 == other.0
    }
}

impl Eq for Touchy {}

impl Clone for Touchy {
    fn clone(&self) -> Self {
        burn();
        Self(self.0)
    }
}

/// Every place at which one call into the cache can be hit by a panic of `Hash`, `Eq` or `Clone`.
#[test]
fn a_panic_of_hash_eq_or_clone_harms_only_its_own_call() {
    type Call = fn(&Cache<Touchy, Touchy, Constant>, &ManualClock);
    let calls: [(&str, Call); 10] = [
        ("get", |cache, _| {
            let _ = cache.get(&Touchy(3));
        }),
        ("insert new", |cache, _| {
            let _ = cache.insert(Touchy(100), Touchy(1));
        }),
        ("insert again", |cache, _| {
            let _ = cache.insert(Touchy(3), Touchy(1));
        }),
        ("insert heavier", |cache, _| {
            let _ = cache.insert(Touchy(3), Touchy(4));
        }),
        ("insert lighter", |cache, _| {
            let _ = cache.insert(Touchy(4), Touchy(1));
        }),
        ("insert too heavy", |cache, _| {
            let _ = cache.insert(Touchy(3), Touchy(99));
        }),
        ("insert after expiry", |cache, clock| {
            clock.advance(Duration::from_secs(7));
            let _ = cache.insert(Touchy(3), Touchy(2));
        }),
        ("remove", |cache, _| {
            let _ = cache.remove(&Touchy(3));
        }),
        ("retain", |cache, _| {
            let _ = cache.retain(|key, _| key.0 % 2 == 0);
        }),
        ("iter", |cache, _| {
            let _ = cache.iter().count();
        }),
    ];
    for listening in [false, true] {
        for (name, call) in &calls {
            for fuse in 0.. {
                let clock = ManualClock::new();
                let mut builder = Cache::<Touchy, Touchy>::builder()
                    .clock(clock.clone())
                    .max_capacity(12)
                    .max_weight(24)
                    .weigher(|_, value| value.0)
                    .expire_with(|key, _| (key.0 < 4).then_some(Duration::from_secs(5)))
                    .shards(2)
                    .hasher(Constant);
                if listening {
                    builder = builder.eviction_listener(|_, _, _| {});
                }
                let cache = builder.build().unwrap();
                for key in 0..12 {
                    cache.insert(Touchy(key), Touchy(2));
                }
                FUSE.set(Some(fuse));
                let burned = panics(|| call(&cache, &clock));
                FUSE.set(None);

                // Nothing of the bounds is lost, and everything works.
                let what = format!("{name}, fuse {fuse}, listening {listening}");
                for key in 200..212 {
                    cache.insert(Touchy(key), Touchy(2));
                }
                assert_eq!(cache.len(), 12, "{what}");
                assert_eq!(cache.weight(), 24, "{what}");
                for key in 200..212 {
                    assert!(cache.get(&Touchy(key)).is_some(), "{what}");
                }
                assert_eq!(cache.clear(), 12, "{what}");
                assert_eq!((cache.len(), cache.weight()), (0, 0), "{what}");
                if !burned {
                    assert!(fuse > 0, "{what}: nothing was tried");
                    break;
                }
            }
        }
    }
}

#[test]
fn a_panicking_destructor_harms_only_its_own_call() {
    struct Explosive(u64, Arc<AtomicU64>);
    impl Drop for Explosive {
        fn drop(&mut self) {
            self.1.fetch_add(1, Relaxed);
            if self.0 == 3 && !std::thread::panicking() {
                quiet_panic();
            }
        }
    }
    let dropped = Arc::new(AtomicU64::new(0));
    let cache = Cache::<u64, Arc<Explosive>>::builder()
        .max_capacity(8)
        .build()
        .unwrap();
    let new = |id| Arc::new(Explosive(id, Arc::clone(&dropped)));
    let mut thrown = 0;
    for key in 0..40 {
        thrown += u64::from(panics(|| cache.insert(key, new(key % 5))));
    }
    assert!(thrown > 0);
    assert_eq!(dropped.load(Relaxed), 32);
    assert_eq!(cache.len(), 8);
    assert!(!panics(|| cache.get(&39)));
    let _ = panics(|| cache.clear());
    for key in 0..8 {
        cache.insert(key, new(0));
    }
    assert_eq!(cache.len(), 8, "no room was lost");
    cache.insert(0, new(3));
    let _ = panics(|| drop(cache));
    assert_eq!(
        dropped.load(Relaxed),
        49,
        "what the panic did not concern was dropped too"
    );
}

#[test]
fn a_constant_hasher_costs_time_and_nothing_else() {
    for policy in POLICIES {
        let cache = Cache::<u64, u64>::builder()
            .max_capacity(200)
            .eviction_policy(policy)
            .hasher(Constant)
            .build()
            .unwrap();
        for key in 0..500 {
            cache.insert(key, key * 2);
            assert_eq!(cache.get(&key), Some(key * 2), "{policy}");
        }
        assert_eq!(cache.len(), 200, "{policy}");
        assert_eq!(cache.iter().count(), 200, "{policy}");
        let odd = cache.iter().filter(|(key, _)| key % 2 == 1).count() as u64;
        assert_eq!(cache.retain(|key, _| key % 2 == 0), odd, "{policy}");
        assert_eq!(cache.len(), 200 - odd, "{policy}");
        assert_eq!(cache.retain(|_, _| false), 200 - odd, "{policy}");
        assert!(cache.is_empty(), "{policy}");
    }
}

/// Holds a cache, which its destructor calls.
struct Caller {
    id: u64,
    cache: Arc<OnceLock<Cache<Caller, Caller>>>,
    calls: Arc<AtomicU64>,
}

impl PartialEq for Caller {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Caller {}

impl Hash for Caller {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl Clone for Caller {
    fn clone(&self) -> Self {
        Self {
            id: self.id,
            cache: Arc::clone(&self.cache),
            calls: Arc::clone(&self.calls),
        }
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        thread_local! {
            static INSIDE: Cell<bool> = const { Cell::new(false) };
        }
        // Once is enough: what the inner call drops does not call again.
        if INSIDE.replace(true) {
            return;
        }
        if let Some(cache) = self.cache.get() {
            self.calls.fetch_add(1, Relaxed);
            let probe = |id| Caller {
                id,
                cache: Arc::clone(&self.cache),
                calls: Arc::clone(&self.calls),
            };
            let _ = cache.get(&probe(self.id));
            let _ = cache.insert(probe(1000), probe(0));
            let _ = cache.remove(&probe(1000));
        }
        INSIDE.set(false);
    }
}

#[test]
fn destructors_of_keys_and_values_may_call_the_cache() {
    for listening in [false, true] {
        for policy in POLICIES {
            with_time_limit(&format!("{policy}, listening {listening}"), move || {
                let holder = Arc::new(OnceLock::new());
                let calls = Arc::new(AtomicU64::new(0));
                let clock = ManualClock::new();
                let mut builder = Cache::<Caller, Caller>::builder()
                    .clock(clock.clone())
                    .max_capacity(4)
                    .max_weight(10)
                    .weigher(|_, value| value.id.min(20))
                    .eviction_policy(policy);
                if listening {
                    builder = builder.eviction_listener(|_, _, _| {});
                }
                let cache = builder.build().unwrap();
                let new = |id| Caller {
                    id,
                    cache: Arc::clone(&holder),
                    calls: Arc::clone(&calls),
                };
                assert!(holder.set(cache.clone()).is_ok());
                for round in 0..20 {
                    let _ = cache.insert(new(round % 6), new(round % 5));
                    let _ = cache.insert(new(round % 6), new((round + 1) % 5));
                    let _ = cache.insert(new(7), new(20));
                    let _ = cache.get(&new(round % 6));
                    let _ = cache.remove(&new(round % 3));
                    let _ = cache.retain(|key, _| key.id != round % 6);
                    clock.advance(Duration::from_secs(100));
                    let _ = cache.len();
                }
                let _ = cache.clear();
                assert!(calls.load(Relaxed) > 0);
            });
        }
    }
}

#[test]
fn a_listener_may_call_every_method_of_the_cache() {
    for policy in POLICIES {
        with_time_limit(&policy.to_string(), move || {
            let holder: Arc<OnceLock<Cache<u64, u64>>> = Arc::default();
            let calls = Arc::new(AtomicU64::new(0));
            let clock = ManualClock::new();
            let cache = Cache::<u64, u64>::builder()
                .clock(clock.clone())
                .max_capacity(4)
                .max_weight(100)
                .weigher(|_, value| *value)
                .eviction_policy(policy)
                .eviction_listener({
                    let (holder, calls) = (Arc::clone(&holder), Arc::clone(&calls));
                    move |key, value, _| {
                        thread_local! {
                            static DEPTH: Cell<u32> = const { Cell::new(0) };
                        }
                        calls.fetch_add(1, Relaxed);
                        // A listener that writes is called for what it makes leave, too.
                        if DEPTH.get() == 2 {
                            return;
                        }
                        DEPTH.set(DEPTH.get() + 1);
                        let cache = holder.get().expect("set before the first insert");
                        let _ = cache.get(&key);
                        let _ = cache.peek(&key);
                        let _ = cache.contains_key(&key);
                        let _ = cache.insert(key + 1, value);
                        let _ = cache.try_insert(key + 2, 1000);
                        let _ = cache.insert_with_ttl(key, 1, Duration::from_secs(1));
                        let _ = cache.remove(&(key + 1));
                        cache.invalidate(&(key + 2));
                        let _ = cache.retain(|key, _| key % 3 != 0);
                        let _ = (cache.len(), cache.is_empty(), cache.weight());
                        let _ = (cache.iter().count(), cache.keys().count());
                        let _ = (cache.stats(), cache.shard_sizes());
                        let _ = cache.set_max_capacity(3);
                        let _ = cache.set_max_capacity(4);
                        let _ = cache.set_max_weight(99);
                        let _ = cache.set_max_weight(100);
                        cache.set_enabled(true);
                        let _ = cache.clone();
                        let _ = cache.clear();
                        DEPTH.set(DEPTH.get() - 1);
                    }
                })
                .build()
                .unwrap();
            assert!(holder.set(cache.clone()).is_ok());
            for key in 0..50 {
                cache.insert(key % 9, key % 7);
                cache.insert(key % 9, 1000);
                cache.remove(&(key % 4));
                clock.advance(Duration::from_millis(400));
            }
            cache.set_max_capacity(1).unwrap();
            cache.clear();
            assert!(calls.load(Relaxed) > 50);
        });
    }
}

#[test]
fn two_heavy_inserts_at_once_both_end() {
    with_time_limit("heavy inserts", || {
        let cache = Cache::<u64, u64>::builder()
            .max_weight(100)
            .weigher(|_, value| *value)
            .shards(16)
            .build()
            .unwrap();
        std::thread::scope(|scope| {
            for thread in 0..4_u64 {
                let cache = &cache;
                scope.spawn(move || {
                    for round in 0..3000 {
                        for light in 0..10 {
                            cache.insert(thread * 1000 + light, 10);
                        }
                        cache.insert(thread * 1000 + 100 + round % 50, 60 + thread);
                    }
                });
            }
        });
        assert!(cache.weight() <= 100);
    });
}

#[test]
fn an_insert_ends_although_the_bound_falls_below_its_weight() {
    with_time_limit("shrinking bound", || {
        let cache = Cache::<u64, u64>::builder()
            .max_weight(100)
            .weigher(|_, value| *value)
            .shards(2)
            .build()
            .unwrap();
        for round in 0..4000 {
            cache.set_max_weight(100).unwrap();
            let barrier = std::sync::Barrier::new(2);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    barrier.wait();
                    cache.insert(round % 10, 50);
                });
                barrier.wait();
                cache.set_max_weight(10).unwrap();
            });
            assert!(cache.weight() <= 10);
        }
    });
}

#[test]
fn a_cache_that_is_switched_off_finds_and_stores_nothing_and_keeps_what_it_has() {
    let cache = Cache::<u64, u64>::new(10);
    cache.insert(1, 10);
    cache.set_enabled(false);
    assert_eq!(cache.get(&1), None);
    assert_eq!(cache.peek(&1), None);
    assert!(!cache.contains_key(&1));
    assert_eq!(cache.insert(2, 20), None);
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.bypassed), (0, 0, 1));
    cache.set_enabled(true);
    assert_eq!((cache.get(&1), cache.get(&2)), (Some(10), None));
}

#[test]
fn an_overwrite_that_needs_room_does_not_change_the_order_of_eviction() {
    for policy in [EvictionPolicy::Fifo, EvictionPolicy::Lfu] {
        let cache = Cache::<u64, u64>::builder()
            .max_weight(10)
            .weigher(|_, value| *value)
            .eviction_policy(policy)
            .shards(1)
            .build()
            .unwrap();
        cache.insert(0, 2);
        for _ in 0..if policy == EvictionPolicy::Lfu { 5 } else { 0 } {
            let _ = cache.get(&0);
        }
        for key in 1..5 {
            cache.insert(key, 2);
        }
        // Needs the room of one other entry, which is the next in line after itself.
        cache.insert(0, 4);
        assert_eq!(cache.peek(&1), None, "{policy}");
        cache.insert(9, 2);
        let survives = policy == EvictionPolicy::Lfu;
        assert_eq!(
            cache.contains_key(&0),
            survives,
            "{policy}: an overwrite moved the entry"
        );
    }
}

#[test]
fn a_read_may_put_an_end_off_beyond_the_end_of_time() {
    let clock = ManualClock::new();
    let cache = Cache::<u64, u64>::builder()
        .clock(clock.clone())
        .no_time_to_live()
        .time_to_idle(Duration::from_nanos(u64::MAX) - Duration::from_secs(1))
        .shards(1)
        .build()
        .unwrap();
    for key in 0..3 {
        cache.insert(key, key);
    }
    clock.advance(Duration::from_secs(2));
    for key in 0..3 {
        assert_eq!(cache.get(&key), Some(key));
        let before = cache.insert_with_ttl(key, 9, Duration::from_secs(1 + key));
        assert_eq!(before.unwrap(), Some(key));
    }
    for left in (0..3).rev() {
        clock.advance(Duration::from_secs(1));
        cache.run_pending_tasks();
        assert_eq!((cache.len(), cache.stats().entries), (left, left));
    }
}

#[test]
fn a_clock_that_panics_costs_a_load_its_entry_and_no_room() {
    #[derive(Debug, Default)]
    struct Cracked {
        readings: AtomicU64,
        panics_at: AtomicU64,
    }

    impl Clock for Cracked {
        fn now(&self) -> Duration {
            let reading = self.readings.fetch_add(1, Relaxed) + 1;
            assert_ne!(reading, self.panics_at.load(Relaxed), "cracked");
            Duration::ZERO
        }
    }

    for panics_after in 1..6 {
        let clock = Arc::new(Cracked::default());
        let cache = Cache::<u64, u64>::builder()
            .clock(Arc::clone(&clock))
            .no_time_to_live()
            .max_capacity(2)
            .shards(1)
            .build()
            .unwrap();
        let readings = clock.readings.load(Relaxed);
        clock.panics_at.store(readings + panics_after, Relaxed);
        let load = || cache.get_blocking(1, || 1);
        let _ = catch_unwind(AssertUnwindSafe(load));
        clock.panics_at.store(0, Relaxed);
        for key in 1..=2 {
            assert_eq!(cache.get_blocking(key, || key).unwrap(), key);
        }
        assert_eq!(cache.len(), 2, "panicked at reading {panics_after}");
    }
}
