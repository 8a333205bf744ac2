//! [`AdaptiveTtl`]: times to live that follow how soon keys are asked for again.
//!
//! Keys are divided into groups, and each group has a time to live of its own. Of a sample of keys
//! the controller remembers when they were written, when they end, and whether they were read. A
//! lookup that misses a key shortly after its end would have been a hit with a longer life; an entry
//! that ends unread would have been missed by nobody with a shorter one. After every 32 such
//! findings a group moves one step.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use brolly_sync::{NEVER, saturating_nanos};

use crate::error::ConfigError;
use crate::primitive::{Mutex, lock};

/// How times to live may adapt.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct AdaptiveTtl {
    /// The shortest time to live.
    #[cfg_attr(feature = "serde", serde(with = "crate::duration"))]
    pub min: Duration,
    /// The longest one.
    #[cfg_attr(feature = "serde", serde(with = "crate::duration"))]
    pub max: Duration,
    /// The share of lookups that should find something, more than 0 and less than 1. Groups above
    /// it shorten the lives of entries that nobody reads, groups below it lengthen those of entries
    /// that are missed.
    pub target_hit_rate: f64,
}

/// What an adaptive cache decided so far.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct AdaptiveTtlStats {
    /// Groups that were written to.
    pub groups: u64,
    /// How often a group got a longer time to live.
    pub lengthened: u64,
    /// How often a group got a shorter one.
    pub shortened: u64,
    /// The shortest time to live of a group now.
    pub shortest: Option<Duration>,
    /// The longest one.
    pub longest: Option<Duration>,
}

/// Groups of keys.
const GROUPS: usize = 64;

/// Keys that are watched: a table of so many cells, whatever the cache holds.
const CELLS: usize = 4096;

/// The table is locked in so many parts.
const STRIPES: usize = 16;

/// A group moves after so many findings.
const FINDINGS: u32 = 32;

pub(crate) type Grouping<K> = Box<dyn Fn(&K) -> u64 + Send + Sync>;

pub(crate) struct Controller<K> {
    min: u64,
    max: u64,
    target: f64,
    grouping: Option<Grouping<K>>,
    groups: Box<[Group]>,
    stripes: Box<[Mutex<Box<[Cell]>>]>,
    lengthened: AtomicU64,
    shortened: AtomicU64,
}

struct Group {
    /// Nanoseconds; zero until the group is written to.
    time_to_live: AtomicU64,
    findings: Mutex<Findings>,
}

/// What was found since the group moved.
#[derive(Clone, Copy, Default)]
struct Findings {
    /// Lookups that found a watched key.
    hits: u32,
    /// Watched keys that were written, nearly always because they were missing.
    writes: u32,
    /// Lookups that missed a watched key which had ended.
    late: u32,
    /// Watched keys that ended without being read.
    unread: u32,
}

/// A watched key.
#[derive(Clone, Copy, Default)]
struct Cell {
    /// The key's hash; zero if there is none.
    hash: u64,
    group: u8,
    read: bool,
    missed: bool,
    written: u64,
    deadline: u64,
}

impl<K> Controller<K> {
    pub(crate) fn new(
        settings: AdaptiveTtl,
        grouping: Option<Grouping<K>>,
    ) -> Result<Self, ConfigError> {
        let AdaptiveTtl {
            min,
            max,
            target_hit_rate: target,
        } = settings;
        if min.is_zero() {
            return Err(ConfigError::new("adaptive_ttl.min", "0s", "more than zero"));
        }
        if max < min {
            let max = format!("{max:?}");
            return Err(ConfigError::new(
                "adaptive_ttl.max",
                max,
                "at least adaptive_ttl.min",
            ));
        }
        if !(target > 0.0 && target < 1.0) {
            let (field, allowed) = (
                "adaptive_ttl.target_hit_rate",
                "more than 0 and less than 1",
            );
            return Err(ConfigError::new(field, target, allowed));
        }
        let group = |_| Group {
            time_to_live: AtomicU64::new(0),
            findings: Mutex::new(Findings::default()),
        };
        let stripe = |_| Mutex::new(vec![Cell::default(); CELLS / STRIPES].into_boxed_slice());
        Ok(Self {
            min: saturating_nanos(min),
            max: saturating_nanos(max).min(NEVER - 1),
            target,
            grouping,
            groups: (0..GROUPS).map(group).collect(),
            stripes: (0..STRIPES).map(stripe).collect(),
            lengthened: AtomicU64::new(0),
            shortened: AtomicU64::new(0),
        })
    }

