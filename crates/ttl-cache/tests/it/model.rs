//! The cache against a naive oracle, over the product of what can be chosen.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use brolly_sync::{Clock, ManualClock};
use brolly_ttl_cache::{Cache, EvictionPolicy, RemovalCause};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::{POLICIES, cases};

const KEYS: u64 = 24;
const NEVER: u64 = u64::MAX;

#[derive(Clone, Debug)]
enum Op {
    Insert { key: u64, weight: u64 },
    InsertWithTtl { key: u64, weight: u64, ttl: u64 },
    TryInsert { key: u64, weight: u64 },
    Get { key: u64 },
    Peek { key: u64 },
    Contains { key: u64 },
    Remove { key: u64 },
    Clear,
    Retain { modulus: u64, rest: u64 },
    Advance { time: u64 },
    SetMaxCapacity { entries: u64 },
    SetMaxWeight { weight: u64 },
    Maintain,
    Len,
    Iter,
    SetEnabled { enabled: bool },
}

fn op() -> impl Strategy<Value = Op> {
    let key = || 0..KEYS;
    let weight = || prop_oneof![20 => 0..8_u64, 1 => 30..50_u64, 1 => Just(u64::MAX)];
    let time = || prop_oneof![Just(1_u64), 1..100_u64, 100..2000_u64, Just(NEVER)];
    prop_oneof![
        20 => (key(), weight()).prop_map(|(key, weight)| Op::Insert { key, weight }),
        6 => (key(), weight(), time())
            .prop_map(|(key, weight, ttl)| Op::InsertWithTtl { key, weight, ttl }),
        2 => (key(), weight()).prop_map(|(key, weight)| Op::TryInsert { key, weight }),
        24 => key().prop_map(|key| Op::Get { key }),
        2 => key().prop_map(|key| Op::Peek { key }),
        1 => key().prop_map(|key| Op::Contains { key }),
        5 => key().prop_map(|key| Op::Remove { key }),
        1 => Just(Op::Clear),
        1 => (1..5_u64, 0..5_u64).prop_map(|(modulus, rest)| Op::Retain { modulus, rest }),
        8 => prop_oneof![Just(0), 1..50_u64, 50..600_u64].prop_map(|time| Op::Advance { time }),
        1 => (1..20_u64).prop_map(|entries| Op::SetMaxCapacity { entries }),
        1 => (1..60_u64).prop_map(|weight| Op::SetMaxWeight { weight }),
        2 => Just(Op::Maintain),
        2 => Just(Op::Len),
        2 => Just(Op::Iter),
        1 => (0..3_u8).prop_map(|die| Op::SetEnabled { enabled: die > 0 }),
    ]
}

/// One cell of the product.
#[derive(Clone, Copy, Debug)]
struct Setting {
    policy: EvictionPolicy,
    entries: Option<u64>,
    weight: Option<u64>,
    ttl: Option<u64>,
    tti: Option<u64>,
    per_entry: bool,
    plain: bool,
    listening: bool,
    shards: usize,
}

fn product() -> Vec<Setting> {
    let mut all = Vec::new();
    for policy in POLICIES {
        for (entries, weight) in [(Some(8), None), (None, Some(40)), (Some(10), Some(30))] {
            for (ttl, tti, per_entry) in [
                (None, None, false),
                (Some(500), None, false),
                (None, Some(200), false),
                (None, None, true),
                (Some(700), Some(300), true),
            ] {
                for bits in 0..8 {
                    all.push(Setting {
                        policy,
                        entries,
                        weight,
                        ttl,
                        tti,
                        per_entry,
                        plain: bits & 1 == 0,
                        listening: bits & 2 == 0,
                        shards: if bits & 4 == 0 { 1 } else { 4 },
                    });
                }
            }
        }
    }
    all
}

/// Values carry their weight, and a serial number that makes them unique.
fn weight_of(value: u64) -> u64 {
    match value & 0x3F {
        0x3F => u64::MAX,
        weight => weight,
    }
}

/// How long the entries of some keys live, if that is theirs to say.
fn own_ttl(key: u64, value: u64) -> Option<u64> {
    key.is_multiple_of(3).then(|| 20 + (value >> 6) % 7 * 100)
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    value: u64,
    weight: u64,
    /// When it ends, whether read or not; and when it ends if nobody reads it from now on.
    end: u64,
    deadline: u64,
    /// By the order of what happened.
    inserted: u64,
    written: u64,
    used: u64,
    /// For the least frequently used one: the age it came at, and its uses.
    age: u64,
    uses: u64,
}

