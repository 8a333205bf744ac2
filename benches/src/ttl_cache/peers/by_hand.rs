//! Caches without a time to live, which their users add by hand: the value and when it was put.

use std::time::{Duration, Instant};

use quick_cache::sync::Cache;

use super::sharded_lru::Shards;
use crate::ttl_cache::data::Payload;
use crate::ttl_cache::faces::{A_WHILE, Expiring, Face};

pub(in crate::ttl_cache) struct QuickCacheInstant<V> {
    cache: Cache<u64, (V, Instant)>,
    ttl: Duration,
}

impl<V: Payload> Expiring<V> for QuickCacheInstant<V> {
    fn with_ttl(capacity: usize, ttl: Duration) -> Self {
        let cache = Cache::new(capacity);
        Self { cache, ttl }
    }
}

impl<V: Payload> Face<V> for QuickCacheInstant<V> {
    const NAME: &'static str = "quick_cache+Instant";

    fn new(capacity: usize) -> Self {
        Self::with_ttl(capacity, A_WHILE)
    }

    fn get(&self, key: u64) -> Option<V> {
        let (value, since) = self.cache.get(&key)?;
        if since.elapsed() < self.ttl {
            return Some(value);
        }
        self.cache.remove(&key);
        None
    }

    fn put(&self, key: u64, value: V) {
        self.cache.insert(key, (value, Instant::now()));
    }

    fn held(&self) -> Option<u64> {
        Some(self.cache.len() as u64)
    }
}

pub(in crate::ttl_cache) struct LruInstant<V> {
    shards: Shards<(V, Instant)>,
    ttl: Duration,
}

impl<V: Payload> Expiring<V> for LruInstant<V> {
    fn with_ttl(capacity: usize, ttl: Duration) -> Self {
        let shards = Shards::new(capacity);
        Self { shards, ttl }
    }
}

impl<V: Payload> Face<V> for LruInstant<V> {
    const NAME: &'static str = "lru in mutexes+Instant";

    fn new(capacity: usize) -> Self {
        Self::with_ttl(capacity, A_WHILE)
    }

    fn get(&self, key: u64) -> Option<V> {
        let mut shard = self.shards.of(key);
        let (value, since) = shard.get(&key)?;
        if since.elapsed() < self.ttl {
            return Some(value.clone());
        }
        shard.pop(&key);
        None
    }

    fn put(&self, key: u64, value: V) {
        self.shards.of(key).put(key, (value, Instant::now()));
    }

    fn held(&self) -> Option<u64> {
        Some(self.shards.held())
    }
}
