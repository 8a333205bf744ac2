//! The policy over a cache of keys without values: what it keeps, and that it loses no slot.

use super::*;
use proptest::prelude::*;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
struct Words {
    marks: RefCell<BTreeMap<u32, u64>>,
    hashes: BTreeMap<u32, u32>,
    looks: Cell<usize>,
}

impl Marks for Words {
    fn mark(&self, slot: u32) -> u64 {
        self.looks.set(self.looks.get() + 1);
        self.marks.borrow().get(&slot).copied().unwrap_or(0)
    }

    fn set_mark(&self, slot: u32, mark: u64) {
        self.marks.borrow_mut().insert(slot, mark);
    }

    fn deadline(&self, _: u32) -> u64 {
        1
    }

    fn hash(&self, slot: u32) -> u32 {
        self.hashes[&slot]
    }

    fn stamp(&self) -> u64 {
        0
    }
}

/// A cache of keys, as a shard runs it.
struct Toy {
    policy: Adaptive,
    words: Words,
    slots: BTreeMap<u64, u32>,
    keys: BTreeMap<u32, u64>,
    free: Vec<u32>,
    capacity: usize,
    hash: fn(u64) -> u32,
}

fn mixed(key: u64) -> u32 {
    let key = (key ^ (key >> 31)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    ((key ^ (key >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93) >> 32) as u32
}

impl Toy {
    fn new(capacity: usize) -> Self {
        let mut policy = Adaptive::new();
        let words = Words::default();
        policy.set_capacity(capacity as u64, &words);
        Self {
            policy,
            words,
            slots: BTreeMap::new(),
            keys: BTreeMap::new(),
            free: Vec::new(),
            capacity,
            hash: mixed,
        }
    }

    /// Whether a key was there. It is afterwards.
    fn access(&mut self, key: u64) -> bool {
        if let Some(slot) = self.slots.get(&key) {
            let mark = self.words.marks.borrow().get(slot).copied().unwrap_or(0);
            self.words.set_mark(*slot, (mark + 1).min(3));
            return true;
        }
        while self.slots.len() >= self.capacity {
            self.evict().expect("the cache is full");
        }
        let slot = self.free.pop().unwrap_or(self.keys.len() as u32);
        self.slots.insert(key, slot);
        let before = self.keys.insert(slot, key);
        assert_eq!(before, None);
        let hash = (self.hash)(key);
        self.words.hashes.insert(slot, hash);
        self.policy.insert(slot, hash, &self.words);
        false
    }

    fn evict(&mut self) -> Option<u64> {
        let slot = self.policy.evict(&self.words)?;
        let key = (self.keys.remove(&slot)).expect("the policy evicts what is held");
        self.slots.remove(&key);
        self.free.push(slot);
        Some(key)
    }

    fn remove(&mut self, key: u64) {
        if let Some(slot) = self.slots.remove(&key) {
            self.policy.remove(slot);
            self.keys.remove(&slot);
            self.free.push(slot);
        }
    }

    /// The part of accesses that hit.
    fn hits(&mut self, keys: impl IntoIterator<Item = u64>) -> f64 {
        let (mut hits, mut all) = (0, 0);
        for key in keys {
            all += 1;
            hits += u32::from(self.access(key));
        }
        f64::from(hits) / f64::from(all)
    }

    fn check(&self) {
        assert_eq!(self.policy.engine.segments.len(), self.slots.len());
        let watched: BTreeSet<u32> = self.policy.watched.iter().copied().collect();
        assert_eq!(watched.len(), self.policy.watched.len());
        for slot in self.keys.keys() {
            let marked = self.policy.engine.segments.state(*slot).is_watched();
            assert_eq!(marked, watched.contains(slot), "{slot}");
        }
        assert!(watched.iter().all(|slot| self.keys.contains_key(slot)));
        assert!(watched.len() <= MAX_WATCHED);
    }
}

/// Numbers below `n`, small ones more often.
fn skewed(n: u64) -> impl Iterator<Item = u64> {
    (0..).map(move |i: u64| {
        let unit = f64::from(mixed(i ^ (0x5EED << 40))) / f64::from(u32::MAX);
        ((n as f64).powf(unit) - 1.0) as u64
    })
}

#[test]
fn a_scan_does_not_push_out_what_is_used_again() {
    let mut toy = Toy::new(1000);
    toy.hits((0..20_000).map(|i| i % 500));
    let scan = (0..100_000).map(|i| (1 << 32) | i);
    let popular = (0..100_000).map(|i| i % 500);
    let mut hits = 0;
    for (stranger, known) in scan.zip(popular) {
        toy.access(stranger);
        hits += usize::from(toy.access(known));
    }
    assert!(hits > 99_000, "{hits}");
}

#[test]
fn a_part_of_a_loop_that_does_not_fit_is_kept() {
    for capacity in [10, 100, 1000, 5000] {
        let mut toy = Toy::new(capacity);
        let length = 2 * capacity as u64;
        let hits = toy.hits((0..20 * length).map(|i| i % length));
        // The best is 19 times a half in 20.
        assert!(hits > 0.40, "{capacity}: {hits}");
    }
}

#[test]
fn what_is_used_twice_in_short_order_is_there_the_second_time() {
    let mut toy = Toy::new(1000);
    let hits = toy.hits((300..50_000).flat_map(|i| [i, i - 300]));
    assert!(hits > 0.47, "{hits}");
}

#[test]
fn what_is_popular_now_displaces_what_was_popular() {
    let mut toy = Toy::new(1000);
    for era in 0..5_u64 {
        let keys = skewed(20_000).skip(era as usize * 60_000);
        let early = toy.hits(keys.take(20_000).map(|key| (era << 32) | key));
        let keys = skewed(20_000).skip(era as usize * 60_000 + 20_000);
        let late = toy.hits(keys.take(40_000).map(|key| (era << 32) | key));
        assert!(late > 0.62, "{era}: {early}, {late}");
        assert!(early > late - 0.12, "{era}: {early}, {late}");
    }
}

#[test]
fn a_working_set_that_fits_is_held() {
    let mut toy = Toy::new(1000);
    toy.hits((0..30_000).map(|i| (1 << 32) | (i % 3000)));
    toy.hits((0..20_000).map(|i| i % 900));
    let hits = toy.hits((0..9_000).map(|i| i % 900));
    assert!(hits > 0.99, "{hits}");
}

#[test]
fn the_capacity_may_change_at_any_time() {
    let mut toy = Toy::new(2000);
    for (capacity, least) in [
        (2000, 0.69),
        (50, 0.28),
        (5000, 0.78),
        (1, 0.0),
        (300, 0.46),
    ] {
        toy.capacity = capacity;
        toy.policy.set_capacity(capacity as u64, &toy.words);
        toy.hits(skewed(20_000).take(20_000));
        let hits = toy.hits(skewed(20_000).skip(20_000).take(20_000));
        assert!(hits > least, "{capacity}: {hits}");
        toy.check();
    }
}

#[test]
fn without_a_bound_on_entries_what_is_held_is_the_measure() {
    let mut toy = Toy::new(1000);
    toy.policy.set_capacity(u64::MAX, &toy.words);
    let hits = toy.hits((0..100_000).map(|i| i % 2000));
    assert!(hits > 0.40, "{hits}");
}

#[test]
fn equal_hashes_are_one_key_to_it_and_do_no_harm() {
    let mut toy = Toy::new(5000);
    toy.hash = |_| 0;
    toy.hits((0..50_000).map(|i| i % 20_000));
    toy.check();
    while toy.evict().is_some() {}
    assert!(toy.slots.is_empty());
}

#[test]
fn no_eviction_looks_at_more_than_a_few_entries() {
    for warm in [0, 20_000] {
        let mut toy = Toy::new(2_000);
        toy.hits(0..2_000);
        toy.hits((0..warm).flat_map(|i| [i + 50, i]));
        for _ in 0..50 {
            for slot in toy.keys.keys() {
                toy.words.set_mark(*slot, 3);
            }
            toy.words.looks.set(0);
            toy.evict();
            let looks = toy.words.looks.get();
            assert!(looks <= 80, "{looks}");
        }
    }
}

#[test]
fn an_eviction_of_nothing_is_none() {
    let mut policy = Adaptive::new();
    assert_eq!(policy.evict(&Words::default()), None);
    policy.set_capacity(0, &Words::default());
    assert_eq!(policy.evict(&Words::default()), None);
    policy.shrink(0, &Words::default());
}

#[derive(Clone, Debug)]
enum Op {
    Access(u64),
    Remove(u64),
    Update(u64),
    Evict,
    Capacity(usize),
    Clear,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        20 => (0..600_u64).prop_map(Op::Access),
        3 => (0..600_u64).prop_map(Op::Remove),
        2 => (0..600_u64).prop_map(Op::Update),
        1 => Just(Op::Evict),
        1 => prop_oneof![Just(1), Just(7), Just(100), Just(300)].prop_map(Op::Capacity),
        1 => Just(Op::Clear),
    ]
}

proptest! {
    #[test]
    fn every_slot_goes_exactly_once(ops in prop::collection::vec(op(), 0..1000), start in 1..300_usize) {
        let mut toy = Toy::new(start);
        for op in ops {
            match op {
                Op::Access(key) => { toy.access(key); }
                Op::Remove(key) => toy.remove(key),
                Op::Update(key) => if let Some(slot) = toy.slots.get(&key) {
                    let mark = toy.words.marks.borrow().get(slot).copied().unwrap_or(0);
                    toy.words.set_mark(*slot, (mark + 1).min(3));
                    toy.policy.update(*slot, &toy.words);
                },
                Op::Evict => { toy.evict(); }
                Op::Capacity(capacity) => {
                    toy.capacity = capacity;
                    toy.policy.set_capacity(capacity as u64, &toy.words);
                    while toy.slots.len() > capacity {
                        toy.evict();
                    }
                }
                Op::Clear => {
                    let keys: Vec<u64> = toy.slots.keys().copied().collect();
                    keys.into_iter().for_each(|key| toy.remove(key));
                    toy.free.clear();
                    toy.policy.shrink(0, &toy.words);
                }
            }
            prop_assert!(toy.slots.len() <= toy.capacity);
        }
        toy.check();
        for _ in 0..toy.slots.len() {
            prop_assert!(toy.evict().is_some());
        }
        prop_assert!(toy.evict().is_none());
        toy.check();
    }
}