    /// The group of a key, by its hash unless somebody said otherwise. Calls foreign code.
    pub(crate) fn group(&self, key: &K, hash: u64) -> usize {
        let number = match &self.grouping {
            // Groups that are numbered in a row stay apart.
            Some(grouping) => grouping(key),
            None => hash >> 20,
        };
        (number % GROUPS as u64) as usize
    }

    /// How long an entry of a group lives, given the cache's own time to live; notes that it is
    /// written.
    pub(crate) fn write(&self, group: usize, hash: u64, default: u64, now: u64) -> u64 {
        let known = &self.groups[group].time_to_live;
        let mut time_to_live = known.load(Relaxed);
        if time_to_live == 0 {
            time_to_live = default.clamp(self.min, self.max);
            // Of two that write first both say the same.
            known.store(time_to_live, Relaxed);
        }
        let cell = Cell {
            hash,
            group: group as u8,
            read: false,
            missed: false,
            written: now,
            deadline: now.saturating_add(time_to_live),
        };
        let mut unread = None;
        let watched = self.with_cell(hash, |known| {
            if known.hash == hash || known.hash == 0 || known.deadline <= now {
                if known.hash != 0 && known.deadline <= now && !known.read && !known.missed {
                    unread = Some(usize::from(known.group));
                }
                *known = cell;
                true
            } else {
                // Somebody else is watched, until it ends.
                false
            }
        });
        if let Some(group) = unread {
            self.found(group, 0, |findings| findings.unread += 1);
        }
        if watched {
            self.found(group, 0, |findings| findings.writes += 1);
        }
        time_to_live
    }

    /// Notes a lookup.
    pub(crate) fn saw(&self, hash: u64, hit: bool, now: u64) {
        let found = self.with_cell(hash, |cell| {
            if cell.hash != hash {
                return None;
            }
            let group = usize::from(cell.group);
            if hit {
                cell.read = true;
                Some((group, 0))
            } else if cell.deadline <= now && !cell.missed {
                cell.missed = true;
                Some((group, now.saturating_sub(cell.written)))
            } else {
                None
            }
        });
        match found {
            Some((group, 0)) => self.found(group, 0, |findings| findings.hits += 1),
            // With no life that is allowed it would have been there.
            Some((_, interval)) if interval > self.max => {}
            Some((group, interval)) => self.found(group, interval, |findings| findings.late += 1),
            None => {}
        }
    }

    fn with_cell<R>(&self, hash: u64, then: impl FnOnce(&mut Cell) -> R) -> R {
        let at = (hash >> 8) as usize % CELLS;
        let mut stripe = lock(&self.stripes[at % STRIPES]);
        then(&mut stripe[at / STRIPES])
    }

    /// Notes a finding, and moves the group when there are enough. `interval` is how long after it
    /// was written a key was missed.
    fn found(&self, group: usize, interval: u64, note: impl FnOnce(&mut Findings)) {
        let group = &self.groups[group];
        let mut findings = lock(&group.findings);
        note(&mut findings);
        let Findings {
            hits,
            writes,
            late,
            unread,
        } = *findings;
        if late + unread < FINDINGS && hits.saturating_add(writes) < 64 * FINDINGS {
            return;
        }
        *findings = Findings::default();
        let now = group.time_to_live.load(Relaxed);
        let rate = f64::from(hits) / f64::from((hits + writes).max(1));
        let next = if rate < self.target && late > unread {
            // Doubling finds the length; what was just missed says where to stop.
            let doubled = now.saturating_mul(2);
            if interval > now {
                doubled.min(interval.saturating_add(interval / 4))
            } else {
                doubled
            }
        } else if unread > late {
            now - now / 4
        } else {
            now
        };
        let next = next.clamp(self.min, self.max);
        group.time_to_live.store(next, Relaxed);
        if next > now {
            self.lengthened.fetch_add(1, Relaxed);
        } else if next < now {
            self.shortened.fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn stats(&self) -> AdaptiveTtlStats {
        let lives = self
            .groups
            .iter()
            .map(|group| group.time_to_live.load(Relaxed));
        let lives: Vec<_> = lives
            .filter(|nanos| *nanos > 0)
            .map(Duration::from_nanos)
            .collect();
        AdaptiveTtlStats {
            groups: lives.len() as u64,
            lengthened: self.lengthened.load(Relaxed),
            shortened: self.shortened.load(Relaxed),
            shortest: lives.iter().min().copied(),
            longest: lives.iter().max().copied(),
        }
    }
}

impl<K> fmt::Debug for Controller<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Controller")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
