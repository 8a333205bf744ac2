//! [`Table`]: the entries of a map and the order in which they came. Knows no lock and no load.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash};
use std::num::NonZeroUsize;

/// Entries by key, as many as there may be.
///
/// Every key in `entries` stands once in `order`, under the stamp of its entry, and no other does.
/// What can panic, which is the hashing and comparing of keys, comes before either is changed.
pub(super) struct Table<K, L, S> {
    entries: HashMap<K, Entry<L>, S>,
    order: BTreeMap<u64, K>,
    stamp: u64,
    max_len: NonZeroUsize,
}

/// What a key stands for. Its stamp tells it from those that the key stood for before.
#[derive(Clone, Debug)]
pub(super) struct Entry<L> {
    pub(super) lazy: L,
    pub(super) stamp: u64,
}

/// What has left a table, to be dropped outside of locks.
pub(super) struct Gone<K, L> {
    _keys: [Option<K>; 2],
    pub(super) lazy: Option<L>,
}

impl<K: Hash + Eq, L: Clone, S: BuildHasher> Table<K, L, S> {
    pub(super) fn new(max_len: NonZeroUsize, hasher: S) -> Self {
        Self {
            entries: HashMap::with_hasher(hasher),
            order: BTreeMap::new(),
            stamp: 0,
            max_len,
        }
    }

    pub(super) fn get<Q>(&self, key: &Q) -> Option<&Entry<L>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.entries.get(key)
    }

    /// The entry of the key, which is given twice: the one that is there, or else this one. If there
    /// is no room, the oldest goes.
    pub(super) fn get_or_insert(&mut self, key: [K; 2], lazy: L) -> (Entry<L>, Gone<K, L>) {
        let [key, ordered] = key;
        if let Some(entry) = self.entries.get(&key) {
            return (
                entry.clone(),
                Gone::of([Some(key), Some(ordered)], Some(lazy)),
            );
        }
        let gone = match self.entries.len() >= self.max_len.get() {
            true => self.remove_oldest(),
            false => Gone::nothing(),
        };
        let stamp = self.stamp + 1;
        let entry = Entry { lazy, stamp };
        self.entries.insert(key, entry.clone());
        self.order.insert(stamp, ordered);
        self.stamp = stamp;
        (entry, gone)
    }

    pub(super) fn remove<Q>(&mut self, key: &Q) -> Gone<K, L>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let Some((key, entry)) = self.entries.remove_entry(key) else {
            return Gone::nothing();
        };
        let ordered = self.order.remove(&entry.stamp);
        Gone::of([Some(key), ordered], Some(entry.lazy))
    }

    /// Removes the entry with this stamp, if it is still there.
    pub(super) fn remove_stamp(&mut self, stamp: u64) -> Gone<K, L> {
        let Some(ordered) = self.order.get(&stamp) else {
            return Gone::nothing();
        };
        let removed = self.entries.remove_entry(ordered);
        let ordered = self.order.remove(&stamp);
        match removed {
            Some((key, entry)) => Gone::of([Some(key), ordered], Some(entry.lazy)),
            None => Gone::of([None, ordered], None),
        }
    }

    fn remove_oldest(&mut self) -> Gone<K, L> {
        match self.order.first_key_value() {
            Some((stamp, _)) => self.remove_stamp(*stamp),
            None => Gone::nothing(),
        }
    }
}

impl<K, L, S> Table<K, L, S> {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn max_len(&self) -> usize {
        self.max_len.get()
    }

    /// The keys, the one that came first at the front.
    pub(super) fn keys(&self) -> impl Iterator<Item = &K> {
        self.order.values()
    }

    pub(super) fn contains_stamp(&self, stamp: u64) -> bool {
        self.order.contains_key(&stamp)
    }

    /// Everything there is, to be dropped outside of locks.
    pub(super) fn take_all(&mut self) -> Vec<Gone<K, L>> {
        let ordered = std::mem::take(&mut self.order).into_values().map(Some);
        let entries = self.entries.drain();
        let gone = entries.zip(ordered);
        gone.map(|((key, entry), ordered)| Gone::of([Some(key), ordered], Some(entry.lazy)))
            .collect()
    }
}

impl<K, L> Gone<K, L> {
    fn of(keys: [Option<K>; 2], lazy: Option<L>) -> Self {
        Self { _keys: keys, lazy }
    }

    fn nothing() -> Self {
        Self::of([None, None], None)
    }
}

#[cfg(all(test, not(brolly_loom)))]
mod tests {
    use std::collections::hash_map::RandomState;

    use super::*;

    fn table(max_len: usize) -> Table<u32, &'static str, RandomState> {
        let max_len = NonZeroUsize::new(max_len).expect("more than zero");
        Table::new(max_len, RandomState::new())
    }

    #[test]
    fn the_oldest_makes_room_and_only_when_there_is_none() {
        let mut table = table(2);
        for (key, gone) in [(1, None), (2, None), (1, Some("1")), (3, Some("0"))] {
            let lazy = if key == 1 && table.len() == 2 {
                "1"
            } else {
                "0"
            };
            assert_eq!(table.get_or_insert([key, key], lazy).1.lazy, gone);
        }
        assert_eq!(table.keys().copied().collect::<Vec<_>>(), [2, 3]);
        assert_eq!(table.len(), 2);
    }

    #[test]
    fn a_stamp_is_of_one_entry_only() {
        let mut table = table(2);
        let (first, _) = table.get_or_insert([1, 1], "first");
        assert_eq!(table.remove(&1).lazy, Some("first"));
        let (second, _) = table.get_or_insert([1, 1], "second");
        assert_eq!(table.remove_stamp(first.stamp).lazy, None);
        assert_eq!(table.remove_stamp(second.stamp).lazy, Some("second"));
        assert_eq!((table.len(), table.keys().count()), (0, 0));
    }
}
