//! [`Report`]: everything that can be said about a snapshot, as plain data.

use std::time::{Duration, SystemTime};

use brolly_metrics_core::{FamilySnapshot, GaugeMerge, GaugeSnapshot, SeriesSnapshot, Unit};

use crate::advice::{CacheAdvice, PoolAdvice};
use crate::alert::{Alert, AlertEvent};
use crate::health::Ailment;
use crate::level::Level;
use crate::report::Conventions;
use crate::score::{Band, Score};
use crate::size::SizeRange;
use crate::usage::{CacheUsage, PoolUsage, ResourceUsage};

/// Everything that can be said about a snapshot. Lists are sorted by name; ratios and utilisations
/// are fractions within 0..=1.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Report {
    /// When the snapshot was taken.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::duration::rfc3339"))]
    pub timestamp: SystemTime,
    /// Over which time things were counted; none: since the start.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::duration::seconds"))]
    pub window: Option<Duration>,
    /// How well everything is.
    pub health: HealthSummary,
    /// Each cache.
    pub caches: Vec<CacheReport>,
    /// Each pool.
    pub pools: Vec<PoolReport>,
    /// Each kind of resource.
    pub resources: Vec<ResourceReport>,
    /// The alerts that are pending, firing or have just resolved.
    pub alerts: Vec<Alert>,
    /// What there is to tell since the report before.
    pub events: Vec<AlertEvent>,
}

impl Report {
    /// The scores as gauges, under the names of the conventions, for a program to expose: alert
    /// rules over scores can then be evaluated by a server too.
    #[must_use]
    pub fn score_gauges(&self, names: &Conventions) -> Vec<FamilySnapshot<GaugeSnapshot>> {
        let caches = self.caches.iter();
        let caches = caches.filter_map(|cache| Some((cache.name.as_str(), cache.score?)));
        let pools = self.pools.iter();
        let pools = pools.filter_map(|pool| Some((pool.name.as_str(), pool.score?)));
        vec![
            gauges(&names.cache_score, &names.cache_label, caches),
            gauges(&names.pool_score, &names.pool_label, pools),
        ]
    }
}

fn gauges<'a>(
    name: &str,
    label: &str,
    scores: impl Iterator<Item = (&'a str, Score)>,
) -> FamilySnapshot<GaugeSnapshot> {
    let series = scores.map(|(of, score)| SeriesSnapshot {
        label_values: vec![of.to_owned()],
        value: GaugeSnapshot::new(score.value(), GaugeMerge::Min),
    });
    FamilySnapshot {
        name: name.to_owned(),
        help: "How well it serves, from 0 to 100".to_owned(),
        unit: Unit::None,
        label_names: vec![label.to_owned()],
        series: series.collect(),
    }
}

/// How well everything is: the worst of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct HealthSummary {
    /// The worst of all.
    pub overall: Level,
    /// The worst of the caches.
    pub caches: Level,
    /// The worst of the pools.
    pub pools: Level,
    /// The worst of the resources.
    pub resources: Level,
}

/// What can be said about a cache.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct CacheReport {
    /// Its name.
    pub name: String,
    /// What it did.
    pub usage: CacheUsage,
    /// Hits by lookups; none without lookups.
    pub hit_ratio: Option<f64>,
    /// Evictions by sets; none when not measured.
    pub eviction_ratio: Option<f64>,
    /// How well it serves; none without lookups.
    pub score: Option<Score>,
    /// The score in a word.
    pub band: Option<Band>,
    /// How well it is.
    pub health: Level,
    /// Why it is not well.
    pub ailments: Vec<Ailment>,
    /// What to change; empty when it is optimal.
    pub advice: Vec<CacheAdvice>,
}

/// What can be said about a pool.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct PoolReport {
    /// Its name.
    pub name: String,
    /// What it did.
    pub usage: PoolUsage,
    /// What part of it is lent out, over the window where that is known.
    pub utilisation: f64,
    /// Errors by acquisitions.
    pub error_ratio: f64,
    /// How well it serves; none when it was never used.
    pub score: Option<Score>,
    /// The score in a word.
    pub band: Option<Band>,
    /// How well it is.
    pub health: Level,
    /// Why it is not well.
    pub ailments: Vec<Ailment>,
    /// What to change; empty when it is optimal.
    pub advice: Vec<PoolAdvice>,
    /// The size that queueing theory asks for; none when its demand is not known.
    pub demand_size: Option<SizeRange>,
}

/// What can be said about resources of a kind.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ResourceReport {
    /// The name of the kind.
    pub name: String,
    /// How many there are.
    pub usage: ResourceUsage,
    /// What part of them is in use; none when not known.
    pub utilisation: Option<f64>,
    /// How well they are.
    pub health: Level,
    /// Why they are not well.
    pub ailments: Vec<Ailment>,
}
