//! Bytes as settings and calls: what the fuzz target runs, replayed here over random bytes.

use std::collections::HashMap;
use std::time::Duration;

use brolly_sync::ManualClock;
use brolly_ttl_cache::{Cache, EvictionPolicy};

/// Builds a cache as the first bytes say and calls it as the others do. What is found was written
/// last, nothing is found past its time, and the bounds hold after every call.
pub(crate) fn run(bytes: &[u8]) {
    let [policy, entries, weight, life, rest, calls @ ..] = bytes else {
        return;
    };
    let policy = match policy % 5 {
        0 => EvictionPolicy::Lru,
        1 => EvictionPolicy::Fifo,
        2 => EvictionPolicy::Lfu,
        3 => EvictionPolicy::SoonestExpiry,
        _ => EvictionPolicy::Adaptive,
    };
    let (mut entries, mut weight) = (1 + u64::from(*entries), 1 + u64::from(*weight) * 4);
    let clock = ManualClock::new();
    let ttl = u64::from(*life) + 1;
    let mut builder = Cache::<u64, u64>::builder()
        .clock(clock.clone())
        .eviction_policy(policy)
        .max_capacity(entries)
        .max_weight(weight)
        .weigher(|_, value| value & 0xFF)
        .time_to_live(Duration::from_nanos(ttl))
        .shards(1 << (rest & 3));
    if rest & 4 != 0 {
        builder = builder.optimistic_reads();
    }
    if rest & 8 != 0 {
        builder = builder.eviction_listener(|_, _, _| {});
    }
    let cache = builder.build().expect("the setting is in range");
    // What was written last of each key, and when that ends.
    let mut model: HashMap<u64, (u64, u64)> = HashMap::new();
    let mut now = 0_u64;
    for (serial, call) in calls.chunks_exact(3).enumerate() {
        let (key, value) = (
            u64::from(call[1]),
            (serial as u64) << 8 | u64::from(call[2]),
        );
        let live = |model: &HashMap<u64, (u64, u64)>, key| {
            model
                .get(&key)
                .filter(|(_, end)| *end > now)
                .map(|(value, _)| *value)
        };
        match call[0] % 12 {
            0..=3 => {
                let before = cache.insert(key, value);
                assert!(before.is_none() || before == live(&model, key));
                if value & 0xFF <= weight {
                    model.insert(key, (value, now + ttl));
                    assert_eq!(cache.peek(&key), Some(value));
                } else {
                    model.remove(&key);
                }
            }
            4 => {
                let own = value % 500 + 1;
                if cache
                    .insert_with_ttl(key, value, Duration::from_nanos(own))
                    .is_ok()
                {
                    model.insert(key, (value, now + own));
                }
            }
            5 | 6 => {
                let found = cache.get(&key);
                assert!(found.is_none() || found == live(&model, key));
            }
            7 => {
                let gone = cache.remove(&key);
                assert!(gone.is_none() || gone == live(&model, key));
                model.remove(&key);
            }
            8 => {
                let time = u64::from(call[1]) * u64::from(call[2]) / 16;
                clock.advance(Duration::from_nanos(time));
                now += time;
            }
            9 => {
                cache.retain(|it, _| it % 5 != key % 5);
                model.retain(|it, _| it % 5 != key % 5);
            }
            10 => {
                (entries, weight) = (1 + key, 1 + u64::from(call[2]) * 4);
                cache.set_max_capacity(entries).expect("in range");
                cache.set_max_weight(weight).expect("in range");
            }
            _ if call[2] < 8 => {
                cache.clear();
                model.clear();
            }
            _ => {
                for (key, value) in &cache {
                    assert_eq!(Some(value), live(&model, key));
                }
            }
        }
        assert!(cache.len() <= entries && cache.weight() <= weight);
    }
    let mut held = 0;
    let mut sum = 0;
    for (key, value) in &cache {
        assert_eq!(model.get(&key).map(|(value, _)| *value), Some(value));
        held += 1;
        sum += value & 0xFF;
    }
    assert_eq!((cache.len(), cache.weight()), (held, sum));
}

#[test]
fn random_calls_break_no_promise() {
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    for length in 0..1500 {
        let bytes: Vec<u8> = (0..5 + length)
            .map(|_| {
                random = random.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
                (random >> 56) as u8
            })
            .collect();
        run(&bytes);
    }
}
