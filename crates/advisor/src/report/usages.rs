//! [`Usages`]: caches, pools and resources as a snapshot shows them.

use std::collections::BTreeMap;

use brolly_metrics_core::{FamilySnapshot, Snapshot};

use crate::alert::reading::{before, growth, since};
use crate::numbers::amount;
use crate::report::Conventions;
use crate::usage::{CacheUsage, PoolUsage, ResourceUsage};

/// What a series without the label is about.
const UNNAMED: &str = "default";

/// What every cache, pool and kind of resource did, by name.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Usages {
    /// Caches.
    pub caches: BTreeMap<String, CacheUsage>,
    /// Pools.
    pub pools: BTreeMap<String, PoolUsage>,
    /// Kinds of resources.
    pub resources: BTreeMap<String, ResourceUsage>,
}

impl Usages {
    /// What happened between an earlier snapshot and this one; without an earlier one, since the
    /// start. Gauges are those of this snapshot.
    #[must_use]
    pub fn of(now: &Snapshot, earlier: Option<&Snapshot>, names: &Conventions) -> Self {
        let source = Source { now, earlier };
        Self {
            caches: caches(source, names),
            pools: pools(source, names),
            resources: resources(source, names),
        }
    }
}

fn caches(source: Source<'_>, names: &Conventions) -> BTreeMap<String, CacheUsage> {
    let mut all: ByName<'_, (CacheUsage, Mean)> = ByName::new(&names.cache_label);
    source.counter(&names.cache_hits, &mut all, |(cache, _), hits| {
        cache.hits = cache.hits.saturating_add(hits);
    });
    source.counter(&names.cache_misses, &mut all, |(cache, _), misses| {
        cache.misses = cache.misses.saturating_add(misses);
    });
    source.counter(&names.cache_evictions, &mut all, |(cache, _), evictions| {
        cache.evictions = sum(cache.evictions, evictions);
    });
    source.counter(&names.cache_sets, &mut all, |(cache, _), sets| {
        cache.sets = sum(cache.sets, sets);
    });
    source.gauge(&names.cache_memory, &mut all, |(cache, _), bytes| {
        cache.memory_bytes = Some(cache.memory_bytes.unwrap_or(0.0) + bytes);
    });
    source.mean(&names.cache_access, &mut all, |(_, access)| access);
    all.finish(|(cache, access)| CacheUsage {
        access_seconds: access.get(),
        ..cache
    })
}

fn pools(source: Source<'_>, names: &Conventions) -> BTreeMap<String, PoolUsage> {
    type Pool = (PoolUsage, [Mean; 2]);
    let mut all: ByName<'_, Pool> = ByName::new(&names.pool_label);
    // The casts saturate.
    source.gauge(&names.pool_active, &mut all, |(pool, _), active| {
        pool.active = pool.active.saturating_add(active as u64);
    });
    source.gauge(&names.pool_idle, &mut all, |(pool, _), idle| {
        pool.idle = pool.idle.saturating_add(idle as u64);
    });
    source.gauge(&names.pool_min, &mut all, |(pool, _), min| {
        pool.min = Some(pool.min.unwrap_or(0).saturating_add(min as u32));
    });
    source.gauge(&names.pool_max, &mut all, |(pool, _), max| {
        pool.max = Some(pool.max.unwrap_or(0).saturating_add(max as u32));
    });
    source.counter(&names.pool_hits, &mut all, |(pool, _), hits| {
        pool.hits = pool.hits.saturating_add(hits);
    });
    source.counter(&names.pool_misses, &mut all, |(pool, _), misses| {
        pool.misses = pool.misses.saturating_add(misses);
    });
    source.counter(&names.pool_errors, &mut all, |(pool, _), errors| {
        pool.errors = pool.errors.saturating_add(errors);
    });
    source.counter(
        &names.pool_exhaustions,
        &mut all,
        |(pool, _), exhaustions| {
            pool.exhaustions = pool.exhaustions.saturating_add(exhaustions);
        },
    );
    source.mean(&names.pool_wait, &mut all, |(_, [wait, _])| wait);
    source.mean(&names.pool_hold, &mut all, |(_, [_, hold])| hold);
    all.finish(|(pool, [wait, hold])| PoolUsage {
        wait_seconds: wait.get(),
        hold_seconds: hold.get(),
        ..pool
    })
}

