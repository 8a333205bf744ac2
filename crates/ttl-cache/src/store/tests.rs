//! The slab and the index against naive models.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Glance, Index, Published, Sequence, Slab};

/// More cases for a long run, by the variable that proptest itself reads.
fn cases(default: u32) -> u32 {
    let wanted = std::env::var("PROPTEST_CASES").ok();
    wanted
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(default)
}

/// How hashes are spread: the index has to stand all of it.
#[derive(Clone, Copy, Debug)]
enum Spread {
    Well,
    /// All alike.
    One,
    /// Few tags, homes anywhere.
    Tags,
    /// Tags anywhere, one home.
    Home,
    /// At the last group, so that looks wrap around.
    End,
}

impl Spread {
    fn hash(self, key: u32) -> u32 {
        let mixed = key.wrapping_mul(0x9E37_79B9) ^ (key << 7);
        match self {
            Self::Well => mixed,
            Self::One => 0xABCD_EF01,
            Self::Tags => (mixed & 0xFFFF_FF00) | (key & 1),
            Self::Home => mixed & 0xFF,
            Self::End => mixed | 0xFFFF_0000,
        }
    }
}

fn spread() -> impl Strategy<Value = Spread> {
    prop_oneof![
        Just(Spread::Well),
        Just(Spread::One),
        Just(Spread::Tags),
        Just(Spread::Home),
        Just(Spread::End),
    ]
}

#[derive(Clone, Debug)]
enum Act {
    Insert(u32),
    Remove(u32),
    Find(u32),
    Shrink,
    RemoveAllBelow(u32),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let key = || 0..300_u32;
    let one = prop_oneof![
        6 => key().prop_map(Act::Insert),
        4 => key().prop_map(Act::Remove),
        3 => key().prop_map(Act::Find),
        1 => Just(Act::Shrink),
        1 => key().prop_map(Act::RemoveAllBelow),
    ];
    vec(one, 1..600)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(400)))]

    /// Slots are keys here: a slot is found under its hash, and under no other.
    #[test]
    fn the_index_is_a_map(spread in spread(), expected in 0..400_usize, acts in acts()) {
        let mut index = Index::new();
        let mut model = HashSet::new();
        let hash = |key| spread.hash(key);
        for act in acts {
            match act {
                Act::Insert(key) => {
                    if model.insert(key) {
                        if index.is_full() {
                            index = index.grown(expected, hash);
                            prop_assert!(!index.is_full());
                        }
                        index.insert(hash(key), key);
                    }
                }
                Act::Remove(key) => {
                    if model.remove(&key) {
                        index.remove(hash(key), key);
                    }
                }
                Act::Find(key) => {
                    let found = index.find(hash(key), |slot| slot == key);
                    prop_assert_eq!(found.is_some(), model.contains(&key));
                }
                Act::Shrink => {
                    if index.is_sparse() {
                        index = index.shrunk(hash);
                        prop_assert!(!index.is_full());
                    }
                }
                Act::RemoveAllBelow(end) => {
                    for key in 0..end {
                        if model.remove(&key) {
                            index.remove(hash(key), key);
                        }
                    }
                }
            }
        }
        for key in 0..300 {
            let found = index.find(hash(key), |slot| slot == key);
            prop_assert_eq!(found.is_some(), model.contains(&key), "{}", key);
        }
        // Nothing stays behind that would make later looks long.
        for key in model {
            index.remove(hash(key), key);
        }
        for key in 0..300 {
            let mut asked = 0;
            index.find(hash(key), |_| { asked += 1; false });
            prop_assert_eq!(asked, 0);
        }
    }
}

/// Entries of which two have one hash are told apart by their keys alone.
#[test]
fn a_full_index_of_one_hash_finds_each_of_its_entries() {
    let mut index = Index::new();
    for slot in 0..2000 {
        if index.is_full() {
            index = index.grown(usize::MAX, |_| 42);
        }
        index.insert(42, slot);
    }
    for slot in 0..2000 {
        assert_eq!(index.find(42, |it| it == slot), Some(slot));
    }
    for slot in (0..2000).step_by(3) {
        index.remove(42, slot);
    }
    for slot in 0..2000 {
        assert_eq!(index.find(42, |it| it == slot).is_some(), slot % 3 != 0);
    }
}

