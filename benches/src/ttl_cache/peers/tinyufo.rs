//! TinyUFO, of pingora. It keeps hashes instead of keys.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tinyufo::TinyUfo as Ufo;

use crate::ttl_cache::data::Payload;
use crate::ttl_cache::faces::Face;

/// A [`TinyUfo`] that cannot say what it holds.
pub(in crate::ttl_cache) const PLAIN: bool = false;
/// Counts what goes in and comes out, right for single threads that put only what is missing.
pub(in crate::ttl_cache) const COUNTED: bool = true;

pub(in crate::ttl_cache) struct TinyUfo<V: Payload, const COUNTS: bool = PLAIN> {
    cache: Ufo<u64, V>,
    held: AtomicU64,
}

impl<V: Payload, const COUNTS: bool> Face<V> for TinyUfo<V, COUNTS> {
    const NAME: &'static str = "TinyUFO";

    fn new(capacity: usize) -> Self {
        let cache = Ufo::new(capacity, capacity);
        let held = AtomicU64::new(0);
        Self { cache, held }
    }

    fn get(&self, key: u64) -> Option<V> {
        self.cache.get(&key)
    }

    fn put(&self, key: u64, value: V) {
        let evicted = self.cache.put(key, value, 1);
        if COUNTS {
            self.held.fetch_add(1, Relaxed);
            self.held.fetch_sub(evicted.len() as u64, Relaxed);
        }
    }

    fn held(&self) -> Option<u64> {
        COUNTS.then(|| self.held.load(Relaxed))
    }
}
