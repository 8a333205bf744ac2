//! [`Advisor`]: from each new snapshot to a report.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use brolly_metrics_core::Snapshot;

use crate::advice::{CacheThresholds, PoolThresholds};
use crate::alert::{AlertEngine, RuleSet, Timeline};
use crate::health::HealthRules;
use crate::level::Level;
use crate::report::findings::{CacheReport, HealthSummary, PoolReport, Report, ResourceReport};
use crate::report::{Conventions, Usages};
use crate::score::{CacheWeights, PoolWeights, Score};
use crate::size::{Demand, SizeRange, SizeSmoother};
use crate::usage::{CacheUsage, PoolUsage, ResourceUsage};

/// What an [`Advisor`] goes by.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields, default)
)]
pub struct AdvisorConfig {
    /// Where caches, pools and resources are found.
    pub conventions: Conventions,
    /// Over which time things are counted and utilisation is smoothed.
    #[cfg_attr(feature = "serde", serde(with = "crate::duration::readable"))]
    pub window: Duration,
    /// What the score of a cache is made of.
    pub cache_weights: CacheWeights,
    /// What the score of a pool is made of.
    pub pool_weights: PoolWeights,
    /// What calls for advice about a cache.
    pub cache_thresholds: CacheThresholds,
    /// What calls for advice about a pool.
    pub pool_thresholds: PoolThresholds,
    /// When something is not well.
    pub health: HealthRules,
    /// The mean wait, in seconds, that a pool is sized for by its demand.
    pub wait_target_seconds: f64,
}

impl Default for AdvisorConfig {
    fn default() -> Self {
        Self {
            conventions: Conventions::default(),
            window: Duration::from_secs(5 * 60),
            cache_weights: CacheWeights::default(),
            pool_weights: PoolWeights::default(),
            cache_thresholds: CacheThresholds::default(),
            pool_thresholds: PoolThresholds::default(),
            health: HealthRules::default(),
            wait_target_seconds: 0.010,
        }
    }
}

/// Makes a report of each new snapshot, over the window that ends with it.
///
/// Keeps up to 32 snapshots, to look back; a smoothed utilisation for each of at most
/// [`MAX_POOLS`](Self::MAX_POOLS) pools; and the alerts that are not inactive.
#[derive(Debug)]
pub struct Advisor {
    config: AdvisorConfig,
    timeline: Timeline,
    alerts: AlertEngine,
    smoothers: BTreeMap<String, SizeSmoother>,
}

impl Advisor {
    /// Most pools whose utilisation is smoothed; that of others is the one of the moment.
    pub const MAX_POOLS: usize = 1_000;

    /// An advisor with the rules that come with the crate.
    #[must_use]
    pub fn new(config: AdvisorConfig) -> Self {
        let rules = RuleSet::builtin(&config.conventions);
        Self::with_rules(config, rules)
    }

    /// An advisor with rules of the caller's own.
    #[must_use]
    pub fn with_rules(config: AdvisorConfig, rules: RuleSet) -> Self {
        let longest = rules.longest_window().unwrap_or_default();
        Self {
            timeline: Timeline::new(longest.max(config.window)),
            alerts: AlertEngine::new(rules),
            smoothers: BTreeMap::new(),
            config,
        }
    }

    /// Takes in the newest snapshot and says what there is to say.
    ///
    /// The first snapshot is judged since the start of its counters; later ones over the window, or
    /// since the first snapshot while that is younger. Alert rules over a window begin with the
    /// second. Takes time in proportion to the number of series.
    pub fn observe(&mut self, snapshot: impl Into<Arc<Snapshot>>) -> Report {
        let now: Arc<Snapshot> = snapshot.into();
        self.timeline.push(Arc::clone(&now));
        let back = self.timeline.back(self.config.window);
        let (earlier, window) = match back {
            Some((snapshot, age)) => (Some(&**snapshot), Some(age)),
            None => (None, None),
        };
        let mut usages = Usages::of(&now, earlier, &self.config.conventions);
        self.smooth(now.timestamp, &mut usages.pools);
        let mut report = judge(&self.config, now.timestamp, window, usages);
        let scores = report.score_gauges(&self.config.conventions);
        report.events = self.alerts.evaluate(&self.timeline, &scores);
        report.alerts = self.alerts.alerts().collect();
        report
    }

    /// The state of the alert rules.
    #[must_use]
    pub fn alerts(&self) -> &AlertEngine {
        &self.alerts
    }

