//! Several writes at once: [`Cache::transaction`].

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};

use thiserror::Error;

use crate::budget::{Hand, Room};
use crate::cache::Cache;
use crate::error::Refusal;
use crate::hasher::RandomState;
use crate::inner::{Inner, Terms};
use crate::primitive::lock;
use crate::removal::{RemovalCause, Removed};
use crate::shard::{Write, Writing};

/// A transaction has so many operations at most.
const MAX_OPERATIONS: usize = 10_000;

/// Why a transaction changed nothing.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TransactionError<E> {
    /// The closure returned an error.
    #[error("the transaction was rolled back")]
    RolledBack(#[source] E),
    /// It wrote too often.
    #[error("the transaction has more than {allowed} operations")]
    TooManyOperations {
        /// How many there may be.
        allowed: usize,
    },
    /// The cache does not take one of the values.
    #[error("a value is refused: {reason}")]
    Refused {
        /// Why not.
        reason: Refusal,
    },
    /// Its values together are more than the cache holds.
    #[error("{entries} entries that weigh {weight} are more than the cache holds")]
    TooLarge {
        /// How many values it writes.
        entries: u64,
        /// What they weigh.
        weight: u64,
    },
}

/// Writes that are to be applied together; handed to the closure of [`Cache::transaction`].
#[derive(Debug)]
pub struct Transaction<'a, K, V, S = RandomState> {
    cache: &'a Cache<K, V, S>,
    /// What each key is to have: a value, or nothing.
    writes: HashMap<K, Option<V>, foldhash::quality::RandomState>,
    operations: usize,
}

impl<K, V, S> Transaction<'_, K, V, S>
where
    K: Hash + Eq,
    V: Clone,
    S: BuildHasher,
{
    /// The value of a key as this transaction has it: what it wrote, or else what is in the cache,
    /// which counts as a lookup.
    pub fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        match self.writes.get(key) {
            Some(written) => written.clone(),
            None => self.cache.get(key),
        }
    }

    /// Writes a value, when the transaction is applied.
    pub fn insert(&mut self, key: K, value: V) {
        self.write(key, Some(value));
    }

    /// Takes a key out, when the transaction is applied.
    pub fn remove(&mut self, key: K) {
        self.write(key, None);
    }

    fn write(&mut self, key: K, value: Option<V>) {
        self.operations += 1;
        // Beyond the limit nothing is kept, as nothing will be applied.
        if self.operations <= MAX_OPERATIONS {
            self.writes.insert(key, value);
        }
    }
}

