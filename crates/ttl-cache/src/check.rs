//! [`Cache::check`]: whether a cache is what it should be, for health checks.

use std::fmt;
use std::hash::{BuildHasher, Hash};

use brolly_sync::NEVER;

use crate::budget::Room;
use crate::cache::Cache;

/// What [`Cache::check`] found.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct CheckReport {
    /// A value was written, read, and removed again, in a small cache with the same settings.
    pub round_trip: bool,
    /// There are not more entries, and they are not heavier, than allowed.
    pub bounds: bool,
    /// The parts of every shard agree with each other.
    pub structure: bool,
    /// All rates are between zero and one.
    pub rates: bool,
    /// Whether the maintainers work; `None` if there is none.
    pub maintainer: Option<bool>,
    /// How many times the mean of all shards the largest one holds. Above three, keys spread badly.
    /// `None` while there are too few entries to tell.
    pub imbalance: Option<f64>,
    /// What is wrong, in words, one sentence each.
    pub problems: Vec<String>,
    /// What is not wrong but unusual.
    pub warnings: Vec<String>,
}

/// The largest shard may hold so many times the mean.
const MAX_IMBALANCE: f64 = 3.0;

/// Below so many entries a shard, on average, chance makes shards uneven.
const FEW: u64 = 32;

impl CheckReport {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.problems.is_empty()
    }

    fn expect(&mut self, holds: bool, problem: impl FnOnce() -> String) -> bool {
        if !holds {
            self.problems.push(problem());
        }
        holds
    }
}

impl fmt::Display for CheckReport {
    /// `healthy`, or what is wrong.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_healthy() && self.warnings.is_empty() {
            return f.write_str("healthy");
        }
        let all: Vec<_> = self
            .problems
            .iter()
            .chain(&self.warnings)
            .map(String::as_str)
            .collect();
        f.write_str(&all.join("; "))
    }
}

impl<K, V, S> Cache<K, V, S>
where
    K: Hash + Eq,
    S: BuildHasher,
{
    /// Checks the cache, without touching what is in it.
    ///
    /// Looks at every entry, one shard at a time under its lock for reading: not for the hot path.
    #[must_use]
    pub fn check(&self) -> CheckReport {
        let mut report = CheckReport::default();
        let tried = round_trip(self);
        report.round_trip = report.expect(tried.is_ok(), || match &tried {
            Err(step) => format!("a value that was written cannot be {step}"),
            Ok(()) => String::new(),
        });

        // Entries come and go between two shards that are looked at, so the sum may be of no moment
        // that ever was. What is really too much stays too much.
        let excess = || self.excess();
        let excess = excess().and_then(|_| excess()).and_then(|_| excess());
        report.bounds = report.expect(excess.is_none(), || excess.unwrap_or_default());

        report.structure = true;
        let mut sizes = Vec::new();
        for (number, shard) in self.inner.shards().iter().enumerate() {
            let state = shard.read();
            let held = state.slab.len();
            let (indexed, waiting) = state.known();
            let mut ending = 0;
            let mut weighed = 0_u64;
            for seen in state.entries() {
                ending += usize::from(seen.deadline != NEVER);
                weighed = weighed.saturating_add(state.weight_of(seen.slot));
            }
            let lives = |slot| state.slab.get(slot).is_some();
            let tagged = state
                .tags
                .as_deref()
                .is_none_or(|tags| tags.are_sound(lives));
            let total = state.weight;
            drop(state);
            sizes.push(held as u64);
            let mut agree = |holds: bool, problem: String| {
                report.structure &= report.expect(holds, || format!("shard {number}: {problem}"));
            };
            agree(
                indexed == held,
                format!("{held} entries, {indexed} of them indexed"),
            );
            agree(
                waiting == ending,
                format!("{ending} entries expire, {waiting} are waited for"),
            );
            agree(
                weighed == total,
                format!("entries weigh {weighed}, noted is {total}"),
            );
            agree(tagged, "tags and entries disagree".to_owned());
        }

        let stats = self.stats();
        let rates = [stats.hit_rate, stats.miss_rate, stats.eviction_rate];
        let sane = rates
            .into_iter()
            .flatten()
            .all(|rate| (0.0..=1.0).contains(&rate));
        report.rates = report.expect(sane, || format!("rates are {rates:?}"));

        report.maintainer = self.inner.maintainers.work();
        report.expect(report.maintainer != Some(false), || {
            "a maintainer has ended".to_owned()
        });

        report.imbalance = imbalance(&sizes);
        if let Some(imbalance) = report.imbalance
            && imbalance > MAX_IMBALANCE
        {
            (report.warnings).push(format!(
                "the largest shard holds {imbalance:.1} times the mean"
            ));
        }
        report
    }
}

impl<K, V, S> Cache<K, V, S> {
    /// What is too much, in words.
    fn excess(&self) -> Option<String> {
        let mut held = Room::NONE;
        for shard in self.inner.shards() {
            let state = shard.read();
            held = held.plus(Room {
                entries: state.slab.len() as u64,
                weight: state.weight,
            });
        }
        let bounds = self.inner.bounds();
        (!bounds.covers(held)).then(|| {
            let (Room { entries, weight }, most, heaviest) = (held, bounds.entries, bounds.weight);
            format!("{entries} entries of {most} allowed, weighing {weight} of {heaviest} allowed")
        })
    }
}

/// How many times the mean the largest is.
fn imbalance(sizes: &[u64]) -> Option<f64> {
    let (sum, count) = (sizes.iter().sum::<u64>(), sizes.len() as u64);
    let largest = *sizes.iter().max()?;
    (count > 1 && sum >= FEW * count).then(|| largest as f64 * count as f64 / sum as f64)
}

/// Writes, reads and removes in a cache with the same settings. `Err` with what did not work.
fn round_trip<K, V, S>(cache: &Cache<K, V, S>) -> Result<(), &'static str> {
    let layout = &cache.inner.layout;
    let shadow = Cache::<u64, u64>::builder()
        .max_capacity(16)
        .eviction_policy(layout.policy)
        .shards(cache.inner.shards().len().min(4))
        .build()
        .map_err(|_| "made room for")?;
    for key in 0..32 {
        shadow.insert(key, !key);
        if shadow.get(&key) != Some(!key) {
            return Err("read");
        }
    }
    if shadow.remove(&31) != Some(!31) || shadow.get(&31).is_some() {
        return Err("removed");
    }
    if shadow.len() > 16 {
        return Err("bounded");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::imbalance;

    #[test]
    fn shards_are_compared_once_there_is_enough_to_compare() {
        assert_eq!(imbalance(&[100]), None);
        assert_eq!(imbalance(&[10, 0]), None);
        assert_eq!(imbalance(&[64, 64]), Some(1.0));
        assert_eq!(imbalance(&[400, 0, 0, 0]), Some(4.0));
    }
}
