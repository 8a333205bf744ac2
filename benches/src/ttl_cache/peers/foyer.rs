//! foyer's cache in memory, with those of its policies that did best.

use std::convert::Infallible;
use std::future::Future;
use std::marker::PhantomData;

use foldhash::fast::RandomState;
use foyer_memory::{Cache, CacheBuilder, EvictionConfig, LfuConfig, S3FifoConfig, SieveConfig};

use crate::ttl_cache::data::Payload;
use crate::ttl_cache::faces::{Face, Loading};

/// Its own number of shards, unless they would be smaller than this.
const LEAST_IN_SHARD: usize = 64;

pub(in crate::ttl_cache) trait Policy: Send + Sync + 'static {
    const NAME: &'static str;
    fn config() -> EvictionConfig;
}

pub(in crate::ttl_cache) struct S3Fifo;
pub(in crate::ttl_cache) struct Sieve;
pub(in crate::ttl_cache) struct TinyLfu;

impl Policy for S3Fifo {
    const NAME: &'static str = "foyer s3fifo";

    fn config() -> EvictionConfig {
        S3FifoConfig::default().into()
    }
}

impl Policy for Sieve {
    const NAME: &'static str = "foyer sieve";

    fn config() -> EvictionConfig {
        SieveConfig {}.into()
    }
}

impl Policy for TinyLfu {
    const NAME: &'static str = "foyer w-tinylfu";

    fn config() -> EvictionConfig {
        LfuConfig::default().into()
    }
}

pub(in crate::ttl_cache) struct Foyer<V: Payload, P> {
    cache: Cache<u64, V, RandomState>,
    policy: PhantomData<P>,
}

impl<V: Payload, P: Policy> Foyer<V, P> {
    fn make(capacity: usize) -> Self {
        let mut shards = 8;
        while shards > 1 && capacity / shards < LEAST_IN_SHARD {
            shards /= 2;
        }
        let cache = CacheBuilder::new(capacity)
            .with_shards(shards)
            .with_eviction_config(P::config())
            .with_hash_builder(RandomState::default())
            .build();
        let policy = PhantomData;
        Self { cache, policy }
    }
}

impl<V: Payload, P: Policy> Face<V> for Foyer<V, P> {
    const NAME: &'static str = P::NAME;

    fn new(capacity: usize) -> Self {
        Self::make(capacity)
    }

    fn get(&self, key: u64) -> Option<V> {
        Some(self.cache.get(&key)?.value().clone())
    }

    fn put(&self, key: u64, value: V) {
        self.cache.insert(key, value);
    }

    fn held(&self) -> Option<u64> {
        Some(self.cache.entries() as u64)
    }
}

impl Loading for Foyer<u64, S3Fifo> {
    const NAME: &'static str = "foyer";

    fn new(capacity: usize) -> Self {
        Self::make(capacity)
    }

    fn put(&self, key: u64, value: u64) {
        self.cache.insert(key, value);
    }

    async fn get_or_load<L, F>(&self, key: u64, load: L) -> u64
    where
        L: FnOnce() -> F + Send,
        F: Future<Output = u64> + Send + 'static,
    {
        let fetch = || {
            let load = load();
            async move { Ok::<_, Infallible>(load.await) }
        };
        let entry = self.cache.get_or_fetch(&key, fetch).await;
        entry.map_or(u64::MAX, |entry| *entry.value())
    }
}
