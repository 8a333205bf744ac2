//! What a hit costs in one thread.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use super::data::{Payload, best_batch, key};
use super::faces::Face;
use super::ours::{Adaptive, Lru, Ours, OursTtl};
use super::peers::{
    by_hand, cached, foyer, mini_moka, moka, peers, quick_cache, sharded_lru, tinyufo,
};
use super::{axis, faces, nanos_contest};
use crate::axis::Axis;
use crate::driver::{Effort, Goal, Measured, random};
use crate::record::Record;

/// Keys asked for in a batch.
const BATCH: usize = 1 << 15;
/// Keys drawn. A batch asks for the next part of them.
const DRAWS: usize = 1 << 18;
const PATIENCE: Duration = Duration::from_millis(25);

/// A cache and keys that it holds.
struct Asked<C> {
    cache: C,
    keys: Vec<u64>,
}

/// A cache with room to spare, so that the small imbalance of shards throws nothing out.
fn ready<V: Payload, C: Face<V>>(entries: u64) -> Result<Asked<C>, String> {
    let cache = C::new((entries + entries / 4) as usize);
    for number in 0..entries {
        let key = key(number);
        cache.put(key, V::of(key));
    }
    cache.settle();
    let held: Vec<u64> = (0..entries)
        .map(key)
        .filter(|key| cache.get(*key).is_some())
        .collect();
    if (held.len() as u64) < entries * 19 / 20 {
        return Err(format!("keeps {} of {entries} entries", held.len()));
    }
    let mut state = entries;
    let keys = (0..DRAWS)
        .map(|_| held[random(&mut state) as usize % held.len()])
        .collect();
    Ok(Asked { cache, keys })
}

impl<C> Asked<C> {
    fn hit<V: Payload>(&self) -> Measured
    where
        C: Face<V>,
    {
        let mut wrong = 0u64;
        let nanos = best_batch(12, PATIENCE, |number| {
            let from = number * BATCH % DRAWS;
            let batch = &self.keys[from..from + BATCH];
            for key in batch {
                let found = black_box(&self.cache).get(*key);
                wrong += u64::from(!found.is_some_and(|value| value.is_of(*key)));
            }
            batch.len()
        });
        if wrong > 0 {
            return Err(format!("{wrong} hits without the right value"));
        }
        Ok(nanos)
    }
}

/// A full run makes a new cache in each round: where its memory lies is luck.
fn hit<V: Payload, C: Face<V>>(entries: u64, effort: Effort) -> impl FnMut() -> Measured {
    let mut kept: Option<Asked<C>> = None;
    move || {
        if !effort.quick || entries <= 1_000 {
            kept = None;
        }
        let asked = match kept.take() {
            Some(asked) => asked,
            None => ready::<V, C>(entries)?,
        };
        kept.insert(asked).hit()
    }
}

fn rounds(effort: Effort) -> usize {
    effort.pick(7, 15)
}

/// The default policy, against everyone.
fn plain(name: &str, effort: Effort, entries: u64, goal: f64) -> Result<Record, String> {
    let contest =
        nanos_contest(name, Goal::BestPeer(goal)).ours(hit::<u64, Ours<u64, Lru>>(entries, effort));
    peers!(contest, hit::<u64>(entries, effort)).run(effort, rounds(effort))
}

/// The adaptive policy, against the fastest.
fn adaptive(name: &str, effort: Effort, entries: u64, goal: f64) -> Result<Record, String> {
    let contest = nanos_contest(name, Goal::BestPeer(goal))
        .ours(hit::<u64, Ours<u64, Adaptive>>(entries, effort));
    peers!(few contest, hit::<u64>(entries, effort)).run(effort, rounds(effort))
}

pub(super) fn axes() -> Vec<Axis> {
    vec![
        axis("hit_1k", |name, effort| plain(name, effort, 1_000, 1.5)),
        axis("hit_50k", |name, effort| plain(name, effort, 50_000, 1.2)),
        axis("hit_500k", |name, effort| plain(name, effort, 500_000, 1.3)),
        axis("hit_1k_adaptive", |name, effort| {
            adaptive(name, effort, 1_000, 1.5)
        }),
        axis("hit_50k_adaptive", |name, effort| {
            adaptive(name, effort, 50_000, 1.2)
        }),
        axis("hit_500k_adaptive", |name, effort| {
            adaptive(name, effort, 500_000, 1.3)
        }),
        axis("hit_arc_str_50k", |name, effort| {
            let contest =
                nanos_contest(name, Goal::BestPeer(0.95))
                    .ours(hit::<Arc<str>, Ours<Arc<str>, Lru>>(50_000, effort));
            peers!(contest, hit::<Arc<str>>(50_000, effort)).run(effort, rounds(effort))
        }),
        axis("hit_ttl_50k", |name, effort| {
            let by_hand = <by_hand::QuickCacheInstant<u64> as Face<u64>>::NAME;
            let contest =
                nanos_contest(name, Goal::Peer(by_hand, 1.6))
                    .ours(hit::<u64, OursTtl<u64, Lru>>(50_000, effort));
            peers!(expiring contest, hit::<u64>(50_000, effort)).run(effort, rounds(effort))
        }),
    ]
}
