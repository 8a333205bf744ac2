//! [`ByHash`]: a few things that are found by a hash, several of which may have the same.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};

/// A map that is empty again gives its memory back if it has more room than this.
const ROOM: usize = 256;

/// Mostly there is one thing at a time, which has a place of its own; all others are in a map.
pub(crate) struct ByHash<T> {
    first: Option<T>,
    first_hash: u32,
    others: HashMap<u32, Chain<T>, BuildHasherDefault<Spread>>,
}

/// Things with the same hash.
struct Chain<T> {
    this: T,
    next: Option<Box<Chain<T>>>,
}

impl<T> Default for ByHash<T> {
    fn default() -> Self {
        Self {
            first: None,
            first_hash: 0,
            others: HashMap::default(),
        }
    }
}

impl<T> ByHash<T> {
    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none() && self.others.is_empty()
    }

    #[inline]
    pub(crate) fn insert(&mut self, hash: u32, this: T) {
        if self.first.is_none() {
            self.first = Some(this);
            self.first_hash = hash;
        } else {
            self.insert_other(hash, this);
        }
    }

    fn insert_other(&mut self, hash: u32, this: T) {
        match self.others.entry(hash) {
            Entry::Vacant(place) => drop(place.insert(Chain { this, next: None })),
            Entry::Occupied(mut place) => {
                let chain = place.get_mut();
                let next = chain.next.take();
                chain.next = Some(Box::new(Chain { this, next }));
            }
        }
    }

    /// One of those with this hash that is meant.
    #[inline]
    pub(crate) fn find(&self, hash: u32, meant: impl Fn(&T) -> bool) -> Option<&T> {
        match &self.first {
            Some(this) if self.first_hash == hash && meant(this) => Some(this),
            _ => self.find_other(hash, meant),
        }
    }

    fn find_other(&self, hash: u32, meant: impl Fn(&T) -> bool) -> Option<&T> {
        let mut chain = self.others.get(&hash);
        while let Some(Chain { this, next }) = chain {
            if meant(this) {
                return Some(this);
            }
            chain = next.as_deref();
        }
        None
    }

    pub(crate) fn find_mut(&mut self, hash: u32, meant: impl Fn(&T) -> bool) -> Option<&mut T> {
        if self.first_hash == hash && self.first.as_ref().is_some_and(&meant) {
            return self.first.as_mut();
        }
        let mut chain = self.others.get_mut(&hash);
        while let Some(Chain { this, next }) = chain {
            if meant(this) {
                return Some(this);
            }
            chain = next.as_deref_mut();
        }
        None
    }

    /// Takes one of those with this hash that is meant.
    #[inline]
    pub(crate) fn take(&mut self, hash: u32, meant: impl Fn(&T) -> bool) -> Option<T> {
        match &self.first {
            Some(this) if self.first_hash == hash && meant(this) => self.first.take(),
            _ => self.take_other(hash, meant),
        }
    }

    fn take_other(&mut self, hash: u32, meant: impl Fn(&T) -> bool) -> Option<T> {
        let Entry::Occupied(mut place) = self.others.entry(hash) else {
            return None;
        };
        if !meant(&place.get().this) {
            let mut before = place.get_mut();
            while before
                .next
                .as_deref()
                .is_some_and(|next| !meant(&next.this))
            {
                before = before.next.as_deref_mut()?;
            }
            let mut taken = before.next.take()?;
            before.next = taken.next.take();
            return Some(taken.this);
        }
        if let Some(next) = place.get_mut().next.take() {
            return Some(place.insert(*next).this);
        }
        let taken = place.remove();
        if self.others.is_empty() && self.others.capacity() > ROOM {
            self.others = HashMap::default();
        }
        Some(taken.this)
    }

    /// Changes all with this hash.
    pub(crate) fn change(&mut self, hash: u32, mut change: impl FnMut(&mut T)) {
        match &mut self.first {
            Some(this) if self.first_hash == hash => change(this),
            _ => {}
        }
        if let Some(chain) = self.others.get_mut(&hash) {
            chain.change(&mut change);
        }
    }

    pub(crate) fn change_all(&mut self, mut change: impl FnMut(&mut T)) {
        if let Some(this) = &mut self.first {
            change(this);
        }
        for chain in self.others.values_mut() {
            chain.change(&mut change);
        }
    }
}

