//! Changing one key without losing anybody else's change: `compute`, and what is built on it.

use std::hash::{BuildHasher, Hash};

use crate::cache::Cache;
use crate::error::Refusal;
use crate::hasher::RandomState;
use crate::inner::{Condition, Written};

/// What is to become of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compute<V> {
    /// It gets this value, and lives anew.
    Put(V),
    /// It goes.
    Remove,
    /// It stays as it is.
    Keep,
}

/// What became of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Computed<V> {
    /// It has another value.
    Put {
        /// What it had before.
        before: Option<V>,
        /// What it has now.
        after: V,
    },
    /// It has gone; this was its value.
    Removed(V),
    /// It is as it was: with this value, or missing.
    Kept(Option<V>),
    /// The cache did not take the new value; it is as it was.
    Refused {
        /// What it has.
        before: Option<V>,
        /// What it was to get.
        value: V,
        /// Why not.
        reason: Refusal,
    },
}

impl<V> Computed<V> {
    /// What the key has now.
    #[must_use]
    pub fn into_value(self) -> Option<V> {
        match self {
            Self::Put { after, .. } => Some(after),
            Self::Removed(_) => None,
            Self::Kept(value) => value,
            Self::Refused { before, .. } => before,
        }
    }
}

impl<K, V, S> Cache<K, V, S>
where
    K: Hash + Eq,
    S: BuildHasher,
{
    /// Writes a value unless there is a live one. Returns the one that is there instead.
    ///
    /// A value that the cache cannot take is told to the listener as
    /// [`Rejected`](crate::RemovalCause::Rejected), if it was to be written.
    #[doc(alias = "add")]
    pub fn insert_if_absent(&self, key: K, value: V) -> Option<V>
    where
        V: Clone,
    {
        if !self.inner.is_enabled() {
            return None;
        }
        let hash = self.inner.hash(&key);
        match self.inner.terms(&key, &value, hash, None) {
            Ok(terms) => {
                match self
                    .inner
                    .write(key, value, hash, terms, Condition::IfAbsent)
                {
                    Written::Done(_) => None,
                    Written::Not(_, _, there) => there,
                    Written::Refused(key, value, _) => {
                        self.inner.reject(key, value);
                        None
                    }
                }
            }
            Err(_) => {
                let there = self.peek(&key);
                if there.is_none() {
                    self.inner.reject(key, value);
                }
                there
            }
        }
    }

    /// Replaces the live value of a key if `wanted` says so of it. Returns the replaced value.
    ///
    /// `wanted` is called without a lock. If somebody writes the key meanwhile, it is asked again
    /// about the new value: what is replaced is what it was asked about.
    ///
    /// # Errors
    ///
    /// The new value, given back: there is no live value, it is not wanted, or the cache cannot take
    /// the new one.
    pub fn replace_if(&self, key: K, value: V, mut wanted: impl FnMut(&V) -> bool) -> Result<V, V>
    where
        K: Clone,
        V: Clone,
    {
        if !self.inner.is_enabled() {
            return Err(value);
        }
        let computed = self.compute(key, |before| match before {
            Some(before) if wanted(&before) => Compute::Put(value.clone()),
            _ => Compute::Keep,
        });
        match computed {
            Computed::Put {
                before: Some(before),
                ..
            } => Ok(before),
            _ => Err(value),
        }
    }

    /// Changes a key depending on its live value, with no change of anybody else lost in between.
    ///
    /// `change` is called without a lock. When it returns, its decision applies at once if the key
    /// was not written meanwhile; otherwise it is asked again about the value that is there now. So
    /// it may be called several times, and only its last answer counts. Of any number of callers
    /// that compute on one key at the same time, one gets through each time. A panic in it leaves
    /// the key as it was.
    ///
    /// Looking at the value counts neither as a lookup nor as a use. In a cache that is switched off
    /// there is no value, and nothing is stored.
    #[doc(alias = "upsert_with")]
    #[doc(alias = "update")]
    pub fn compute(
        &self,
        mut key: K,
        mut change: impl FnMut(Option<V>) -> Compute<V>,
    ) -> Computed<V>
    where
        K: Clone,
        V: Clone,
    {
        let hash = self.inner.hash(&key);
        if !self.inner.is_enabled() {
            return match change(None) {
                Compute::Put(after) => Computed::Put {
                    before: None,
                    after,
                },
                Compute::Remove | Compute::Keep => Computed::Kept(None),
            };
        }
        loop {
            let watch = self.inner.watch(hash);
            let before = self.peek(&key);
            let value = match change(before.clone()) {
                Compute::Keep => {
                    self.inner.unwatch(hash, &watch);
                    return Computed::Kept(before);
                }
                Compute::Remove => {
                    // What is removed is what `change` saw, or it is asked again.
                    let removed = self
                        .inner
                        .remove(&key, || before.is_some() && !watch.written());
                    match (before, removed) {
                        (None, _) => return Computed::Kept(None),
                        (Some(_), Some((_, value))) => return Computed::Removed(value),
                        (Some(_), None) => continue,
                    }
                }
                Compute::Put(value) => value,
            };
            let terms = match self.inner.terms(&key, &value, hash, None) {
                Ok(terms) => terms,
                Err(reason) => {
                    self.inner.unwatch(hash, &watch);
                    return Computed::Refused {
                        before,
                        value,
                        reason,
                    };
                }
            };
            let after = value.clone();
            match (self.inner).write(key, value, hash, terms, Condition::IfUnwritten(&watch)) {
                Written::Done(_) => return Computed::Put { before, after },
                Written::Not(same, _, _) => key = same,
                Written::Refused(_, value, reason) => {
                    self.inner.unwatch(hash, &watch);
                    return Computed::Refused {
                        before,
                        value,
                        reason,
                    };
                }
            }
        }
    }

    /// A key, to say step by step what is to become of it.
    ///
    /// Holds no lock: each step is one change, and others may come between two of them.
    pub fn entry(&self, key: K) -> Entry<'_, K, V, S> {
        Entry { cache: self, key }
    }
}

