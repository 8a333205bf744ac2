//! quick_cache: locked shards, two clock rings and ghosts.

use std::convert::Infallible;
use std::future::Future;

use quick_cache::sync::Cache;

use crate::ttl_cache::data::Payload;
use crate::ttl_cache::faces::{Face, Loading};

pub(in crate::ttl_cache) struct QuickCache<V>(Cache<u64, V>);

impl<V: Payload> Face<V> for QuickCache<V> {
    const NAME: &'static str = "quick_cache";

    fn new(capacity: usize) -> Self {
        Self(Cache::new(capacity))
    }

    fn get(&self, key: u64) -> Option<V> {
        self.0.get(&key)
    }

    fn put(&self, key: u64, value: V) {
        self.0.insert(key, value);
    }

    fn held(&self) -> Option<u64> {
        Some(self.0.len() as u64)
    }
}

impl Loading for QuickCache<u64> {
    const NAME: &'static str = "quick_cache";

    fn new(capacity: usize) -> Self {
        Self(Cache::new(capacity))
    }

    fn put(&self, key: u64, value: u64) {
        self.0.insert(key, value);
    }

    async fn get_or_load<L, F>(&self, key: u64, load: L) -> u64
    where
        L: FnOnce() -> F + Send,
        F: Future<Output = u64> + Send + 'static,
    {
        let load = async { Ok::<_, Infallible>(load().await) };
        match self.0.get_or_insert_async(&key, load).await {
            Ok(value) => value,
        }
    }
}
