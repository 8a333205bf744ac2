//! moka: TinyLFU admission, maintenance by whoever calls.

use std::future::Future;
use std::time::Duration;

use foldhash::fast::RandomState;
use moka::{future, sync};

use crate::ttl_cache::data::Payload;
use crate::ttl_cache::faces::{A_WHILE, Expiring, Face, Loading};

pub(in crate::ttl_cache) struct Moka<V>(sync::Cache<u64, V, RandomState>);

impl<V: Payload> Face<V> for Moka<V> {
    const NAME: &'static str = "moka";

    fn new(capacity: usize) -> Self {
        let cache = sync::Cache::builder()
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
        self.0.run_pending_tasks();
    }
}

pub(in crate::ttl_cache) struct MokaTtl<V>(sync::Cache<u64, V, RandomState>);

impl<V: Payload> Expiring<V> for MokaTtl<V> {
    fn with_ttl(capacity: usize, ttl: Duration) -> Self {
        let cache = sync::Cache::builder()
            .max_capacity(capacity as u64)
            .initial_capacity(capacity)
            .time_to_live(ttl)
            .build_with_hasher(RandomState::default());
        Self(cache)
    }
}

impl<V: Payload> Face<V> for MokaTtl<V> {
    const NAME: &'static str = "moka";

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
        self.0.run_pending_tasks();
    }
}

pub(in crate::ttl_cache) struct MokaFuture(future::Cache<u64, u64, RandomState>);

impl Loading for MokaFuture {
    const NAME: &'static str = "moka";

    fn new(capacity: usize) -> Self {
        let cache = future::Cache::builder()
            .max_capacity(capacity as u64)
            .initial_capacity(capacity)
            .build_with_hasher(RandomState::default());
        Self(cache)
    }

    fn put(&self, key: u64, value: u64) {
        futures::executor::block_on(self.0.insert(key, value));
    }

    async fn get_or_load<L, F>(&self, key: u64, load: L) -> u64
    where
        L: FnOnce() -> F + Send,
        F: Future<Output = u64> + Send + 'static,
    {
        self.0.get_with(key, async { load().await }).await
    }
}
