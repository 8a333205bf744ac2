//! Iteration over live entries, a few at a time.

use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use crate::cache::Cache;
use crate::hasher::RandomState;
use crate::inner::Inner;

/// How many entries are copied under one lock.
const BATCH: usize = 64;

/// Live entries of a cache, in no particular order; made by [`Cache::iter`].
///
/// Weakly consistent: an entry that is there from the beginning to the end is seen once; one that
/// comes or goes meanwhile may be seen or not. No lock is held between two items.
pub struct Iter<K, V, S = RandomState> {
    inner: Arc<Inner<K, V, S>>,
    shard: usize,
    from: Option<u32>,
    batch: std::vec::IntoIter<(K, V)>,
}

impl<K, V, S> Iter<K, V, S> {
    pub(crate) fn new(inner: Arc<Inner<K, V, S>>) -> Self {
        Self {
            inner,
            shard: 0,
            from: Some(0),
            batch: Vec::new().into_iter(),
        }
    }
}

impl<K, V, S> Iterator for Iter<K, V, S>
where
    K: Hash + Eq + Clone,
    V: Clone,
    S: BuildHasher,
{
    type Item = (K, V);

    fn next(&mut self) -> Option<(K, V)> {
        loop {
            if let Some(entry) = self.batch.next() {
                return Some(entry);
            }
            let Some(from) = self.from else {
                self.shard += 1;
                if self.shard >= self.inner.shards().len() {
                    // Stays at the end.
                    self.shard = self.inner.shards().len();
                    return None;
                }
                self.from = Some(0);
                continue;
            };
            if self.shard >= self.inner.shards().len() {
                return None;
            }
            let (batch, next) = self.inner.batch(self.shard, from, BATCH);
            self.batch = batch.into_iter();
            self.from = next;
        }
    }
}

impl<K, V, S> std::iter::FusedIterator for Iter<K, V, S>
where
    K: Hash + Eq + Clone,
    V: Clone,
    S: BuildHasher,
{
}

impl<K, V, S> std::fmt::Debug for Iter<K, V, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Iter")
            .field("shard", &self.shard)
            .finish_non_exhaustive()
    }
}

/// Keys of live entries; made by [`Cache::keys`].
#[derive(Debug)]
pub struct Keys<K, V, S = RandomState>(Iter<K, V, S>);

impl<K, V, S> Keys<K, V, S> {
    pub(crate) fn new(entries: Iter<K, V, S>) -> Self {
        Self(entries)
    }
}

impl<K, V, S> Iterator for Keys<K, V, S>
where
    K: Hash + Eq + Clone,
    V: Clone,
    S: BuildHasher,
{
    type Item = K;

    fn next(&mut self) -> Option<K> {
        self.0.next().map(|(key, _)| key)
    }
}

impl<K, V, S> IntoIterator for &Cache<K, V, S>
where
    K: Hash + Eq + Clone,
    V: Clone,
    S: BuildHasher,
{
    type Item = (K, V);
    type IntoIter = Iter<K, V, S>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