/// What the cache must hold, by the plainest means.
#[derive(Debug)]
struct Oracle {
    setting: Setting,
    entries: BTreeMap<u64, Entry>,
    max_entries: u64,
    max_weight: u64,
    now: u64,
    order: u64,
    age: u64,
    enabled: bool,
    serial: u64,
    hits: u64,
    misses: u64,
    bypassed: u64,
    inserts: u64,
    replaced: u64,
    rejections: u64,
    /// Entries that have expired since the cache had to look at all of them.
    unclaimed: bool,
}

impl Oracle {
    fn new(setting: Setting, now: u64) -> Self {
        Self {
            setting,
            entries: BTreeMap::new(),
            max_entries: setting.entries.unwrap_or(NEVER),
            max_weight: setting.weight.unwrap_or(NEVER),
            now,
            order: 0,
            age: 0,
            enabled: true,
            serial: 0,
            hits: 0,
            misses: 0,
            bypassed: 0,
            inserts: 0,
            replaced: 0,
            rejections: 0,
            unclaimed: false,
        }
    }

    /// Victims are foretold for these; for others, they are learnt.
    fn is_exact(&self) -> bool {
        self.setting.shards == 1 && self.setting.policy != EvictionPolicy::Adaptive
    }

    fn next(&mut self) -> u64 {
        self.order += 1;
        self.order
    }

    fn expire(&mut self) {
        let now = self.now;
        let before = self.entries.len();
        self.entries.retain(|_, entry| entry.deadline > now);
        self.unclaimed |= self.entries.len() < before;
    }

    fn weight(&self) -> u64 {
        self.entries.values().map(|entry| entry.weight).sum()
    }

    fn get(&mut self, key: u64) -> Option<u64> {
        if !self.enabled {
            self.bypassed += 1;
            return None;
        }
        let order = self.next();
        let (now, tti) = (self.now, self.setting.tti);
        match self.entries.get_mut(&key) {
            Some(entry) => {
                entry.used = order;
                entry.uses = (entry.uses + 1).min(255);
                if let Some(tti) = tti {
                    entry.deadline = now.saturating_add(tti).min(entry.end);
                }
                self.hits += 1;
                Some(entry.value)
            }
            None => {
                self.misses += 1;
                None
            }
        }
    }

    /// A value with this weight that was never used before.
    fn value(&mut self, weight: u64) -> u64 {
        self.serial += 1;
        self.serial << 6 | weight.min(0x3F)
    }

    fn ttl(&self, key: u64, value: u64, given: Option<u64>) -> u64 {
        let own = self
            .setting
            .per_entry
            .then(|| own_ttl(key, value))
            .flatten();
        given.or(own).or(self.setting.ttl).unwrap_or(NEVER)
    }

    /// Whether the cache takes the entry at all.
    fn takes(&self, value: u64) -> bool {
        self.setting.weight.is_none() || weight_of(value) <= self.max_weight
    }

    /// Returns the live value that was there.
    fn insert(&mut self, key: u64, value: u64, ttl: Option<u64>) -> Option<u64> {
        let weight = if self.setting.weight.is_some() {
            weight_of(value)
        } else {
            0
        };
        let previous = self.entries.get(&key).copied();
        if self.is_exact() {
            loop {
                let others = self.weight() - previous.map_or(0, |entry| entry.weight);
                let count = self.entries.len() as u64 + u64::from(previous.is_none());
                if count <= self.max_entries && others + weight <= self.max_weight {
                    break;
                }
                assert!(self.evict(Some(key)), "an entry that is taken finds room");
            }
        }
        let order = self.next();
        let end = self.now.saturating_add(self.ttl(key, value, ttl));
        let idle = self.setting.tti.unwrap_or(NEVER);
        let entry = Entry {
            value,
            weight,
            end,
            deadline: self.now.saturating_add(idle).min(end),
            inserted: previous.map_or(order, |entry| entry.inserted),
            written: order,
            used: order,
            age: previous.map_or(self.age, |entry| entry.age),
            uses: previous.map_or(1, |entry| (entry.uses + 1).min(255)),
        };
        self.entries.insert(key, entry);
        self.inserts += 1;
        self.replaced += u64::from(previous.is_some());
        previous.map(|entry| entry.value)
    }

