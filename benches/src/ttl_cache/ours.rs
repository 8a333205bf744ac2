//! `brolly-ttl-cache`, as it comes, and with what plain data allows.

use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use brolly_sync::Task;
use brolly_ttl_cache::{Cache, CacheBuilder, EvictionPolicy, Maintainer};
use tokio::time::sleep;

use super::data::Payload;
use super::faces::{A_WHILE, Expiring, Face, Loading};

/// A value, and how a cache of it is best built.
pub(super) trait Kept: Payload {
    fn best(builder: CacheBuilder<u64, Self>) -> CacheBuilder<u64, Self>;
}

impl Kept for u64 {
    fn best(builder: CacheBuilder<u64, Self>) -> CacheBuilder<u64, Self> {
        builder.optimistic_reads()
    }
}

impl Kept for Arc<str> {
    fn best(builder: CacheBuilder<u64, Self>) -> CacheBuilder<u64, Self> {
        builder
    }
}

pub(super) trait Policy: Send + Sync + 'static {
    const POLICY: EvictionPolicy;
}

pub(super) struct Lru;
pub(super) struct Adaptive;

impl Policy for Lru {
    const POLICY: EvictionPolicy = EvictionPolicy::Lru;
}

impl Policy for Adaptive {
    const POLICY: EvictionPolicy = EvictionPolicy::Adaptive;
}

fn builder<V: Kept, P: Policy>(capacity: usize) -> CacheBuilder<u64, V> {
    let builder = Cache::builder()
        .max_capacity(capacity as u64)
        .no_time_to_live()
        .eviction_policy(P::POLICY);
    V::best(builder)
}

fn built<V: Kept>(builder: CacheBuilder<u64, V>) -> Cache<u64, V> {
    builder.build().expect("the axes ask for what is allowed")
}

/// Without expiry, as most peers are.
pub(super) struct Ours<V, P>(Cache<u64, V>, PhantomData<P>);

impl<V: Kept, P: Policy> Face<V> for Ours<V, P> {
    const NAME: &'static str = "ours";

    fn new(capacity: usize) -> Self {
        Self(built(builder::<V, P>(capacity)), PhantomData)
    }

    fn get(&self, key: u64) -> Option<V> {
        self.0.get(&key)
    }

    fn put(&self, key: u64, value: V) {
        self.0.insert(key, value);
    }

    fn held(&self) -> Option<u64> {
        Some(self.0.len())
    }

    fn listed(&self) -> Option<u64> {
        Some(self.0.iter().count() as u64)
    }
}

pub(super) struct OursTtl<V, P>(Cache<u64, V>, PhantomData<P>);

impl<V: Kept, P: Policy> Expiring<V> for OursTtl<V, P> {
    fn with_ttl(capacity: usize, ttl: Duration) -> Self {
        let builder = builder::<V, P>(capacity).time_to_live(ttl);
        Self(built(builder), PhantomData)
    }
}

impl<V: Kept, P: Policy> Face<V> for OursTtl<V, P> {
    const NAME: &'static str = "ours";

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
        Some(self.0.len())
    }
}

/// With the thread that cleans up.
pub(super) struct Maintained {
    cache: Cache<u64, u64>,
    _maintainer: Maintainer,
}

impl Expiring<u64> for Maintained {
    fn with_ttl(capacity: usize, ttl: Duration) -> Self {
        let cache = built(builder::<u64, Lru>(capacity).time_to_live(ttl));
        let maintainer = cache.spawn_maintainer(Duration::from_millis(100));
        let _maintainer = maintainer.expect("a thread can be started");
        Self { cache, _maintainer }
    }
}

impl Face<u64> for Maintained {
    const NAME: &'static str = "ours";

    fn new(capacity: usize) -> Self {
        Self::with_ttl(capacity, A_WHILE)
    }

    fn get(&self, key: u64) -> Option<u64> {
        self.cache.get(&key)
    }

    fn put(&self, key: u64, value: u64) {
        self.cache.insert(key, value);
    }

    fn held(&self) -> Option<u64> {
        Some(self.cache.len())
    }
}

pub(super) struct OursLoading(Cache<u64, u64>);

impl Loading for OursLoading {
    const NAME: &'static str = "ours";

    fn new(capacity: usize) -> Self {
        Self(built(builder::<u64, Lru>(capacity)))
    }

    fn put(&self, key: u64, value: u64) {
        self.0.insert(key, value);
    }

    async fn get_or_load<L, F>(&self, key: u64, load: L) -> u64
    where
        L: FnOnce() -> F + Send,
        F: Future<Output = u64> + Send + 'static,
    {
        let loaded = self.0.get_with(key, load).await;
        loaded.unwrap_or(u64::MAX)
    }
}

/// Values that live for a moment and are served for long after, while they are loaded anew.
pub(super) struct Stale(OursLoading);

impl Stale {
    /// Long enough that what was loaded anew is not stale before the last reader came.
    const TTL: Duration = Duration::from_millis(150);

    /// For the runtime that calls.
    pub(super) fn new() -> Self {
        let runtime = tokio::runtime::Handle::current();
        let spawner = move |task: Task| {
            runtime.spawn(task);
        };
        let builder = builder::<u64, Lru>(100)
            .time_to_live(Self::TTL)
            .stale_while_revalidate(A_WHILE)
            .spawner(spawner);
        Self(OursLoading(built(builder)))
    }

    pub(super) fn put(&self, key: u64, value: u64) {
        self.0.put(key, value);
    }

    /// Waits until what was put is stale.
    pub(super) async fn outlive(&self) {
        sleep(Self::TTL + Self::TTL / 5).await;
    }

    pub(super) async fn get_or_load<L, F>(&self, key: u64, load: L) -> u64
    where
        L: FnOnce() -> F + Send,
        F: Future<Output = u64> + Send + 'static,
    {
        self.0.get_or_load(key, load).await
    }
}
