//! mini-moka: moka's older design on a sharded map.

use std::time::Duration;

use foldhash::fast::RandomState;
use mini_moka::sync::{Cache, ConcurrentCacheExt};

use crate::ttl_cache::data::Payload;
use crate::ttl_cache::faces::{A_WHILE, Expiring, Face};

pub(in crate::ttl_cache) struct MiniMoka<V>(Cache<u64, V, RandomState>);

impl<V: Payload> Face<V> for MiniMoka<V> {
    const NAME: &'static str = "mini-moka";

    fn new(capacity: usize) -> Self {
        let cache = Cache::builder()
            .max_capacity(capacity as u64)
            .initial_capacity(capacity)
            .build_with_hasher(RandomState::default());
        Self(cache)
    }

    fn get(&self, key: u64) -> Option<V> {
        self.0.get(&key)
    }

    fn put(&self, key: u64, value: V) {
        self.0.insert(key, value);
    }

    fn held(&self) -> Option<u64> {
        Some(self.0.iter().count() as u64)
    }

    fn settle(&self) {
        self.0.sync();
    }
}

pub(in crate::ttl_cache) struct MiniMokaTtl<V>(Cache<u64, V, RandomState>);

impl<V: Payload> Expiring<V> for MiniMokaTtl<V> {
    fn with_ttl(capacity: usize, ttl: Duration) -> Self {
        let cache = Cache::builder()
            .max_capacity(capacity as u64)
            .initial_capacity(capacity)
            .time_to_live(ttl)
            .build_with_hasher(RandomState::default());
        Self(cache)
    }
}

impl<V: Payload> Face<V> for MiniMokaTtl<V> {
    const NAME: &'static str = "mini-moka";

    fn new(capacity: usize) -> Self {
        Self::with_ttl(capacity, A_WHILE)
    }

    fn get(&self, key: u64) -> Option<V> {
        self.0.get(&key)
    }

    fn put(&self, key: u64, value: V) {
        self.0.insert(key, value);
    }

    fn held(&self) -> Option<u64> {
        Some(self.0.iter().count() as u64)
    }

    fn settle(&self) {
        self.0.sync();
    }
}
