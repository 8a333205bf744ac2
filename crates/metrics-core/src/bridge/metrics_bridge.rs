//! [`MetricsBridge`]: a recorder of the `metrics` facade that records into a [`Registry`].

mod families;
mod handles;
mod names;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use foldhash::fast::RandomState;
use metrics::{Key, KeyName, Metadata, Recorder, SetRecorderError, SharedString};

use self::families::{Families, Found, Refused};
use self::handles::{CounterHandle, GaugeHandle, HistogramHandle};
use crate::error::RegisterError;
use crate::family::Family;
use crate::family::recipe::Recipe;
use crate::instrument::counter::Counter;
use crate::instrument::metric::Metric;
use crate::registry::Registry;

/// A recorder of the `metrics` facade that records into a [`Registry`].
///
/// Install it for the whole program with [`install`](Self::install), or for a scope with
/// [`metrics::with_local_recorder`]. Clones are the same recorder.
///
/// A name that was seen before with the same labels is found under a read lock, without allocating.
///
/// # Names
///
/// What may not stand in a name becomes `_`, and a name that starts with something else than a
/// letter, `_` or `:` gets a `_` before it. Labels that are reserved get the prefix `exported_`. A
/// name that becomes the same as another one, or that is already a metric of another kind, is
/// refused: what is recorded under it goes nowhere and is counted, and nothing panics.
///
/// # Labels
///
/// A family has the labels of its first use, or those [declared](Self::declare_labels) before. A
/// label that a later use lacks reads empty, which Prometheus takes for a label that is not there. A
/// label that a later use has besides is dropped and counted, so the totals of counters and
/// histograms stay right (of several figures that counters are set to with `absolute`, the largest
/// stays); a gauge with such a label is refused, because two values cannot be one. How
/// many label sets there may be is for the registry to say; the rest go to its series `overflow`.
///
/// # Descriptions
///
/// A description gives help and unit if it comes before the first use of the name. Seconds and bytes
/// are units here; other units are named in the help, and values stay as they are recorded. Describe
/// histograms of seconds: one without a unit keeps values to a millionth, so 0.4 µs is 0 there.
///
/// ```
/// use brolly_metrics_core::{MetricsBridge, Registry};
///
/// let registry = Registry::new();
/// let bridge = MetricsBridge::new(&registry)?;
/// metrics::with_local_recorder(&bridge, || {
///     metrics::counter!("requests.total", "method" => "GET").increment(2);
/// });
/// let snapshot = registry.snapshot();
/// let requests = snapshot.counter("requests.total").expect("it was recorded");
/// assert_eq!(requests.get(&["GET"]), Some(&2));
/// # Ok::<(), brolly_metrics_core::RegisterError>(())
/// ```
#[derive(Clone)]
pub struct MetricsBridge {
    shared: Arc<Shared>,
}

/// What a [`MetricsBridge`] could not do as it was asked to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BridgeStats {
    /// Lookups of a name that belongs to another one or to another kind of metric.
    pub refused_names: u64,
    /// Lookups with labels that cannot be had.
    pub refused_labels: u64,
    /// Lookups of a name for which the registry had no room.
    pub refused_full: u64,
    /// Labels that were dropped.
    pub dropped_labels: u64,
    /// Descriptions that came after the first use, or that there was no room for.
    pub lost_descriptions: u64,
}

struct Shared {
    /// The way where everything is known.
    counters: Handles<metrics::Counter>,
    gauges: Handles<metrics::Gauge>,
    histograms: Handles<metrics::Histogram>,
    /// The way to get there.
    families: Mutex<Families>,
    /// Held while a counter is raised to a figure.
    raising: Arc<Mutex<()>>,
    losses: Losses,
}

/// Handles by the key they were asked for with: at most as many of a family as it has series.
type Handles<H> = RwLock<HashMap<Key, H, RandomState>>;

/// The counters in the registry that tell of what was lost.
struct Losses {
    refused: Family<Counter, 1>,
    dropped_labels: Counter,
    lost_descriptions: Counter,
}

impl MetricsBridge {
    /// A recorder into this registry.
    ///
    /// # Errors
    ///
    /// When the registry refuses the counters by which the recorder tells of losses:
    /// `metrics_bridge_refused_total`, `metrics_bridge_dropped_labels_total` and
    /// `metrics_bridge_lost_descriptions_total`.
    pub fn new(registry: &Registry) -> Result<Self, RegisterError> {
        let losses = Losses {
            refused: registry
                .counter("metrics_bridge_refused_total")
                .help("Lookups through the metrics facade that were refused, by reason")
                .labels(["reason"])
                .max_series(Refused::ALL.len())
                .get_or_register()?,
            dropped_labels: registry
                .counter("metrics_bridge_dropped_labels_total")
                .help("Labels of the metrics facade that the family does not have")
                .get_or_register()?,
            lost_descriptions: registry
                .counter("metrics_bridge_lost_descriptions_total")
                .help("Descriptions of the metrics facade that came too late")
                .get_or_register()?,
        };
        Ok(Self {
            shared: Arc::new(Shared {
                counters: Handles::default(),
                gauges: Handles::default(),
                histograms: Handles::default(),
                families: Mutex::new(Families::new(registry)),
                raising: Arc::default(),
                losses,
            }),
        })
    }

