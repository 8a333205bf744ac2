//! The bounds hold at every instant, whoever looks.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicI64};
use std::time::Duration;

use brolly_sync::ManualClock;
use brolly_ttl_cache::Cache;

use crate::support::{POLICIES, with_time_limit};

/// Four writers at once, and one that counts, in the ways that there are to count.
fn burst(cache: &Cache<u64, u64>, entries: u64, weight: u64, each: u64) {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let sampler = scope.spawn(|| {
            let (mut samples, mut most) = (0_u64, 0);
            loop {
                // The last sample is of a cache that all have written.
                let last = over.load(Relaxed) && samples >= 10;
                let (len, heavy) = (cache.len(), cache.weight());
                assert!(
                    len <= entries && heavy <= weight,
                    "{len} entries that weigh {heavy}"
                );
                let stats = cache.stats();
                assert!(
                    stats.entries <= entries && stats.weight <= weight,
                    "{stats:?}"
                );
                most = most.max(len);
                samples += 1;
                if last {
                    return most;
                }
            }
        });
        let writers: Vec<_> = (0..4_u64)
            .map(|thread| {
                scope.spawn(move || {
                    for round in 0..each {
                        let key = (thread << 32) | (round % 5000);
                        cache.insert(key, round * 7 % 13);
                        if round % 11 == 0 {
                            cache.remove(&((thread << 32) | (round / 2 % 5000)));
                        }
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().expect("a writer does not panic");
        }
        over.store(true, Relaxed);
        let most = sampler.join().expect("no sample is over the bounds");
        assert!(most > 0, "{:?}", cache.stats());
    });
}

#[test]
fn entries_never_exceed_their_bound_during_a_burst() {
    for policy in POLICIES {
        for (capacity, shards) in [(1, 1), (10, 4), (100, 16), (1000, 4)] {
            with_time_limit(&format!("{policy}, {capacity} in {shards}"), move || {
                let cache = Cache::<u64, u64>::builder()
                    .max_capacity(capacity)
                    .eviction_policy(policy)
                    .shards(shards)
                    .build()
                    .unwrap();
                burst(&cache, capacity, u64::MAX, 4000);
                assert_eq!(
                    cache.shard_sizes().iter().sum::<u64>(),
                    capacity,
                    "it is full"
                );
            });
        }
    }
}

/// The same, without asking the cache: the values themselves are counted. Beside those in the cache
/// there are those in the hands of the writers, which are one on its way in, one that was replaced
/// and one that had to go.
#[test]
fn values_never_exceed_the_bound_by_more_than_what_writers_hold() {
    const WRITERS: i64 = 4;
    struct Value(Arc<AtomicI64>);
    impl Drop for Value {
        fn drop(&mut self) {
            self.0.fetch_sub(1, SeqCst);
        }
    }
    for policy in POLICIES {
        for (capacity, shards) in [(1, 1), (10, 4), (64, 16), (400, 4)] {
            let alive = Arc::<AtomicI64>::default();
            let cache = Cache::<i64, Arc<Value>>::builder()
                .max_capacity(capacity)
                .eviction_policy(policy)
                .shards(shards)
                .build()
                .unwrap();
            let over = AtomicBool::new(false);
            std::thread::scope(|scope| {
                let sampler = scope.spawn(|| {
                    let mut most = 0;
                    while !over.load(Relaxed) {
                        most = most.max(alive.load(SeqCst));
                    }
                    most
                });
                let writers: Vec<_> = (0..WRITERS)
                    .map(|thread| {
                        let (cache, alive) = (&cache, &alive);
                        scope.spawn(move || {
                            for round in 0..5000 {
                                alive.fetch_add(1, SeqCst);
                                let value = Arc::new(Value(Arc::clone(alive)));
                                cache.insert(round * 31 % 997 * WRITERS + thread, value);
                            }
                        })
                    })
                    .collect();
                for writer in writers {
                    writer.join().expect("a writer does not panic");
                }
                over.store(true, Relaxed);
                let most = sampler.join().expect("it only looks");
                let allowed = capacity as i64 + 3 * WRITERS;
                assert!(most <= allowed, "{policy}, {capacity} in {shards}: {most}");
            });
        }
    }
}

#[test]
fn weight_never_exceeds_its_bound_during_a_burst() {
    for policy in POLICIES {
        for (capacity, weight, shards) in [(1 << 40, 40, 8), (20, 100, 4), (50, 60, 1)] {
            with_time_limit(&format!("{policy}, {weight} in {shards}"), move || {
                let cache = Cache::<u64, u64>::builder()
                    .max_capacity(capacity)
                    .max_weight(weight)
                    .weigher(|_, value| *value)
                    .eviction_policy(policy)
                    .shards(shards)
                    .build()
                    .unwrap();
                burst(&cache, capacity, weight, 4000);
                let summed: u64 = cache.iter().map(|(_, value)| value).sum();
                assert_eq!(cache.weight(), summed, "the sum is that of the entries");
            });
        }
    }
}

#[test]
fn a_skewed_load_may_use_the_whole_capacity() {
    // All keys of one shard, as far as a test can find them: what others do not use is theirs.
    let cache = Cache::<u64, u64>::builder()
        .max_capacity(64)
        .shards(16)
        .build()
        .unwrap();
    for key in 0..64 {
        cache.insert(key, key);
    }
    assert_eq!(
        cache.len(),
        64,
        "nothing is evicted before the cache is full"
    );
}

#[test]
fn overwriting_a_key_in_a_full_cache_evicts_nobody() {
    for policy in POLICIES {
        let cache = Cache::<u64, u64>::builder()
            .max_capacity(5)
            .eviction_policy(policy)
            .build()
            .unwrap();
        for round in 0..20 {
            for key in 0..5 {
                cache.insert(key, round);
            }
        }
        assert_eq!((cache.len(), cache.stats().evictions), (5, 0), "{policy}");
    }
}

#[test]
fn no_more_is_evicted_than_is_needed() {
    for policy in POLICIES {
        let cache = Cache::<u64, u64>::builder()
            .max_weight(100)
            .weigher(|_, value| *value)
            .eviction_policy(policy)
            .shards(1)
            .build()
            .unwrap();
        for key in 0..10 {
            cache.insert(key, 10);
        }
        cache.insert(100, 25);
        assert_eq!(cache.stats().evictions, 3, "{policy}");
        assert!(cache.contains_key(&100), "{policy}");
    }
}

#[test]
fn a_smaller_bound_holds_when_the_call_returns() {
    for shards in [1, 8] {
        let cache = Cache::<u64, u64>::builder()
            .max_capacity(5000)
            .shards(shards)
            .build()
            .unwrap();
        for key in 0..5000 {
            cache.insert(key, key);
        }
        for bound in [4999, 800, 17, 1] {
            cache.set_max_capacity(bound).unwrap();
            assert_eq!(cache.len(), bound);
            assert_eq!(cache.iter().count() as u64, bound);
            cache.insert(1_000_000 + bound, 0);
            assert_eq!(cache.len(), bound);
        }
        cache.set_max_capacity(3000).unwrap();
        for key in 0..5000 {
            cache.insert(key, key);
        }
        assert_eq!(cache.len(), 3000);
    }
}

/// A small first table, then large ones, then nearly nothing: what shrinking looks at is there.
#[test]
fn a_cache_that_grew_beyond_its_first_bound_can_shrink() {
    for policy in POLICIES {
        for shards in [1, 4] {
            let cache = Cache::<u64, u64>::builder()
                .max_capacity(20)
                .eviction_policy(policy)
                .shards(shards)
                .optimistic_reads()
                .build()
                .unwrap();
            for key in 0..20 {
                cache.insert(key, key);
            }
            cache.set_max_capacity(6000).unwrap();
            for key in 0..6000 {
                cache.insert(key, key);
            }
            assert_eq!(cache.iter().count(), 6000, "{policy}");
            assert_eq!(cache.retain(|key, _| key % 700 == 3), 5991, "{policy}");
            assert_eq!(cache.len(), 9, "{policy}");
            for key in 0..6000 {
                assert_eq!(cache.get(&key).is_some(), key % 700 == 3, "{policy}");
            }
            cache.set_max_capacity(3).unwrap();
            assert_eq!(cache.len(), 3, "{policy}");
            assert_eq!(cache.clear(), 3, "{policy}");
        }
    }
}

#[test]
fn bounds_may_be_changed_while_others_write() {
    with_time_limit("resizing", || {
        let cache = Cache::<u64, u64>::builder()
            .max_capacity(500)
            .max_weight(3000)
            .weigher(|_, value| *value)
            .shards(4)
            .build()
            .unwrap();
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for thread in 0..3_u64 {
                let (cache, over) = (&cache, &over);
                scope.spawn(move || {
                    let mut round = thread;
                    while !over.load(Relaxed) {
                        round += 3;
                        cache.insert(round % 2000, round % 60);
                    }
                });
            }
            for round in 0..400_u64 {
                let (entries, weight) = (1 + round * 37 % 600, 20 + round * 91 % 4000);
                cache.set_max_capacity(entries).unwrap();
                cache.set_max_weight(weight).unwrap();
                assert!(cache.len() <= entries && cache.weight() <= weight);
            }
            over.store(true, Relaxed);
        });
        // Nothing of the room was lost or made up.
        cache.set_max_capacity(100).unwrap();
        cache.set_max_weight(1_000_000).unwrap();
        for key in 0..1000 {
            cache.insert(key, 1);
        }
        assert_eq!((cache.len(), cache.weight()), (100, 100));
    });
}

#[test]
fn expired_entries_make_room_before_live_ones_do() {
    for policy in POLICIES {
        let clock = ManualClock::new();
        let cache = Cache::<u64, u64>::builder()
            .clock(clock.clone())
            .max_capacity(1000)
            .eviction_policy(policy)
            .shards(1)
            .no_time_to_live()
            .build()
            .unwrap();
        for key in 0..500 {
            cache.insert(key, key);
            let ttl = Duration::from_secs(1 + key % 50);
            cache.insert_with_ttl(1000 + key, key, ttl).unwrap();
        }
        clock.advance(Duration::from_secs(60));
        for key in 2000..2500 {
            cache.insert(key, key);
        }
        let live = (0..500).filter(|key| cache.contains_key(key)).count();
        assert_eq!(
            live, 500,
            "{policy}: live entries went although expired ones were there"
        );
        assert_eq!(cache.stats().evictions, 0, "{policy}");
    }
}