    fn evict(&mut self, pinned: Option<u64>) -> bool {
        let rank = |entry: &Entry| match self.setting.policy {
            EvictionPolicy::Lru => (entry.used, 0),
            EvictionPolicy::Fifo => (entry.inserted, 0),
            EvictionPolicy::Lfu => (entry.age + entry.uses, entry.inserted),
            EvictionPolicy::SoonestExpiry => (entry.deadline, entry.written),
            other => unreachable!("{other} is not foretold"),
        };
        let candidates = self.entries.iter().filter(|(key, _)| Some(**key) != pinned);
        let victim = candidates
            .min_by_key(|(_, entry)| rank(entry))
            .map(|(key, _)| *key);
        let Some(victim) = victim else { return false };
        let entry = self.entries.remove(&victim).expect("chosen from there");
        if self.setting.policy == EvictionPolicy::Lfu {
            self.age = entry.age + entry.uses;
        }
        true
    }

    fn shrink(&mut self) {
        while self.is_exact()
            && (self.entries.len() as u64 > self.max_entries || self.weight() > self.max_weight)
        {
            self.evict(None);
        }
    }
}

type Told = Arc<Mutex<Vec<(u64, u64, RemovalCause)>>>;

fn build(setting: Setting, clock: &ManualClock, told: &Told) -> Cache<u64, u64> {
    let mut builder = Cache::<u64, u64>::builder()
        .clock(clock.clone())
        .eviction_policy(setting.policy)
        .shards(setting.shards)
        .no_time_to_live();
    if let Some(entries) = setting.entries {
        builder = builder.max_capacity(entries);
    }
    if let Some(weight) = setting.weight {
        builder = builder
            .max_weight(weight)
            .weigher(|_, value| weight_of(*value));
    }
    if let Some(ttl) = setting.ttl {
        builder = builder.time_to_live(Duration::from_nanos(ttl));
    }
    if let Some(tti) = setting.tti {
        builder = builder.time_to_idle(Duration::from_nanos(tti));
    }
    if setting.per_entry {
        builder = builder.expire_with(|key, value| own_ttl(*key, *value).map(Duration::from_nanos));
    }
    if setting.plain {
        builder = builder.optimistic_reads();
    }
    if setting.listening {
        let told = Arc::clone(told);
        builder = builder.eviction_listener(move |key, value, cause| {
            told.lock()
                .expect("nobody panics")
                .push((key, value, cause));
        });
    }
    builder.build().expect("the setting is valid")
}