/// A key of a cache; made by [`Cache::entry`].
#[must_use = "an entry does nothing by itself"]
#[derive(Debug)]
pub struct Entry<'a, K, V, S = RandomState> {
    cache: &'a Cache<K, V, S>,
    key: K,
}

impl<'a, K, V, S> Entry<'a, K, V, S>
where
    K: Hash + Eq,
    V: Clone,
    S: BuildHasher,
{
    /// The key.
    pub fn key(&self) -> &K {
        &self.key
    }

    /// The key, taken back.
    pub fn into_key(self) -> K {
        self.key
    }

    /// The live value, or else this one, which is written.
    ///
    /// Counts as a lookup. If somebody writes the key at the same time, it is their value that is
    /// returned. A value that the cache cannot take is returned and not stored.
    pub fn or_insert(self, value: V) -> V {
        self.or_insert_with(|| value)
    }

    /// The live value, or else what `make` returns, which is written. See
    /// [`or_insert`](Self::or_insert).
    ///
    /// `make` is called without a lock, and by every caller that finds nothing; see
    /// [`get_blocking`](Cache::get_blocking) for a value that only one is to make.
    pub fn or_insert_with(self, make: impl FnOnce() -> V) -> V {
        if let Some(value) = self.cache.get(&self.key) {
            return value;
        }
        let value = make();
        let there = self.cache.insert_if_absent(self.key, value.clone());
        there.unwrap_or(value)
    }

    /// The live value, or else the type's default, which is written.
    pub fn or_default(self) -> V
    where
        V: Default,
    {
        self.or_insert_with(V::default)
    }

    /// Changes the live value, if there is one. As with [`compute`](Cache::compute), `change` may be
    /// called again with another value, and no change of anybody else is lost.
    pub fn and_modify(self, mut change: impl FnMut(&mut V)) -> Self
    where
        K: Clone,
    {
        let _ = self.cache.compute(self.key.clone(), |before| match before {
            Some(mut value) => {
                change(&mut value);
                Compute::Put(value)
            }
            None => Compute::Keep,
        });
        self
    }

    /// Changes the key; see [`compute`](Cache::compute).
    pub fn and_compute(self, change: impl FnMut(Option<V>) -> Compute<V>) -> Computed<V>
    where
        K: Clone,
    {
        self.cache.compute(self.key, change)
    }
}
