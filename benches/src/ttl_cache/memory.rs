//! Bytes per entry, bytes kept after everything expired, and entries over capacity.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use super::data::{Payload, key};
use super::faces::{self, Expiring, Face};
use super::ours::{Adaptive, Lru, Maintained, Ours, OursTtl};
use super::peers::{
    by_hand, cached, foyer, mini_moka, moka, peers, quick_cache, sharded_lru, tinyufo,
};
use super::{CRATE, axis};
use crate::alloc::{footprint, live_bytes};
use crate::axis::Axis;
use crate::driver::{Contest, Effort, Goal, Measured};
use crate::record::{Better, Record, ratio, rounded};

/// What is the same each time is measured once.
fn once(mut measure: impl FnMut() -> Measured) -> impl FnMut() -> Measured {
    let mut kept = None;
    move || kept.get_or_insert_with(&mut measure).clone()
}

fn fill<V: Payload, C: Face<V>>(cache: &C, entries: u64) {
    for number in 0..entries {
        let key = key(number);
        cache.put(key, V::of(key));
    }
}

/// A quarter more than fits goes in, so that whatever remembers the evicted is there too.
fn bytes_per_entry<V: Payload, C: Face<V>>(capacity: u64) -> impl FnMut() -> Measured {
    once(move || {
        let (cache, used) = footprint(|| {
            let cache = C::new(capacity as usize);
            fill(&cache, capacity + capacity / 4);
            cache.settle();
            cache
        });
        let held = cache.held().unwrap_or(capacity);
        if held < capacity * 9 / 10 {
            return Err(format!("holds {held} of {capacity} entries"));
        }
        Ok(used.kept_bytes as f64 / held as f64)
    })
}

/// Entries over capacity, at most, while four threads write as fast as they can.
fn over_capacity<V: Payload, C: Face<V>>(
    capacity: u64,
    effort: Effort,
) -> impl FnMut() -> Measured {
    once(move || {
        let keys = effort.pick(50_000, 400_000);
        let cache = C::new(capacity as usize);
        let written = AtomicBool::new(false);
        let most = thread::scope(|scope| {
            let writers: Vec<_> = (0..4u64)
                .map(|writer| {
                    let cache = &cache;
                    scope.spawn(move || {
                        for number in 0..keys {
                            let key = key(writer * keys + number);
                            cache.put(key, V::of(key));
                        }
                    })
                })
                .collect();
            let sampler = scope.spawn(|| {
                let mut most = 0;
                while !written.load(Relaxed) {
                    let seen = cache.held().max(cache.listed());
                    most = most.max(seen.unwrap_or(0));
                }
                most
            });
            for writer in writers {
                writer.join().expect("no writer panics");
            }
            let after = cache.held().unwrap_or(0);
            written.store(true, Relaxed);
            sampler
                .join()
                .expect("the sampler does not panic")
                .max(after)
        });
        if most == 0 {
            return Err("cannot say what it holds".to_owned());
        }
        Ok(most.saturating_sub(capacity) as f64)
    })
}

/// What is left of a cache two seconds after its last entry expired, in hundredths of what it took.
#[derive(Clone, Copy)]
struct Leftover {
    entries: u64,
    ttl: Duration,
    pause: Duration,
}

/// A full cache that waits, and the bytes it took.
struct Waiting {
    name: &'static str,
    full: i64,
    cache: Box<dyn std::any::Any>,
}

impl Leftover {
    fn fill<C: Expiring<u64>>(self, name: &'static str) -> Result<Waiting, String> {
        let before = live_bytes();
        let cache = C::with_ttl((self.entries + self.entries / 4) as usize, self.ttl);
        fill(&cache, self.entries);
        let held = cache.held().unwrap_or(0);
        let full = live_bytes() - before;
        if held < self.entries * 9 / 10 {
            return Err(format!("{name}: holds {held} of {} entries", self.entries));
        }
        let cache = Box::new(cache);
        Ok(Waiting { name, full, cache })
    }