#[derive(Clone, Debug)]
enum Deed {
    Insert {
        value: u64,
        deadline: u64,
    },
    Replace {
        nth: usize,
        value: u64,
        deadline: u64,
    },
    Remove {
        nth: usize,
    },
    RemoveMost,
    NextTaken {
        from: u32,
    },
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deadline = || prop_oneof![Just(0_u64), 1..100_u64, Just(u64::MAX)];
    let one = prop_oneof![
        8 => (any::<u64>(), deadline()).prop_map(|(value, deadline)| Deed::Insert { value, deadline }),
        2 => (any::<usize>(), any::<u64>(), deadline())
            .prop_map(|(nth, value, deadline)| Deed::Replace { nth, value, deadline }),
        5 => any::<usize>().prop_map(|nth| Deed::Remove { nth }),
        1 => Just(Deed::RemoveMost),
        1 => (0..600_u32).prop_map(|from| Deed::NextTaken { from }),
    ];
    vec(one, 1..400)
}

/// Runs deeds on a slab of values made by `make`; `same` tells whether a value is the number's.
fn slab_is_a_map<V>(
    plain: bool,
    first: usize,
    deeds: &[Deed],
    make: impl Fn(u64) -> V,
    same: impl Fn(&V, u64) -> bool,
) -> Result<(), TestCaseError> {
    // SAFETY: `plain` is only set below with numbers.
    let mut slab: Slab<u64, V> = unsafe { Slab::new(first, plain) };
    let mut model: BTreeMap<u32, (u64, u64, u64)> = BTreeMap::new();
    let mut key = 0;
    for deed in deeds {
        let nth = |nth: usize| model.keys().nth(nth % model.len().max(1)).copied();
        match *deed {
            Deed::Insert { value, deadline } => {
                if slab.is_full() {
                    drop(slab.grow());
                    prop_assert!(!slab.is_full());
                }
                key += 1;
                let slot = slab.insert(key, make(value), deadline, 9);
                prop_assert!(slot < slab.slots());
                // Zero means vacant, so it is kept as one.
                let clash = model.insert(slot, (key, value, deadline.max(1)));
                prop_assert!(clash.is_none(), "slot {slot} was taken");
                prop_assert_eq!(slab.mark(slot).load(Relaxed), 9);
            }
            Deed::Replace {
                nth: at,
                value,
                deadline,
            } => {
                if let Some(slot) = nth(at) {
                    let old = slab.replace(slot, make(value), deadline);
                    let known = model.get_mut(&slot).expect("chosen from the model");
                    prop_assert!(same(&old, known.1));
                    *known = (known.0, value, deadline.max(1));
                }
            }
            Deed::Remove { nth: at } => {
                if let Some(slot) = nth(at) {
                    remove(&mut slab, &mut model, slot, &same)?;
                }
            }
            Deed::RemoveMost => {
                while model.len() > 2 {
                    let slot = *model.keys().next().expect("there are some");
                    remove(&mut slab, &mut model, slot, &same)?;
                }
            }
            Deed::NextTaken { from } => {
                let next = model.range(from..).next().map(|(slot, _)| *slot);
                prop_assert_eq!(slab.next_taken(from), next);
            }
        }
        prop_assert_eq!(slab.len(), model.len());
    }
    for slot in 0..slab.slots() {
        let known = model.get(&slot);
        prop_assert_eq!(slab.deadline(slot), known.map_or(0, |known| known.2));
    }
    for (slot, (key, value, deadline)) in &model {
        let (k, v, d) = slab.get(*slot).expect("in the model");
        prop_assert!(k == key && same(v, *value) && d == *deadline);
    }
    prop_assert_eq!(slab.deadline(u32::MAX), 0);
    Ok(())
}

