//! Values that vouch for themselves, read while others write them.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use brolly_ttl_cache::{Cache, EvictionPolicy, Plain};

use crate::support::POLICIES;

/// A value whose words all follow from its key and a serial number.
trait Vouched: Plain {
    fn new(key: u64, serial: u64) -> Self;
    fn is_whole(&self, key: u64) -> bool;
}

fn mix(key: u64, serial: u64, word: u64) -> u64 {
    (key ^ serial.rotate_left(17) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ serial
}

impl Vouched for [u64; 9] {
    fn new(key: u64, serial: u64) -> Self {
        std::array::from_fn(|at| {
            if at == 0 {
                serial
            } else {
                mix(key, serial, at as u64)
            }
        })
    }

    fn is_whole(&self, key: u64) -> bool {
        *self == Self::new(key, self[0])
    }
}

impl Vouched for [u16; 7] {
    fn new(key: u64, serial: u64) -> Self {
        let serial = serial & 0xFFFF;
        std::array::from_fn(|at| {
            if at == 0 {
                serial as u16
            } else {
                mix(key, serial, at as u64) as u16
            }
        })
    }

    fn is_whole(&self, key: u64) -> bool {
        *self == Self::new(key, u64::from(self[0]))
    }
}

impl Vouched for [u8; 31] {
    fn new(key: u64, serial: u64) -> Self {
        let serial = serial & 0xFF;
        std::array::from_fn(|at| {
            if at == 0 {
                serial as u8
            } else {
                mix(key, serial, at as u64) as u8
            }
        })
    }

    fn is_whole(&self, key: u64) -> bool {
        *self == Self::new(key, u64::from(self[0]))
    }
}

impl Vouched for u128 {
    fn new(key: u64, serial: u64) -> Self {
        let (serial, check) = (serial & 0xFFFF_FFFF, mix(key, serial & 0xFFFF_FFFF, 1));
        Self::from(serial) | Self::from(check) << 64
    }

    fn is_whole(&self, key: u64) -> bool {
        *self == Self::new(key, *self as u64)
    }
}

/// Readers and writers at once, in a cache where everything happens that moves memory: entries are
/// evicted, tables grow and shrink, chunks come and go.
fn no_read_is_torn<V: Vouched + std::fmt::Debug + PartialEq>(
    policy: EvictionPolicy,
    shards: usize,
) {
    let cache = Cache::<u64, V>::builder()
        .max_capacity(300)
        .eviction_policy(policy)
        .shards(shards)
        .time_to_live(Duration::from_millis(3))
        .optimistic_reads()
        .build()
        .expect("the setting is valid");
    let over = AtomicBool::new(false);
    let mut hits = 0_u64;
    std::thread::scope(|scope| {
        for thread in 0..2_u64 {
            let (cache, over) = (&cache, &over);
            scope.spawn(move || {
                let mut random = thread + 1;
                for serial in 0..30_000_u64 {
                    random = random
                        .wrapping_mul(0x5851_F42D_4C95_7F2D)
                        .wrapping_add(thread | 1);
                    let key = (random >> 33) % 500;
                    cache.insert(key, V::new(key, serial));
                    if serial % 7 == 0 {
                        cache.remove(&((random >> 40) % 500));
                    }
                    if serial % 6000 == 5999 {
                        cache.clear();
                    }
                    if serial % 4000 == 1999 {
                        let most = 40 + (random >> 50) % 600;
                        cache.set_max_capacity(most).expect("more than zero");
                    }
                }
                over.store(true, Relaxed);
            });
        }
        let readers: Vec<_> = (0..2_u64)
            .map(|thread| {
                let (cache, over) = (&cache, &over);
                scope.spawn(move || {
                    let (mut hits, mut random) = (0_u64, thread + 77);
                    while !over.load(Relaxed) {
                        random = random.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
                        let key = (random >> 33) % 500;
                        if let Some(value) = cache.get(&key) {
                            assert!(value.is_whole(key), "torn: {value:?} for {key}");
                            hits += 1;
                        }
                    }
                    hits
                })
            })
            .collect();
        for reader in readers {
            hits += reader.join().expect("no read is torn");
        }
    });
    assert!(hits > 0, "nothing was read");
}

#[test]
fn wide_values_are_never_torn() {
    for policy in POLICIES {
        no_read_is_torn::<[u64; 9]>(policy, 1);
        no_read_is_torn::<[u64; 9]>(policy, 4);
    }
}

#[test]
fn values_of_every_alignment_are_never_torn() {
    no_read_is_torn::<[u16; 7]>(EvictionPolicy::Lru, 1);
    no_read_is_torn::<[u8; 31]>(EvictionPolicy::Fifo, 2);
    no_read_is_torn::<u128>(EvictionPolicy::Lfu, 1);
}
