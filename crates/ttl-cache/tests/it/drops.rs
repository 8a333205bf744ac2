//! What is put in is held or has been given out, exactly once.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use brolly_sync::ManualClock;
use brolly_ttl_cache::Cache;

use crate::support::POLICIES;

/// Counts how many of it are alive.
#[derive(Debug)]
struct Counted {
    id: u64,
    alive: Arc<AtomicI64>,
}

impl Counted {
    fn new(id: u64, alive: &Arc<AtomicI64>) -> Self {
        alive.fetch_add(1, Relaxed);
        Self {
            id,
            alive: Arc::clone(alive),
        }
    }
}

impl Clone for Counted {
    fn clone(&self) -> Self {
        Self::new(self.id, &self.alive)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Relaxed);
    }
}

impl PartialEq for Counted {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Counted {}

impl Hash for Counted {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

#[test]
fn keys_and_values_are_dropped_exactly_once_whatever_happens() {
    for policy in POLICIES {
        for (listening, shards) in [(false, 1), (true, 1), (false, 4), (true, 4)] {
            let (keys, values) = (Arc::<AtomicI64>::default(), Arc::<AtomicI64>::default());
            let clock = ManualClock::new();
            let mut builder = Cache::<Counted, Counted>::builder()
                .clock(clock.clone())
                .max_capacity(300)
                .max_weight(900)
                .weigher(|_, value| value.id % 7)
                .time_to_live(Duration::from_secs(20))
                .eviction_policy(policy)
                .shards(shards);
            if listening {
                builder = builder.eviction_listener(|_, _, _| {});
            }
            let cache = builder.build().unwrap();
            std::thread::scope(|scope| {
                for thread in 0..3_u64 {
                    let (cache, keys, values, clock) = (&cache, &keys, &values, &clock);
                    scope.spawn(move || {
                        let mut random = thread + 1;
                        for round in 0..3000_u64 {
                            random = random.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
                            let key = Counted::new((random >> 33) % 600, keys);
                            match round % 16 {
                                0..=8 => {
                                    drop(cache.insert(key, Counted::new(random >> 40, values)))
                                }
                                9..=12 => drop(cache.get(&key)),
                                13 => drop(cache.remove(&key)),
                                14 => clock.advance(Duration::from_millis(40)),
                                _ if round % 1000 == 15 => {
                                    cache.retain(|key, _| key.id % 3 != 0);
                                }
                                _ if round % 1000 == 31 => {
                                    cache.clear();
                                }
                                _ => drop(cache.iter().take(5).collect::<Vec<_>>()),
                            }
                        }
                    });
                }
            });
            let held: u64 = cache.shard_sizes().iter().sum();
            assert_eq!(keys.load(Relaxed), held as i64, "{policy}: keys");
            assert_eq!(values.load(Relaxed), held as i64, "{policy}: values");
            drop(cache);
            assert_eq!(
                (keys.load(Relaxed), values.load(Relaxed)),
                (0, 0),
                "{policy}: at the end"
            );
        }
    }
}

#[test]
fn a_listener_is_given_each_entry_that_left_exactly_once() {
    let told = Arc::<AtomicI64>::default();
    let clock = ManualClock::new();
    let cache = Cache::<u64, u64>::builder()
        .clock(clock.clone())
        .max_capacity(50)
        .time_to_live(Duration::from_secs(5))
        .shards(4)
        .eviction_listener({
            let told = Arc::clone(&told);
            move |_, _, _| {
                told.fetch_add(1, Relaxed);
            }
        })
        .build()
        .unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (cache, clock) = (&cache, &clock);
            scope.spawn(move || {
                for round in 0..2500 {
                    cache.insert((round * 7 + thread) % 120, round);
                    if round % 5 == 0 {
                        cache.remove(&(round % 120));
                        clock.advance(Duration::from_millis(7));
                    }
                }
            });
        }
    });
    let held: u64 = cache.shard_sizes().iter().sum();
    assert_eq!(
        10_000,
        held as i64 + told.load(Relaxed),
        "inserted = live + delivered"
    );
    cache.clear();
    assert_eq!(10_000, told.load(Relaxed));
}

#[test]
fn the_last_handle_frees_everything() {
    let alive = Arc::<AtomicI64>::default();
    let cache = Cache::<u64, Counted>::builder()
        .max_capacity(5000)
        .build()
        .unwrap();
    for key in 0..4000 {
        cache.insert(key, Counted::new(key, &alive));
    }
    let other = cache.clone();
    let iter = cache.iter();
    drop(cache);
    assert_eq!(alive.load(Relaxed), 4000);
    drop(other);
    assert_eq!(alive.load(Relaxed), 4000, "an iterator is a handle too");
    drop(iter);
    assert_eq!(alive.load(Relaxed), 0);
}
