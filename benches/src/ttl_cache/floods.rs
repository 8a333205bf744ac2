//! Inserts of keys that come once: every one evicts.

use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use super::data::{Payload, best_batch, key};
use super::faces::{self, Face};
use super::ours::{Adaptive, Lru, Ours, OursTtl};
use super::peers::{
    by_hand, cached, foyer, mini_moka, moka, peers, quick_cache, sharded_lru, tinyufo,
};
use super::{CRATE, axis, nanos_contest};
use crate::axis::Axis;
use crate::driver::{Contest, Effort, Goal, Measured};
use crate::record::{Better, Record};

const CAPACITY: usize = 100_000;
const CHUNK: u64 = 512;

/// Millions of inserts a second into a cache that is full.
fn flood<V: Payload, C: Face<V>>(threads: usize, effort: Effort) -> impl FnMut() -> Measured {
    let window = Duration::from_millis(effort.pick(40, 100));
    let mut cache: Option<C> = None;
    let next = AtomicU64::new(0);
    move || {
        let cache = cache.get_or_insert_with(|| C::new(CAPACITY));
        let chunk = || {
            let from = next.fetch_add(CHUNK, Relaxed);
            for number in from..from + CHUNK {
                let key = key(number);
                cache.put(key, V::of(key));
            }
        };
        while next.load(Relaxed) < 2 * CAPACITY as u64 {
            chunk();
        }
        let barrier = Barrier::new(threads);
        let work = || {
            barrier.wait();
            let (start, mut done) = (Instant::now(), 0);
            loop {
                chunk();
                done += CHUNK;
                let now = Instant::now();
                if now - start >= window {
                    return (start, now, done);
                }
            }
        };
        let outcomes: Vec<_> = thread::scope(|scope| {
            let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            let joined = running.into_iter().map(|it| it.join());
            joined.map(|it| it.expect("no thread panics")).collect()
        });
        let start = outcomes.iter().map(|it| it.0).min();
        let end = outcomes.iter().map(|it| it.1).max();
        let seconds = end
            .zip(start)
            .map_or(0.0, |(end, start)| (end - start).as_secs_f64());
        let done: u64 = outcomes.iter().map(|it| it.2).sum();
        is_right(cache, next.load(Relaxed), CAPACITY as u64)?;
        Ok(done as f64 / 1e6 / seconds.max(f64::MIN_POSITIVE))
    }
}

/// The cache must be about full, and what it holds of the last thousand keys must be right; how
/// many of them it let in is the policy's choice.
fn is_right<V: Payload, C: Face<V>>(cache: &C, next: u64, expected: u64) -> Result<(), String> {
    let held = cache.held().unwrap_or(expected);
    if held < expected * 9 / 10 {
        return Err(format!("holds {held} of {expected} entries"));
    }
    let newest = next.saturating_sub(1_000)..next;
    for key in newest.map(key) {
        if cache.get(key).is_some_and(|value| !value.is_of(key)) {
            return Err("a value of another key".to_owned());
        }
    }
    Ok(())
}

/// Nanoseconds per insert into a new cache with room for all.
fn insert<V: Payload, C: Face<V>>(entries: u64) -> impl FnMut() -> Measured {
    move || {
        // The allocator sorts what the entrant before has freed when it is next asked for much; that
        // is not this entrant's work.
        drop(black_box(Vec::<u8>::with_capacity(1 << 16)));
        let mut caches = Vec::new();
        let nanos = best_batch(3, Duration::from_millis(100), |_| {
            let cache = C::new((entries + entries / 4) as usize);
            for number in 0..entries {
                let key = key(number);
                cache.put(key, V::of(key));
            }
            caches.push(cache);
            entries as usize
        });
        for cache in &caches {
            is_right(cache, entries, entries)?;
        }
        Ok(nanos)
    }
}

fn flood_contest(name: &str, threads: usize, effort: Effort, goal: f64) -> Result<Record, String> {
    let contest = Contest::new(CRATE, name, "Mops/s", Better::Higher, Goal::BestPeer(goal))
        .ours(flood::<u64, Ours<u64, Lru>>(threads, effort));
    peers!(contest, flood::<u64>(threads, effort)).run(effort, effort.pick(7, 15))
}

fn adaptive_contest(
    name: &str,
    threads: usize,
    effort: Effort,
    goal: f64,
) -> Result<Record, String> {
    let contest = Contest::new(CRATE, name, "Mops/s", Better::Higher, Goal::BestPeer(goal))
        .ours(flood::<u64, Ours<u64, Adaptive>>(threads, effort));
    peers!(few contest, flood::<u64>(threads, effort)).run(effort, effort.pick(7, 15))
}

pub(super) fn axes() -> Vec<Axis> {
    vec![
        axis("insert_flood_t1", |name, effort| {
            flood_contest(name, 1, effort, 1.1)
        }),
        axis("insert_flood_t2", |name, effort| {
            flood_contest(name, 2, effort, 1.3)
        }),
        axis("insert_flood_adaptive_t1", |name, effort| {
            adaptive_contest(name, 1, effort, 1.1)
        }),
        axis("insert_flood_adaptive_t2", |name, effort| {
            adaptive_contest(name, 2, effort, 1.3)
        }),
        axis("insert_ttl", |name, effort| {
            let contest = nanos_contest(name, Goal::BestPeer(1.5))
                .ours(insert::<u64, OursTtl<u64, Lru>>(200_000));
            peers!(expiring contest, insert::<u64>(200_000)).run(effort, effort.pick(3, 9))
        }),
    ]
}