    /// Makes this the recorder of the program.
    ///
    /// # Errors
    ///
    /// When there is one already. The error gives the recorder back.
    pub fn install(&self) -> Result<(), SetRecorderError<Self>> {
        metrics::set_global_recorder(self.clone())
    }

    /// Says which labels a name has, for uses that do not all name the same ones. To be said before
    /// its first use; false if that has passed, or if there is no room for more declarations.
    pub fn declare_labels<'a>(
        &self,
        name: &str,
        labels: impl IntoIterator<Item = &'a str>,
    ) -> bool {
        let labels = labels.into_iter().map(str::to_owned).collect();
        self.families().declare_labels(name, labels)
    }

    /// What could not be done as asked.
    #[must_use]
    pub fn stats(&self) -> BridgeStats {
        let losses = &self.shared.losses;
        let refused = |reason: Refused| losses.refused.with([reason.name()], Counter::value);
        BridgeStats {
            refused_names: refused(Refused::Name),
            refused_labels: refused(Refused::Labels),
            refused_full: refused(Refused::Full),
            dropped_labels: losses.dropped_labels.value(),
            lost_descriptions: losses.lost_descriptions.value(),
        }
    }

    fn families(&self) -> MutexGuard<'_, Families> {
        // What is kept there is complete between two statements.
        let families = self.shared.families.lock();
        families.unwrap_or_else(PoisonError::into_inner)
    }

    fn handle<H: Clone>(
        &self,
        handles: &Handles<H>,
        key: &Key,
        recipe: Recipe,
        make: impl FnOnce(Metric) -> Option<H>,
        nowhere: impl FnOnce() -> H,
    ) -> H {
        let known = || {
            let known = handles.read().unwrap_or_else(PoisonError::into_inner);
            known.get(key).cloned()
        };
        if let Some(handle) = known() {
            return handle;
        }
        let losses = &self.shared.losses;
        let mut families = self.families();
        // Another thread may have been here in between; from now on none can.
        if let Some(handle) = known() {
            return handle;
        }
        match families.find(recipe, key) {
            Ok(Found {
                metric,
                dropped_labels,
                may_keep,
            }) => {
                losses.dropped_labels.add(dropped_labels);
                let handle = make(metric).expect("a family holds what its recipe makes");
                if may_keep {
                    let mut known = handles.write().unwrap_or_else(PoisonError::into_inner);
                    known.insert(key.to_retained(), handle.clone());
                }
                handle
            }
            Err(reason) => {
                losses.refused.with([reason.name()], Counter::inc);
                nowhere()
            }
        }
    }

    fn describe(&self, recipe: Recipe, key: &KeyName, unit: Option<metrics::Unit>, help: &str) {
        let is_kept = self.families().describe(recipe, key.as_str(), unit, help);
        if !is_kept {
            self.shared.losses.lost_descriptions.inc();
        }
    }
}

impl Recorder for MetricsBridge {
    fn describe_counter(&self, key: KeyName, unit: Option<metrics::Unit>, help: SharedString) {
        self.describe(Recipe::Counter, &key, unit, &help);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<metrics::Unit>, help: SharedString) {
        self.describe(Recipe::Gauge, &key, unit, &help);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<metrics::Unit>, help: SharedString) {
        self.describe(Recipe::Histogram, &key, unit, &help);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> metrics::Counter {
        let make = |metric| match metric {
            Metric::Counter(counter) => {
                let raising = Arc::clone(&self.shared.raising);
                let handle = Arc::new(CounterHandle::new(counter, raising));
                Some(metrics::Counter::from_arc(handle))
            }
            _ => None,
        };
        let handles = &self.shared.counters;
        self.handle(handles, key, Recipe::Counter, make, metrics::Counter::noop)
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> metrics::Gauge {
        let make = |metric| match metric {
            Metric::Gauge(gauge) => Some(metrics::Gauge::from_arc(Arc::new(GaugeHandle(gauge)))),
            _ => None,
        };
        let handles = &self.shared.gauges;
        self.handle(handles, key, Recipe::Gauge, make, metrics::Gauge::noop)
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> metrics::Histogram {
        let make = |metric| match metric {
            Metric::Histogram(histogram) => {
                let handle = Arc::new(HistogramHandle(histogram));
                Some(metrics::Histogram::from_arc(handle))
            }
            _ => None,
        };
        let handles = &self.shared.histograms;
        self.handle(
            handles,
            key,
            Recipe::Histogram,
            make,
            metrics::Histogram::noop,
        )
    }
}

impl fmt::Debug for MetricsBridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricsBridge")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