fn agrees(setting: Setting, ops: &[Op]) -> Result<(), TestCaseError> {
    let clock = ManualClock::new();
    clock.set(Duration::from_secs(1));
    let told = Told::default();
    let cache = build(setting, &clock, &told);
    let mut oracle = Oracle::new(setting, 1_000_000_000);
    let mut left = 0_u64;
    for op in ops {
        let before: BTreeMap<u64, Entry> = oracle.entries.clone();
        let mut may_evict = false;
        match *op {
            Op::Insert { key, weight } => {
                let value = oracle.value(weight);
                if !oracle.enabled {
                    prop_assert_eq!(cache.insert(key, value), None);
                } else if oracle.takes(value) {
                    let previous = oracle.insert(key, value, None);
                    prop_assert_eq!(cache.insert(key, value), previous);
                    may_evict = true;
                } else {
                    let previous = oracle.entries.remove(&key).map(|entry| entry.value);
                    oracle.rejections += 1;
                    prop_assert_eq!(cache.insert(key, value), previous);
                }
            }
            Op::InsertWithTtl { key, weight, ttl } => {
                let value = oracle.value(weight);
                let duration = if ttl == NEVER {
                    Duration::MAX
                } else {
                    Duration::from_nanos(ttl)
                };
                let takes = !oracle.enabled || oracle.takes(value);
                let previous = if oracle.enabled && takes {
                    may_evict = true;
                    oracle.insert(key, value, Some(ttl))
                } else {
                    None
                };
                let done = cache.insert_with_ttl(key, value, duration);
                prop_assert_eq!(done.ok(), takes.then_some(previous));
            }
            Op::TryInsert { key, weight } => {
                let value = oracle.value(weight);
                let takes = !oracle.enabled || oracle.takes(value);
                let previous = if oracle.enabled && takes {
                    may_evict = true;
                    oracle.insert(key, value, None)
                } else {
                    None
                };
                prop_assert_eq!(cache.try_insert(key, value).ok(), takes.then_some(previous));
            }
            Op::Get { key } => prop_assert_eq!(cache.get(&key), oracle.get(key)),
            Op::Peek { key } => {
                let known = oracle.entries.get(&key).map(|entry| entry.value);
                prop_assert_eq!(cache.peek(&key), known.filter(|_| oracle.enabled));
            }
            Op::Contains { key } => {
                let known = oracle.entries.contains_key(&key) && oracle.enabled;
                prop_assert_eq!(cache.contains_key(&key), known);
            }
            Op::Remove { key } => {
                let removed = cache.remove(&key);
                let known = oracle.entries.remove(&key).map(|entry| entry.value);
                // Switched off or not: what is invalidated does not come back later.
                prop_assert!(removed == known || removed.is_none() && !oracle.enabled);
            }
            Op::Clear => {
                prop_assert_eq!(cache.clear(), oracle.entries.len() as u64);
                oracle.entries.clear();
                oracle.unclaimed = false;
            }
            Op::Retain { modulus, rest } => {
                let keeps = |key: u64| key % modulus != rest % modulus;
                let gone = cache.retain(|key, value| {
                    assert!(weight_of(*value) < u64::MAX || setting.weight.is_none());
                    keeps(*key)
                });
                let before = oracle.entries.len();
                oracle.entries.retain(|key, _| keeps(*key));
                prop_assert_eq!(gone, (before - oracle.entries.len()) as u64);
            }
            Op::Advance { time } => {
                clock.advance(Duration::from_nanos(time));
                oracle.now = clock.now().as_nanos() as u64;
                oracle.expire();
            }
            Op::SetMaxCapacity { entries } => {
                oracle.max_entries = entries;
                oracle.shrink();
                cache.set_max_capacity(entries).expect("more than zero");
                may_evict = true;
            }
            Op::SetMaxWeight { weight } => {
                let done = cache.set_max_weight(weight);
                prop_assert_eq!(done.is_ok(), setting.weight.is_some());
                if setting.weight.is_some() {
                    oracle.max_weight = weight;
                    oracle.shrink();
                    may_evict = true;
                }
            }
            Op::Maintain => {
                let _ = cache.run_pending_tasks();
            }
            Op::Len => {
                if oracle.enabled {
                    prop_assert_eq!(cache.len(), oracle.entries.len() as u64);
                    oracle.unclaimed = false;
                }
            }
            Op::Iter => {
                if oracle.enabled {
                    let mut seen = BTreeSet::new();
                    for (key, value) in &cache {
                        prop_assert!(seen.insert(key), "{key} is seen twice");
                        prop_assert_eq!(Some(value), oracle.entries.get(&key).map(|it| it.value));
                    }
                    prop_assert_eq!(seen.len(), oracle.entries.len());
                    prop_assert_eq!(cache.keys().collect::<BTreeSet<_>>(), seen);
                }
            }
            Op::SetEnabled { enabled } => {
                cache.set_enabled(enabled);
                oracle.enabled = enabled;
            }
        }

        cache.set_enabled(true);
        if !oracle.is_exact() && may_evict {
            learn(&cache, &mut oracle, op, &before)?;
        }
        for key in 0..KEYS {
            let known = oracle.entries.get(&key).map(|entry| entry.value);
            prop_assert_eq!(cache.peek(&key), known, "key {} after {:?}", key, op);
        }
        if setting.weight.is_some() {
            prop_assert!(cache.weight() <= oracle.max_weight);
            prop_assert!(cache.weight() >= oracle.weight());
        }
        let held: u64 = cache.shard_sizes().iter().sum();
        prop_assert!(held <= oracle.max_entries);
        prop_assert!(held >= oracle.entries.len() as u64);
        cache.set_enabled(oracle.enabled);

        let told = std::mem::take(&mut *told.lock().expect("nobody panics"));
        for (key, value, cause) in told {
            left += u64::from(cause != RemovalCause::Rejected);
            let lives = oracle
                .entries
                .get(&key)
                .is_some_and(|entry| entry.value == value);
            prop_assert!(!lives, "{key} was told {cause} and is there");
            let was = before.get(&key).filter(|entry| entry.value == value);
            match cause {
                RemovalCause::Expired => {
                    let due = was.is_none_or(|entry| entry.deadline <= oracle.now);
                    prop_assert!(due, "{key} was told expired before its time");
                }
                // What is told size had not expired when the call began.
                RemovalCause::Size => prop_assert!(was.is_some(), "{key} had expired"),
                RemovalCause::Replaced | RemovalCause::Explicit => prop_assert!(was.is_some()),
                _ => {}
            }
        }
    }

    let stats = cache.stats();
    prop_assert_eq!(stats.entries, oracle.entries.len() as u64);
    prop_assert_eq!((stats.hits, stats.misses), (oracle.hits, oracle.misses));
    prop_assert_eq!(stats.bypassed, oracle.bypassed);
    prop_assert_eq!(
        (stats.inserts, stats.replaced),
        (oracle.inserts, oracle.replaced)
    );
    prop_assert_eq!(stats.rejections, oracle.rejections);
    let held = stats.entries + stats.expired_entries;
    let gone = stats.evictions + stats.expirations + stats.removals + stats.replaced;
    prop_assert_eq!(
        stats.inserts,
        held + gone,
        "each insert is held or has gone"
    );
    if setting.listening {
        prop_assert_eq!(gone, left, "each that has gone was told");
    }
    Ok(())
}

