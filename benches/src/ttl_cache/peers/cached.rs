//! cached: its sharded stores.

use std::time::Duration;

use cached::{ShardedLruCache, ShardedLruTtlCache};

use crate::ttl_cache::data::Payload;
use crate::ttl_cache::faces::{A_WHILE, Expiring, Face};

pub(in crate::ttl_cache) struct Cached<V>(ShardedLruCache<u64, V>);

impl<V: Payload> Face<V> for Cached<V> {
    const NAME: &'static str = "cached";

    fn new(capacity: usize) -> Self {
        Self(ShardedLruCache::new(capacity))
    }

    fn get(&self, key: u64) -> Option<V> {
        self.0.get(&key)
    }

    fn put(&self, key: u64, value: V) {
        self.0.set(key, value);
    }

    fn held(&self) -> Option<u64> {
        Some(self.0.len() as u64)
    }
}

pub(in crate::ttl_cache) struct CachedTtl<V>(ShardedLruTtlCache<u64, V>);

impl<V: Payload> Expiring<V> for CachedTtl<V> {
    fn with_ttl(capacity: usize, ttl: Duration) -> Self {
        Self(ShardedLruTtlCache::new(capacity, ttl))
    }
}

impl<V: Payload> Face<V> for CachedTtl<V> {
    const NAME: &'static str = "cached";

    fn new(capacity: usize) -> Self {
        Self::with_ttl(capacity, A_WHILE)
    }

    fn get(&self, key: u64) -> Option<V> {
        self.0.get(&key)
    }

    fn put(&self, key: u64, value: V) {
        self.0.set(key, value);
    }

    fn held(&self) -> Option<u64> {
        Some(self.0.len() as u64)
    }
}