impl<K, V, S> Cache<K, V, S>
where
    K: Hash + Eq,
    S: BuildHasher,
{
    /// Writes several keys together.
    ///
    /// What `run` writes is kept back until it has returned `Ok`. Then it is applied, all keys of
    /// one shard at once: no reader sees some of them changed and others not. Keys of
    /// [one shard](Self::same_shard) so change together, and in a cache of one shard all do. Nothing
    /// is applied if `run` returns an error or panics.
    ///
    /// `run` is called without a lock, and reads what others write meanwhile: a change that depends
    /// on a value, and must not miss another one, is a matter for [`compute`](Self::compute).
    /// Transactions are applied one after another. The bounds hold throughout; room is taken before
    /// anything is written, so a shard may evict other entries for a transaction, never its own.
    ///
    /// In a cache that is switched off, nothing is applied.
    ///
    /// # Errors
    ///
    /// What `run` returned; more than 10,000 operations; a value that is refused; more values than
    /// the cache can hold. Nothing was changed.
    pub fn transaction<T, E>(
        &self,
        run: impl FnOnce(&mut Transaction<'_, K, V, S>) -> Result<T, E>,
    ) -> Result<T, TransactionError<E>>
    where
        V: Clone,
    {
        let mut transaction = Transaction {
            cache: self,
            writes: HashMap::default(),
            operations: 0,
        };
        let result = run(&mut transaction).map_err(TransactionError::RolledBack)?;
        if transaction.operations > MAX_OPERATIONS {
            return Err(TransactionError::TooManyOperations {
                allowed: MAX_OPERATIONS,
            });
        }
        if self.inner.is_enabled() {
            self.inner.apply(transaction.writes)?;
        }
        Ok(result)
    }

    /// Whether two keys are in one shard, so that a [`transaction`](Self::transaction) changes both
    /// at once.
    #[must_use]
    pub fn same_shard<Q>(&self, one: &Q, other: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let shard = |key| std::ptr::from_ref(self.inner.shard(self.inner.hash(key)));
        shard(one) == shard(other)
    }
}

/// A write that is ready to be applied.
struct Ready<K, V> {
    key: K,
    hash: u64,
    value: Option<(V, Terms)>,
}

/// The writes of a transaction that go into one shard.
type Group<K, V> = Vec<Ready<K, V>>;

impl<K, V, S> Inner<K, V, S>
where
    K: Hash + Eq,
    V: Clone,
    S: BuildHasher,
{
    fn apply<E>(
        &self,
        writes: HashMap<K, Option<V>, foldhash::quality::RandomState>,
    ) -> Result<(), TransactionError<E>> {
        // All that is not ours to know, and may fail, comes before the first lock.
        let mut total = Room::NONE;
        let mut groups: HashMap<*const _, Group<K, V>> = HashMap::new();
        for (key, value) in writes {
            let hash = self.hash(&key);
            let value = match value {
                Some(value) => {
                    let terms = self.terms(&key, &value, hash, None);
                    let terms = terms.map_err(|reason| TransactionError::Refused { reason })?;
                    total = total.plus(Room::one(terms.weight));
                    Some((value, terms))
                }
                None => None,
            };
            let shard = std::ptr::from_ref(self.shard(hash));
            groups
                .entry(shard)
                .or_default()
                .push(Ready { key, hash, value });
        }

        let mut removed = self.deliveries.removed();
        // The bounds stay as they are until all is in. And one gathers room at a time: two that each
        // hold half of it would wait for the other half.
        let resizing = lock(&self.resizing);
        let gathering = lock(&self.gathering);
        let fits = self.bounds().covers(total);
        if fits {
            for group in groups.into_values() {
                self.apply_group(group, &mut removed);
            }
        }
        drop(gathering);
        drop(resizing);
        self.deliveries.deliver(removed);
        if fits {
            Ok(())
        } else {
            let Room { entries, weight } = total;
            Err(TransactionError::TooLarge { entries, weight })
        }
    }

    /// Applies writes that all go into one shard. They fit into the cache.
    fn apply_group(&self, group: Group<K, V>, removed: &mut Removed<K, V>) {
        let Some(hash) = group.first().map(|ready| ready.hash) else {
            return;
        };
        let total = group.iter().filter_map(|ready| ready.value.as_ref());
        let total = total.fold(Room::NONE, |sum, (_, terms)| {
            sum.plus(Room::one(terms.weight))
        });
        let mut hand = Hand::empty(&self.budget);
        loop {
            let mut shard = self.shard(hash).write();
            let now = self.clock.coarse();
            let needed = loop {
                // What these keys use now will be free. Evicting may hit them, so it is added up
                // again each time.
                let mut freed = Room::NONE;
                for ready in &group {
                    if let Some(slot) = shard.find(ready.hash as u32, &ready.key) {
                        freed = freed.plus(Room::one(shard.weight_of(slot)));
                    }
                }
                let needed = total.less(freed);
                if hand.room.covers(needed) {
                    self.write_group(&mut shard, group, removed);
                    // What was freed beyond what was needed goes back.
                    hand.room = hand.room.plus(freed).less(total);
                    self.leave_keeping(shard, removed);
                    return;
                }
                if !shard.secure(needed, &mut hand, None, now, removed) {
                    break needed;
                }
            };
            self.leave_keeping(shard, removed);
            self.evict_elsewhere(needed, &mut hand, hash, removed);
        }
    }

    fn write_group(
        &self,
        shard: &mut Writing<'_, K, V>,
        group: Group<K, V>,
        removed: &mut Removed<K, V>,
    ) {
        for Ready { key, hash, value } in group {
            let hash = hash as u32;
            let present = shard.find(hash, &key);
            let expired = present.is_some_and(|slot| {
                let deadline = shard.slab.deadline(slot);
                self.clock.is_past(deadline)
            });
            let Some((value, terms)) = value else {
                if let Some(slot) = present {
                    let cause = if expired {
                        RemovalCause::Expired
                    } else {
                        RemovalCause::Explicit
                    };
                    let (key, value, _) = shard.remove(slot, cause);
                    removed.push(key, value, cause);
                }
                shard.watches.wrote(hash);
                continue;
            };
            let present = match present {
                Some(slot) if expired => {
                    let (key, value, _) = shard.remove(slot, RemovalCause::Expired);
                    removed.push(key, value, RemovalCause::Expired);
                    None
                }
                other => other,
            };
            let now = self.now_for(terms.time_to_live, shard);
            let write = Write {
                key,
                value,
                hash,
                weight: terms.weight,
                now,
                deadline: now.saturating_add(terms.time_to_live),
            };
            match present {
                Some(slot) => {
                    let (key, value) = shard.replace(slot, write);
                    removed.push(key, value, RemovalCause::Replaced);
                }
                None => {
                    shard.insert(write);
                }
            }
        }
    }
}