impl<T> Chain<T> {
    fn change(&mut self, change: &mut impl FnMut(&mut T)) {
        let mut chain = Some(self);
        while let Some(Self { this, next }) = chain {
            change(this);
            chain = next.as_deref_mut();
        }
    }
}

/// What tells hashes apart is only brought to all bits.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        // Only numbers are ever hashed with it.
    }

    fn write_u32(&mut self, hash: u32) {
        // The golden ratio in 64 bits (Knuth, The Art of Computer Programming 3, 6.4); the table
        // goes by the lowest bits and the highest ones.
        let product = u64::from(hash).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = product ^ (product >> 32);
    }
}

#[cfg(all(test, not(brolly_loom)))]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{Strategy, any, prop_oneof, proptest};

    use super::{ByHash, ROOM};

    #[derive(Clone, Copy, Debug)]
    enum Op {
        Insert(u32, u8),
        Take(u32, u8),
        Change(u32),
        ChangeAll,
    }

    fn op() -> impl Strategy<Value = Op> {
        let hash = 0..4_u32;
        prop_oneof![
            4 => (hash.clone(), 0..4_u8).prop_map(|(hash, name)| Op::Insert(hash, name)),
            4 => (hash.clone(), 0..4_u8).prop_map(|(hash, name)| Op::Take(hash, name)),
            1 => hash.prop_map(Op::Change),
            1 => any::<()>().prop_map(|()| Op::ChangeAll),
        ]
    }

    proptest! {
        /// Against a list that is searched from one end to the other. Things with the same hash and
        /// name are told apart by nobody, so only their changes are counted together.
        #[test]
        fn it_finds_what_a_list_finds(ops in vec(op(), 0..60)) {
            let (mut map, mut list) = (ByHash::default(), Vec::new());
            for op in ops {
                match op {
                    Op::Insert(hash, name) => {
                        map.insert(hash, (name, 0));
                        list.push((hash, name, 0));
                    }
                    Op::Take(hash, name) => {
                        let taken: Option<(u8, u32)> = map.take(hash, |it| it.0 == name);
                        let is_it = |it: &(u32, u8, u32)| {
                            taken.is_some_and(|taken| *it == (hash, name, taken.1))
                        };
                        let at = list.iter().position(is_it);
                        assert_eq!(taken.is_some(), at.is_some());
                        at.map(|at| list.swap_remove(at));
                        let more = list.iter().any(|it| (it.0, it.1) == (hash, name));
                        assert!(taken.is_some() || !more, "there was one");
                    }
                    Op::Change(hash) => {
                        map.change(hash, |it| it.1 += 1);
                        for it in list.iter_mut().filter(|it| it.0 == hash) {
                            it.2 += 1;
                        }
                    }
                    Op::ChangeAll => {
                        map.change_all(|it| it.1 += 1);
                        for it in &mut list {
                            it.2 += 1;
                        }
                    }
                }
                assert_eq!(map.is_empty(), list.is_empty());
                for hash in 0..4 {
                    for name in 0..4 {
                        let listed = list.iter().any(|it| (it.0, it.1) == (hash, name));
                        assert_eq!(map.find(hash, |it| it.0 == name).is_some(), listed);
                        assert_eq!(map.find_mut(hash, |it| it.0 == name).is_some(), listed);
                    }
                }
            }
        }
    }

    #[test]
    fn after_a_crowd_the_memory_goes_back() {
        let mut map = ByHash::default();
        for hash in 0..10_000 {
            map.insert(hash, hash);
        }
        for hash in 0..10_000 {
            assert_eq!(map.take(hash, |_| true), Some(hash));
        }
        assert!(map.is_empty() && map.others.capacity() <= ROOM);
    }
}
