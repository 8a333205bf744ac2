//! [`Duel`]: which rule suits the workload, found out by trying all of them on a sample of the keys.
//!
//! The idea is that of set dueling (Qureshi and others, "Adaptive insertion policies for high
//! performance caching", ISCA 2007) in its older form with a separate directory for each policy:
//! all see the very same uses, so the differences of their misses say something after few of them.

use super::segments::Rule;
use super::shadow::{MOST, Shadow};

#[derive(Debug)]
pub(super) struct Duel {
    /// One for each of [`Rule::ALL`]; there once the capacity is known.
    shadows: Option<Box<[Shadow; RULES]>>,
    /// One key in `2^sampling` is in the sample.
    sampling: u32,
    /// How many more misses each had than the best of them, up to the limit.
    behind: [u32; RULES],
    /// Entries of a shadow.
    room: usize,
    /// What the last call of `fit` said.
    entries: usize,
    /// The rule to follow: an index.
    leader: usize,
}

const RULES: usize = Rule::ALL.len();

impl Duel {
    pub(super) fn new() -> Self {
        Self {
            shadows: None,
            sampling: 0,
            behind: [0; RULES],
            room: 0,
            entries: 0,
            // What is held is kept until there is evidence that it should not be: the other way
            // round, the first fill would be lost before a loop comes round again.
            leader: 0,
        }
    }

    pub(super) fn rule(&self) -> Rule {
        Rule::ALL[self.leader]
    }

    /// The cache is full with so many entries. Returns whether that changes the sample.
    #[inline]
    pub(super) fn fit(&mut self, entries: usize) -> bool {
        entries != self.entries && self.refit(entries)
    }

    #[cold]
    fn refit(&mut self, entries: usize) -> bool {
        self.entries = entries;
        let wanted = entries.div_ceil(MOST).next_power_of_two().trailing_zeros();
        let wanted = wanted.min(MAX_SAMPLING);
        // A sample of another size begins anew, so a cache whose number of entries goes up and
        // down with their weights does not get one each time.
        let too_small = wanted < self.sampling && entries >> self.sampling < MOST / 4;
        let anew = self.shadows.is_none() || wanted > self.sampling || too_small;
        if anew {
            self.sampling = wanted;
            self.shadows = Some(Box::new(Rule::ALL.map(Shadow::new)));
        }
        self.room = (entries >> self.sampling).clamp(1, MOST);
        for shadow in self.shadows.iter_mut().flat_map(|all| all.iter_mut()) {
            shadow.set_room(self.room);
        }
        anew
    }

    /// Whether a key is in the sample.
    #[inline]
    pub(super) fn samples(&self, hash: u32) -> bool {
        // Other bits than the memory's, so that the sample is spread over all of its buckets.
        let spread = u64::from(hash.wrapping_mul(0xC2B2_AE35));
        spread >> (32 - self.sampling) == 0
    }

    /// The sample is this part of the keys, as the negative of a power of two.
    pub(super) fn sampling(&self) -> u32 {
        self.sampling
    }

    /// A key of the sample was used. Decides anew who leads.
    pub(super) fn access(&mut self, hash: u32) {
        let Some(shadows) = &mut self.shadows else {
            return;
        };
        let missed = shadows.each_mut().map(|shadow| shadow.access(hash));
        if missed.iter().all(|one| *one == missed[0]) {
            return;
        }
        for (behind, missed) in self.behind.iter_mut().zip(missed) {
            *behind += u32::from(missed);
        }
        let best = self.behind.into_iter().min().unwrap_or(0);
        // The limit is the hysteresis: a lead is lost after half as many misses as it costs to
        // replace everything that is held.
        let limit = (self.room as u32 / 2).max(MIN_LIMIT);
        for behind in &mut self.behind {
            *behind = (*behind - best).min(limit);
        }
        if self.behind[self.leader] > 0 {
            let better = self.behind.iter().position(|behind| *behind == 0);
            self.leader = better.expect("the best is not behind itself");
        }
    }
}

/// Not even the largest cache takes a smaller part of the keys as its sample.
const MAX_SAMPLING: u32 = 24;

/// A lead of fewer misses than this is no lead, however small the cache.
const MIN_LIMIT: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn mixed(key: u32) -> u32 {
        (u64::from(key).wrapping_mul(0xD6E8_FEB8_6659_FD93) >> 29) as u32
    }

    #[test]
    fn the_sample_is_as_large_as_the_shadows() {
        let mut duel = Duel::new();
        for entries in [1, 100, MOST, MOST + 1, 1000, 100_000] {
            duel.fit(entries);
            let sampled = (0..200_000).filter(|key| duel.samples(mixed(*key))).count();
            let expected = 200_000.0 * duel.room as f64 / entries as f64;
            let ratio = sampled as f64 / expected;
            assert!((0.8..1.25).contains(&ratio), "{entries}: {ratio}");
            assert!(duel.room >= MOST / 2 || entries < MOST, "{entries}");
        }
    }

    #[test]
    fn a_changing_number_of_entries_keeps_the_sample() {
        let mut duel = Duel::new();
        duel.fit(10_000);
        let sampling = duel.sampling;
        for entries in [9_000, 6_000, 10_001, 8_192] {
            duel.fit(entries);
            assert_eq!(duel.sampling, sampling);
        }
        duel.fit(1_000);
        assert!(duel.sampling < sampling);
    }

    #[test]
    fn the_lead_changes_with_the_workload() {
        let mut duel = Duel::new();
        duel.fit(100);
        assert_eq!(duel.rule(), Rule::Frequency);
        (0..20_000_u32).for_each(|i| {
            duel.access(mixed(i + 30));
            duel.access(mixed(i));
        });
        assert_ne!(duel.rule(), Rule::Frequency);
        (0..4_000).for_each(|i| duel.access(mixed((1 << 20) | (i % 200))));
        assert_eq!(duel.rule(), Rule::Frequency);
    }
}
