//! The lru crate, in up to sixteen mutexes.

use std::hash::BuildHasher;
use std::num::NonZeroUsize;

use foldhash::fast::RandomState;
use lru::LruCache;
use parking_lot::{Mutex, MutexGuard};

use crate::ttl_cache::data::Payload;
use crate::ttl_cache::faces::Face;

/// Fewer entries in a shard cost more hits than the shard spares waiting.
const LEAST_IN_SHARD: usize = 64;

pub(super) struct Shards<V> {
    shards: Vec<Padded<V>>,
    hasher: RandomState,
}

#[repr(align(128))]
struct Padded<V>(Mutex<LruCache<u64, V, RandomState>>);

impl<V> Shards<V> {
    pub(super) fn new(capacity: usize) -> Self {
        let hasher = RandomState::default();
        let mut count = 16;
        while count > 1 && capacity / count < LEAST_IN_SHARD {
            count /= 2;
        }
        let shards = (0..count)
            .map(|number| {
                let share = capacity / count + usize::from(number < capacity % count);
                let share = NonZeroUsize::new(share).unwrap_or(NonZeroUsize::MIN);
                Padded(Mutex::new(LruCache::with_hasher(share, hasher.clone())))
            })
            .collect();
        Self { shards, hasher }
    }

    pub(super) fn of(&self, key: u64) -> MutexGuard<'_, LruCache<u64, V, RandomState>> {
        // The high bits; the map inside looks at the low ones and the topmost seven.
        let hash = self.hasher.hash_one(key);
        let at = (hash >> 32) as usize & (self.shards.len() - 1);
        self.shards[at].0.lock()
    }

    pub(super) fn held(&self) -> u64 {
        let lens = self.shards.iter().map(|it| it.0.lock().len() as u64);
        lens.sum()
    }
}

pub(in crate::ttl_cache) struct ShardedLru<V>(Shards<V>);

impl<V: Payload> Face<V> for ShardedLru<V> {
    const NAME: &'static str = "lru in mutexes";

    fn new(capacity: usize) -> Self {
        Self(Shards::new(capacity))
    }

    fn get(&self, key: u64) -> Option<V> {
        self.0.of(key).get(&key).cloned()
    }

    fn put(&self, key: u64, value: V) {
        self.0.of(key).put(key, value);
    }

    fn held(&self) -> Option<u64> {
        Some(self.0.held())
    }
}