    /// Puts the smoothed utilisation into each pool, and forgets the pools that are gone.
    fn smooth(&mut self, at: SystemTime, pools: &mut BTreeMap<String, PoolUsage>) {
        let at = at
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        self.smoothers.retain(|name, _| pools.contains_key(name));
        for (name, pool) in pools {
            let has_room = self.smoothers.len() < Self::MAX_POOLS;
            if has_room && !self.smoothers.contains_key(name) {
                let formula = self.config.pool_thresholds.size;
                let smoother = SizeSmoother::new(formula, self.config.window);
                self.smoothers.insert(name.clone(), smoother);
            }
            if let Some(smoother) = self.smoothers.get_mut(name) {
                smoother.observe(at, pool.utilisation());
                pool.mean_utilisation = smoother.utilisation();
            }
        }
    }
}

impl Report {
    /// What can be said about one snapshot by itself, or about what happened since an earlier one.
    /// There are no alerts in it: those need an [`Advisor`].
    #[must_use]
    pub fn of(now: &Snapshot, earlier: Option<&Snapshot>, config: &AdvisorConfig) -> Self {
        let usages = Usages::of(now, earlier, &config.conventions);
        let window = earlier.map(|earlier| {
            let passed = now.timestamp.duration_since(earlier.timestamp);
            passed.unwrap_or_default()
        });
        judge(config, now.timestamp, window, usages)
    }
}

fn judge(
    config: &AdvisorConfig,
    timestamp: SystemTime,
    window: Option<Duration>,
    usages: Usages,
) -> Report {
    let caches = usages.caches.into_iter();
    let caches: Vec<_> = caches
        .map(|(name, usage)| cache(config, name, usage))
        .collect();
    let pools = usages.pools.into_iter();
    let pools: Vec<_> = pools
        .map(|(name, usage)| pool(config, window, name, usage))
        .collect();
    let resources = usages.resources.into_iter();
    let resources: Vec<_> = resources
        .map(|(name, usage)| resource(config, name, usage))
        .collect();
    let mut health = HealthSummary {
        overall: Level::Unknown,
        caches: Level::worst(caches.iter().map(|cache| cache.health)),
        pools: Level::worst(pools.iter().map(|pool| pool.health)),
        resources: Level::worst(resources.iter().map(|resource| resource.health)),
    };
    health.overall = Level::worst([health.caches, health.pools, health.resources]);
    Report {
        timestamp,
        window,
        health,
        caches,
        pools,
        resources,
        alerts: Vec::new(),
        events: Vec::new(),
    }
}

fn cache(config: &AdvisorConfig, name: String, usage: CacheUsage) -> CacheReport {
    let score = config.cache_weights.score(&usage);
    let (health, ailments) = config.health.cache(&usage);
    CacheReport {
        name,
        hit_ratio: usage.hit_ratio(),
        eviction_ratio: usage.eviction_ratio(),
        score,
        band: score.map(Score::band),
        health,
        ailments,
        advice: config.cache_thresholds.advise(&usage),
        usage,
    }
}

fn pool(
    config: &AdvisorConfig,
    window: Option<Duration>,
    name: String,
    usage: PoolUsage,
) -> PoolReport {
    let score = config.pool_weights.score(&usage);
    let (health, ailments) = config.health.pool(&usage);
    PoolReport {
        name,
        utilisation: usage.utilisation(),
        error_ratio: usage.error_ratio(),
        score,
        band: score.map(Score::band),
        health,
        ailments,
        advice: config.pool_thresholds.advise(&usage),
        demand_size: demand_size(config, window, &usage),
        usage,
    }
}

/// The size for the demand of the window; none when a figure is missing or there is too little.
fn demand_size(
    config: &AdvisorConfig,
    window: Option<Duration>,
    usage: &PoolUsage,
) -> Option<SizeRange> {
    let seconds = window?.as_secs_f64();
    let hold_seconds = usage.hold_seconds?;
    if usage.acquisitions() < config.pool_thresholds.min_samples {
        return None;
    }
    let demand = Demand {
        arrivals_per_second: usage.acquisitions() as f64 / seconds,
        hold_seconds,
    };
    demand.size(config.wait_target_seconds)
}

fn resource(config: &AdvisorConfig, name: String, usage: ResourceUsage) -> ResourceReport {
    let (health, ailments) = config.health.resource(&usage);
    ResourceReport {
        name,
        utilisation: usage.utilisation(),
        health,
        ailments,
        usage,
    }
}