/// Takes over which entries were evicted, where the order is not foretold, and checks that no more
/// were than had to be.
fn learn(
    cache: &Cache<u64, u64>,
    oracle: &mut Oracle,
    op: &Op,
    before: &BTreeMap<u64, Entry>,
) -> Result<(), TestCaseError> {
    let written = match op {
        Op::Insert { key, .. } | Op::InsertWithTtl { key, .. } | Op::TryInsert { key, .. } => {
            Some(*key)
        }
        _ => None,
    };
    let expected = oracle.entries.len() as u64;
    let mut lightest = None;
    for key in 0..KEYS {
        if oracle.entries.contains_key(&key) && cache.peek(&key).is_none() {
            prop_assert!(Some(key) != written, "the new entry was the victim");
            prop_assert!(before.contains_key(&key));
            let victim = oracle.entries.remove(&key).expect("it is there");
            lightest = lightest.min(Some(victim.weight)).or(Some(victim.weight));
        }
    }
    let now = oracle.entries.len() as u64;
    prop_assert!(now <= oracle.max_entries && oracle.weight() <= oracle.max_weight);
    if oracle.setting.weight.is_none() && !oracle.unclaimed {
        prop_assert_eq!(
            now,
            expected.min(oracle.max_entries),
            "too many were evicted"
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(1200)))]

    #[test]
    fn the_cache_does_what_the_oracle_says(
        setting in proptest::sample::select(product()),
        ops in vec(op(), 1..120),
    ) {
        agrees(setting, &ops)?;
    }
}

/// Every cell of the product, with a fixed history that has everything in it.
#[test]
fn every_cell_of_the_product_agrees_on_a_fixed_history() {
    let mut random = 0x0123_4567_89AB_CDEF_u64;
    let mut die = |sides: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % sides
    };
    let ops: Vec<Op> = (0..400)
        .map(|_| {
            let key = die(KEYS);
            match die(20) {
                0..=6 => Op::Insert {
                    key,
                    weight: die(8),
                },
                7 => Op::InsertWithTtl {
                    key,
                    weight: die(8),
                    ttl: 1 + die(400),
                },
                8..=13 => Op::Get { key },
                14 => Op::Remove { key },
                15 => Op::Len,
                16 => Op::Iter,
                17 => Op::Retain {
                    modulus: 7,
                    rest: die(7),
                },
                18 => Op::SetMaxCapacity {
                    entries: 5 + die(10),
                },
                _ => Op::Advance { time: die(100) },
            }
        })
        .collect();
    for setting in product() {
        if let Err(error) = agrees(setting, &ops) {
            panic!("{setting:?}: {error}");
        }
    }
}