fn resources(source: Source<'_>, names: &Conventions) -> BTreeMap<String, ResourceUsage> {
    let mut all: ByName<'_, ResourceUsage> = ByName::new(&names.resource_label);
    source.gauge(&names.resource_active, &mut all, |resource, active| {
        resource.active = Some(resource.active.unwrap_or(0.0) + active);
    });
    source.gauge(&names.resource_max, &mut all, |resource, max| {
        resource.max = Some(resource.max.unwrap_or(0.0) + max);
    });
    source.gauge(&names.resource_leaks, &mut all, |resource, leaks| {
        resource.leaks = sum(resource.leaks, leaks as u64);
    });
    all.finish(|resource| resource)
}

fn sum(so_far: Option<u64>, more: u64) -> Option<u64> {
    Some(so_far.unwrap_or(0).saturating_add(more))
}

/// A mean over several series.
#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    sum: f64,
    count: u64,
}

impl Mean {
    fn add(&mut self, sum: f64, count: u64) {
        self.sum += sum;
        self.count = self.count.saturating_add(count);
    }

    fn get(self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

/// Something for each value of a label.
struct ByName<'a, T> {
    label: &'a str,
    all: BTreeMap<&'a str, T>,
}

impl<'a, T: Default> ByName<'a, T> {
    fn new(label: &'a str) -> Self {
        Self {
            label,
            all: BTreeMap::new(),
        }
    }

    /// Where the label is among those of a family.
    fn place<V>(&self, family: &FamilySnapshot<V>) -> Option<usize> {
        family
            .label_names
            .iter()
            .position(|name| name == self.label)
    }

    fn entry(&mut self, place: Option<usize>, values: &'a [String]) -> &mut T {
        let name = place.and_then(|place| values.get(place));
        self.all
            .entry(name.map_or(UNNAMED, String::as_str))
            .or_default()
    }

    fn finish<U>(self, end: impl Fn(T) -> U) -> BTreeMap<String, U> {
        let all = self.all.into_iter();
        all.map(|(name, one)| (name.to_owned(), end(one))).collect()
    }
}

/// The snapshots that usages are read from.
#[derive(Clone, Copy)]
struct Source<'a> {
    now: &'a Snapshot,
    earlier: Option<&'a Snapshot>,
}

impl<'a> Source<'a> {
    fn counter<T: Default>(self, name: &str, all: &mut ByName<'a, T>, add: impl Fn(&mut T, u64)) {
        let Some(family) = self.now.counter(name) else {
            return;
        };
        let earlier = self.earlier.and_then(|earlier| earlier.counter(name));
        let place = all.place(family);
        for series in &family.series {
            let grown = growth(series.value, before(family, earlier, series).copied());
            add(all.entry(place, &series.label_values), grown);
        }
    }

    /// A value that is not a number is not measured; a negative one counts as zero.
    fn gauge<T: Default>(self, name: &str, all: &mut ByName<'a, T>, add: impl Fn(&mut T, f64)) {
        let Some(family) = self.now.gauge(name) else {
            return;
        };
        let place = all.place(family);
        for series in &family.series {
            let value = series.value.value;
            let entry = all.entry(place, &series.label_values);
            if !value.is_nan() {
                add(entry, amount(value));
            }
        }
    }

    fn mean<T: Default>(
        self,
        name: &str,
        all: &mut ByName<'a, T>,
        mean: impl Fn(&mut T) -> &mut Mean,
    ) {
        if let Some(family) = self.now.histogram(name) {
            let earlier = self.earlier.and_then(|earlier| earlier.histogram(name));
            let place = all.place(family);
            for series in &family.series {
                let grown = since(&series.value, before(family, earlier, series));
                mean(all.entry(place, &series.label_values)).add(grown.sum(), grown.count());
            }
        } else if let Some(family) = self.now.summary(name) {
            let place = all.place(family);
            for series in &family.series {
                let summary = &series.value;
                if let Some(avg) = summary.avg {
                    let sum = avg * summary.window_count as f64;
                    let mean = mean(all.entry(place, &series.label_values));
                    mean.add(sum, summary.window_count);
                }
            }
        }
    }
}
