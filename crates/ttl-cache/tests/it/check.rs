//! What a health check finds.

use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use brolly_sync::ManualClock;
use brolly_ttl_cache::{Cache, EvictionPolicy};

#[test]
fn a_cache_in_use_is_healthy_whatever_its_policy() {
    use EvictionPolicy::{Adaptive, Fifo, Lfu, Lru, SoonestExpiry};
    for policy in [Lru, Fifo, Lfu, SoonestExpiry, Adaptive] {
        let clock = ManualClock::new();
        let cache: Cache<u64, u64> = Cache::builder()
            .max_capacity(200)
            .max_weight(10_000)
            .weigher(|_, value| value % 100)
            .eviction_policy(policy)
            .time_to_live(Duration::from_secs(60))
            .clock(clock.clone())
            .shards(4)
            .build()
            .expect("valid");
        for step in 0..5_000_u64 {
            cache.insert(step * 7 % 331, step);
            let _ = cache.get(&(step % 331));
            if step % 5 == 0 {
                cache.remove(&(step % 97));
            }
            if step % 100 == 0 {
                clock.advance(Duration::from_secs(7));
            }
        }
        let report = cache.check();
        assert!(report.is_healthy(), "{policy}: {report}");
        assert!(report.round_trip && report.bounds && report.structure && report.rates);
        assert_eq!(report.to_string(), "healthy");
        assert_eq!(report.maintainer, None);
    }
}

#[test]
fn checking_leaves_no_trace() {
    let cache: Cache<u64, u64> = Cache::new(10);
    cache.insert(1, 1);
    let before = cache.stats();
    let _ = cache.check();
    assert_eq!(cache.stats(), before);
}

#[test]
fn keys_that_all_fall_into_one_shard_are_a_warning() {
    #[derive(Clone, Copy, Default)]
    struct Constant;
    impl Hasher for Constant {
        fn finish(&self) -> u64 {
            1
        }
        fn write(&mut self, _: &[u8]) {}
    }
    impl BuildHasher for Constant {
        type Hasher = Self;
        fn build_hasher(&self) -> Self {
            *self
        }
    }
    let cache: Cache<u64, u64, Constant> = Cache::builder()
        .shards(8)
        .hasher(Constant)
        .build()
        .expect("valid");
    for key in 0..500 {
        cache.insert(key, key);
    }
    let report = cache.check();
    assert!(report.is_healthy());
    assert_eq!(report.imbalance, Some(8.0));
    assert_eq!(
        report.warnings,
        ["the largest shard holds 8.0 times the mean"]
    );
}