    /// All wait together; what each gives back when it is dropped is what it had kept.
    fn measure(self) -> Result<BTreeMap<&'static str, f64>, String> {
        let (waited, _) = footprint(|| {
            let waiting = vec![
                self.fill::<moka::MokaTtl<u64>>("moka")?,
                self.fill::<mini_moka::MiniMokaTtl<u64>>("mini-moka")?,
                self.fill::<cached::CachedTtl<u64>>("cached")?,
                self.fill::<by_hand::QuickCacheInstant<u64>>("quick_cache+Instant")?,
                // The last one: its maintainer may give back while the others are filled.
                self.fill::<Maintained>("ours")?,
            ];
            thread::sleep(self.ttl + self.pause);
            let mut left = BTreeMap::new();
            for it in waiting {
                let before = live_bytes();
                drop(it.cache);
                let kept = (before - live_bytes()).max(0);
                left.insert(it.name, 100.0 * kept as f64 / it.full.max(1) as f64);
            }
            Ok(left)
        });
        waited
    }
}

fn kept_after_expiry(name: &str, effort: Effort) -> Result<Record, String> {
    const BOUND: f64 = 5.0;
    let leftover = Leftover {
        entries: 200_000,
        ttl: Duration::from_millis(800),
        pause: Duration::from_secs(2),
    };
    let mut left = leftover
        .measure()
        .map_err(|reason| format!("{CRATE} {name}: {reason}"))?;
    let ours = left.remove("ours").unwrap_or(f64::MAX);
    Ok(Record {
        krate: CRATE.to_owned(),
        axis: name.to_owned(),
        unit: "% of bytes".to_owned(),
        better: Better::Lower,
        ours: rounded(ours),
        peers: left
            .into_iter()
            .map(|(name, kept)| (name.to_owned(), rounded(kept)))
            .collect(),
        disqualified: BTreeMap::new(),
        floors: BTreeMap::new(),
        vs: "5 % of what it took".to_owned(),
        ratio: rounded(ratio(Better::Lower, ours.max(0.01), BOUND)),
        goal: 1.0,
        bound: Some(BOUND),
        rounds: 1,
        spread: 0.0,
        quick: effort.quick,
        cells: BTreeMap::new(),
    })
}

pub(super) fn axes() -> Vec<Axis> {
    vec![
        axis("bytes_per_entry", |name, effort| {
            const CAPACITY: u64 = 1_000_000;
            let goal = Goal::Bound("56 bytes", 56.0);
            let contest = Contest::new(CRATE, name, "B", Better::Lower, goal)
                .ours(bytes_per_entry::<u64, OursTtl<u64, Lru>>(CAPACITY))
                .floor(
                    "ours, Adaptive",
                    bytes_per_entry::<u64, OursTtl<u64, Adaptive>>(CAPACITY),
                )
                .floor(
                    "quick_cache without expiry",
                    bytes_per_entry::<u64, quick_cache::QuickCache<u64>>(CAPACITY),
                )
                .floor(
                    "lru in mutexes without expiry",
                    bytes_per_entry::<u64, sharded_lru::ShardedLru<u64>>(CAPACITY),
                );
            peers!(expiring contest, bytes_per_entry::<u64>(CAPACITY)).run(effort, 1)
        }),
        axis("kept_after_expiry", kept_after_expiry),
        axis("over_capacity", |name, effort| {
            const CAPACITY: u64 = 1_000;
            let goal = Goal::Bound("no entry over capacity", 0.0);
            let contest = Contest::new(CRATE, name, "entries", Better::Lower, goal)
                .ours(over_capacity::<u64, Ours<u64, Lru>>(CAPACITY, effort))
                .floor(
                    "ours, Adaptive",
                    over_capacity::<u64, Ours<u64, Adaptive>>(CAPACITY, effort),
                );
            peers!(contest, over_capacity::<u64>(CAPACITY, effort)).run(effort, 1)
        }),
    ]
}