fn remove<V>(
    slab: &mut Slab<u64, V>,
    model: &mut BTreeMap<u32, (u64, u64, u64)>,
    slot: u32,
    same: &impl Fn(&V, u64) -> bool,
) -> Result<(), TestCaseError> {
    let (key, value) = slab.remove(slot);
    let known = model.remove(&slot).expect("chosen from the model");
    prop_assert!(key == known.0 && same(&value, known.1));
    drop(slab.take_empty_chunk(slot));
    let chunks = slab
        .table()
        .iter()
        .filter(|it| !it.load(Relaxed).is_null())
        .count();
    prop_assert!(
        chunks <= model.len() + 2,
        "{} chunks for {} entries",
        chunks,
        model.len()
    );
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(300)))]

    #[test]
    fn the_slab_is_a_map_of_plain_data(first in 1..200_usize, deeds in deeds()) {
        slab_is_a_map(true, first, &deeds, |n| [n, !n, n ^ 1], |v, n| *v == [n, !n, n ^ 1])?;
        slab_is_a_map(true, first, &deeds, |n| n as u8, |v, n| *v == n as u8)?;
        slab_is_a_map(true, first, &deeds, |_| (), |(), _| true)?;
        slab_is_a_map(true, first, &deeds, u128::from, |v, n| *v == u128::from(n))?;
    }

    /// Whatever happens, each value is dropped exactly once.
    #[test]
    fn the_slab_drops_each_value_once(first in 1..200_usize, deeds in deeds()) {
        let counted = Arc::new(());
        slab_is_a_map(
            false,
            first,
            &deeds,
            |n| (Arc::clone(&counted), n.to_string()),
            |(_, text), n| *text == n.to_string(),
        )?;
        prop_assert_eq!(Arc::strong_count(&counted), 1);
    }
}

/// What one reader without a lock makes of a store that nobody writes meanwhile is what is in it.
#[test]
fn a_published_store_reads_like_a_map() {
    // SAFETY: numbers are plain.
    let mut slab: Slab<u64, [u32; 3]> = unsafe { Slab::new(8, true) };
    let mut index = Index::new();
    let published = Published::new();
    let sequence = Sequence::new();
    published.publish(&index, &slab);
    let hash = |key: u64| (key as u32 % 64).wrapping_mul(0x9E37_79B9);
    let mut model = HashMap::new();
    let mut hashes = HashMap::new();
    let mut slots = HashMap::new();
    // What is replaced stays alive, as `find` asks for.
    let mut kept = Vec::new();
    let mut tables = Vec::new();
    for round in 0..4000_u64 {
        let key = round * 7919 % 257;
        sequence.begin_write();
        if round % 3 != 2 {
            if let Some(slot) = slots.get(&key) {
                slab.replace(*slot, [round as u32; 3], round + 1);
            } else {
                if index.is_full() {
                    let grown = index.grown(usize::MAX, |slot| hashes[&slot]);
                    kept.push(std::mem::replace(&mut index, grown));
                    published.publish(&index, &slab);
                }
                if slab.is_full()
                    && let Some(table) = slab.grow()
                {
                    tables.push(table);
                    published.publish(&index, &slab);
                }
                let slot = slab.insert(key, [round as u32; 3], round + 1, 0);
                hashes.insert(slot, hash(key));
                slots.insert(key, slot);
                index.insert(hash(key), slot);
            }
            model.insert(key, round);
        } else if let Some(slot) = slots.remove(&key) {
            index.remove(hash(key), slot);
            slab.remove(slot);
            model.remove(&key);
        }
        sequence.end_write();
        for key in [key, round % 257, 1000] {
            let known = model.get(&key).map(|round| ([*round as u32; 3], round + 1));
            // SAFETY: plain, and nothing that was published is freed before the end.
            match unsafe { published.find(&sequence, hash(key), &key) } {
                Glance::Hit(value, deadline, _) => assert_eq!(Some((value, deadline)), known),
                Glance::Miss => assert_eq!(known, None),
                Glance::Unclear => {}
            }
            // SAFETY: as above.
            match unsafe { published.find_patiently(&sequence, hash(key), &key) } {
                Glance::Hit(value, deadline, _) => assert_eq!(Some((value, deadline)), known),
                Glance::Miss => assert_eq!(known, None),
                Glance::Unclear => panic!("nobody writes"),
            }
        }
    }
    sequence.begin_write();
    // SAFETY: as above.
    let looks = unsafe {
        [
            published.find(&sequence, hash(1), &1),
            published.find_patiently(&sequence, hash(1), &1),
        ]
    };
    let unclear = looks.iter().all(|look| matches!(look, Glance::Unclear));
    assert!(unclear, "a reader makes nothing of what is being written");
    sequence.end_write();
}
