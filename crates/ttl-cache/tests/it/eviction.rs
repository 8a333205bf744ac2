//! Who goes when there is no room.

use std::num::NonZeroUsize;
use std::time::Duration;

use brolly_sync::ManualClock;
use brolly_ttl_cache::{Cache, EvictionPolicy};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::{POLICIES, cases};

fn cache(policy: EvictionPolicy, entries: u64) -> Cache<u64, u64> {
    let builder = Cache::builder()
        .max_capacity(entries)
        .eviction_policy(policy);
    builder.shards(1).build().expect("the setting is valid")
}

fn keys(cache: &Cache<u64, u64>) -> Vec<u64> {
    let mut keys: Vec<_> = cache.keys().collect();
    keys.sort_unstable();
    keys
}

#[test]
fn lru_is_what_a_small_cache_does_unasked() {
    let cache = Cache::<u64, u64>::new(3);
    for key in 1..=3 {
        cache.insert(key, key);
    }
    assert_eq!(cache.get(&1), Some(1));
    cache.insert(2, 20);
    cache.insert(4, 4);
    assert_eq!(keys(&cache), [1, 2, 4]);
}

#[test]
fn peek_contains_iter_and_len_are_no_uses() {
    for policy in [EvictionPolicy::Lru, EvictionPolicy::Lfu] {
        let cache = cache(policy, 3);
        for key in 1..=3 {
            cache.insert(key, key);
        }
        let _ = (
            cache.peek(&1),
            cache.contains_key(&1),
            cache.iter().count(),
            cache.len(),
        );
        cache.insert(4, 4);
        assert_eq!(keys(&cache), [2, 3, 4], "{policy}");
    }
}

#[test]
fn fifo_does_not_care_for_uses() {
    let cache = cache(EvictionPolicy::Fifo, 3);
    for key in 1..=3 {
        cache.insert(key, key);
    }
    let _ = cache.get(&1);
    cache.insert(1, 10);
    cache.insert(4, 4);
    assert_eq!(keys(&cache), [2, 3, 4]);
}

#[test]
fn lfu_keeps_what_is_used_and_forgets_what_was() {
    let cache = cache(EvictionPolicy::Lfu, 4);
    for key in 1..=4 {
        cache.insert(key, key);
    }
    for _ in 0..20 {
        let _ = cache.get(&1);
    }
    for key in 10..20 {
        cache.insert(key, key);
        assert!(cache.contains_key(&1));
    }
    // Its fame fades: in the end it goes although it once was the most used of all.
    for key in 100..300 {
        cache.insert(key, key);
    }
    assert!(!cache.contains_key(&1));
}

#[test]
fn soonest_expiry_goes_first_and_never_goes_last() {
    let clock = ManualClock::new();
    let cache = Cache::<u64, u64>::builder()
        .clock(clock)
        .max_capacity(3)
        .no_time_to_live()
        .eviction_policy(EvictionPolicy::SoonestExpiry)
        .build()
        .unwrap();
    cache.insert(1, 1);
    cache.insert_with_ttl(2, 2, Duration::from_secs(9)).unwrap();
    cache.insert_with_ttl(3, 3, Duration::from_secs(5)).unwrap();
    cache.insert(4, 4);
    assert_eq!(keys(&cache), [1, 2, 4]);
    cache.insert(5, 5);
    assert_eq!(keys(&cache), [1, 4, 5]);
    cache.insert(6, 6);
    assert_eq!(
        keys(&cache),
        [4, 5, 6],
        "of those that never expire, the oldest"
    );
}

#[test]
fn a_new_entry_is_never_its_own_victim() {
    for policy in POLICIES {
        for shards in [1, 4] {
            let cache = Cache::<u64, u64>::builder()
                .max_capacity(5)
                .max_weight(50)
                .weigher(|_, value| *value)
                .eviction_policy(policy)
                .shards(shards)
                .build()
                .unwrap();
            for round in 0..2000 {
                let key = round * 13 % 40;
                cache.insert(key, round % 51);
                assert_eq!(
                    cache.peek(&key),
                    Some(round % 51),
                    "{policy}, {shards} shards"
                );
                let _ = cache.get(&(round * 7 % 40));
            }
        }
    }
}

#[test]
fn an_overwrite_that_needs_room_is_not_its_own_victim() {
    for policy in POLICIES {
        let cache = Cache::<u64, u64>::builder()
            .max_weight(10)
            .weigher(|_, value| *value)
            .eviction_policy(policy)
            .build()
            .unwrap();
        for key in 0..5 {
            cache.insert(key, 2);
        }
        assert_eq!(cache.insert(0, 10), Some(2), "{policy}");
        assert_eq!(keys(&cache), [0], "{policy}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(200)))]

    /// Not our own oracle but somebody else's cache.
    #[test]
    fn lru_evicts_as_the_lru_crate_does(
        entries in 1..40_u64,
        plain: bool,
        ops in vec((0..60_u64, 0..10_u8), 1..1500),
    ) {
        let mut builder = Cache::<u64, u64>::builder().max_capacity(entries).shards(1);
        if plain {
            builder = builder.optimistic_reads();
        }
        let ours = builder.build().expect("the setting is valid");
        let mut theirs = lru::LruCache::new(NonZeroUsize::new(entries as usize).expect("one at least"));
        for (at, (key, what)) in ops.into_iter().enumerate() {
            let value = at as u64;
            match what {
                0..=3 => prop_assert_eq!(ours.insert(key, value), theirs.put(key, value)),
                4..=7 => prop_assert_eq!(ours.get(&key), theirs.get(&key).copied()),
                8 => prop_assert_eq!(ours.peek(&key), theirs.peek(&key).copied()),
                _ => prop_assert_eq!(ours.remove(&key), theirs.pop(&key)),
            }
        }
        for key in 0..60 {
            prop_assert_eq!(ours.peek(&key), theirs.peek(&key).copied());
        }
    }
}

/// So many reads without a write in between that the clock of the shard has to be stepped by them.
#[test]
fn the_order_of_many_reads_is_kept() {
    for reads in [4_000, 4_094, 4_095, 4_096, 5_000, 20_000] {
        let cache = cache(EvictionPolicy::Lru, 8);
        for key in 0..8 {
            cache.insert(key, key);
        }
        for read in 0..reads {
            let _ = cache.get(&(read % 8));
        }
        // The last read was of this one; then come the others, in the order of their last read.
        for nth in 0..8 {
            let next = (reads + nth) % 8;
            assert!(
                cache.contains_key(&next),
                "{reads} reads: {next} has gone too early"
            );
            cache.insert(1000 + nth, 0);
            assert!(
                !cache.contains_key(&next),
                "{reads} reads: {next} was to go"
            );
        }
    }
}

#[test]
fn an_adaptive_cache_lets_a_scan_pass() {
    let cache = cache(EvictionPolicy::Adaptive, 200);
    for round in 0..20 {
        for key in 0..100 {
            if cache.get(&key).is_none() {
                cache.insert(key, round);
            }
        }
    }
    for key in 10_000..12_000 {
        if cache.get(&key).is_none() {
            cache.insert(key, 0);
        }
    }
    let kept = (0..100).filter(|key| cache.contains_key(key)).count();
    assert!(kept >= 80, "{kept} of 100 were kept");
}
