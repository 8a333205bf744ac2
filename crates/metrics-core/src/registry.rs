//! [`Registry`]: what is recorded, under which names.

pub(crate) mod definition;
pub(crate) mod name;
pub(crate) mod page;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::mem;
use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, ThreadId};
use std::time::SystemTime;

use brolly_sync::Clock;

use crate::encode::{Encoder, Format};
use crate::error::RegisterError;
use crate::family::core::FamilyCore;
use crate::family::index::{Index, MakeSeries, OVERFLOW};
use crate::family::recipe::Recipe;
use crate::instrument::counter::Counter;
use crate::instrument::gauge::{Gauge, IntGauge};
use crate::instrument::histogram::Histogram;
use crate::instrument::metric::{Instrument, Metric};
use crate::instrument::summary::Summary;
use crate::instrument::ticks::Ticks;
use crate::instrument::timer::Timer;
use crate::registry::definition::{Definition, the_only_one};
use crate::registry::name::claims;
use crate::registry::page::{Reader, encode_family, snapshot_family};
use crate::snapshot::Snapshot;

/// What is recorded, under which names.
///
/// A registry is a value: make one for a service, one for a test, one for a tenant. Clones are the
/// same registry. Everything registered lives as long as the registry or the last handle to it.
#[derive(Clone)]
pub struct Registry {
    inner: Arc<Inner>,
}

struct Inner {
    id: u64,
    limits: Limits,
    ticks: Ticks,
    state: Mutex<State>,
    /// The summaries of [`Registry::record`], by name.
    samples: Index,
    collect_panics: AtomicU64,
    /// The threads whose collectors run.
    collecting: Mutex<Vec<ThreadId>>,
}

/// A thread calls the collectors of a registry, until this is dropped.
struct Collecting<'a> {
    threads: &'a Mutex<Vec<ThreadId>>,
    thread: ThreadId,
}

impl<'a> Collecting<'a> {
    /// None when this thread calls them already.
    fn start(threads: &'a Mutex<Vec<ThreadId>>) -> Option<Self> {
        let thread = thread::current().id();
        let mut collecting = threads.lock().unwrap_or_else(PoisonError::into_inner);
        if collecting.contains(&thread) {
            return None;
        }
        collecting.push(thread);
        Some(Self { threads, thread })
    }
}

impl Drop for Collecting<'_> {
    fn drop(&mut self) {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.retain(|thread| *thread != self.thread);
    }
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    metrics: usize,
    series: usize,
}

#[derive(Default)]
struct State {
    families: BTreeMap<String, Arc<FamilyCore>>,
    /// Every name in the exposition, and the family it belongs to.
    claims: HashMap<String, String>,
    collectors: Vec<Collector>,
}

/// The most functions that are called before a page.
const MAX_COLLECTORS: usize = 1_000;

type Collector = Arc<dyn Fn() + Send + Sync>;

static IDS: AtomicU64 = AtomicU64::new(1);

/// The registry of those who need no other. It is made when it is first asked for.
pub fn default_registry() -> &'static Registry {
    static DEFAULT: OnceLock<Registry> = OnceLock::new();
    DEFAULT.get_or_init(Registry::new)
}

impl Registry {
    /// An empty registry with the default limits.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Sets limits and clock first.
    pub fn builder() -> RegistryBuilder {
        RegistryBuilder {
            limits: Limits {
                metrics: 10_000,
                series: 2_000,
            },
            ticks: None,
        }
    }

    /// A number that no other registry of this process has.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.inner.id
    }

    /// Describes a counter: a total that only grows.
    pub fn counter(&self, name: &str) -> Definition<'_, Counter> {
        self.define(name)
    }

    /// Describes a gauge: a number that goes up and down.
    pub fn gauge(&self, name: &str) -> Definition<'_, Gauge> {
        self.define(name)
    }

    /// Describes a gauge of whole numbers.
    pub fn int_gauge(&self, name: &str) -> Definition<'_, IntGauge> {
        self.define(name)
    }

    /// Describes a histogram: a distribution.
    pub fn histogram(&self, name: &str) -> Definition<'_, Histogram> {
        self.define(name)
    }

    /// Describes a summary: the last samples.
    pub fn summary(&self, name: &str) -> Definition<'_, Summary> {
        self.define(name)
    }

    /// Describes a timer: a histogram of seconds by outcome.
    pub fn timer(&self, name: &str) -> Definition<'_, Timer> {
        self.define(name)
    }

    fn define<M: Instrument>(&self, name: &str) -> Definition<'_, M> {
        Definition::new(self, name)
    }

    /// Records a sample under a name, in a [`Summary`] that is made on first sight.
    ///
    /// A summary that was registered under the name, with a window of its own for instance, is the
    /// one that records. Names beyond the registry's limit share the summary `overflow`.
    ///
    /// # Errors
    ///
    /// When the name is not valid, or is that of something else than a summary.
    pub fn record(&self, name: &str, sample: f64) -> Result<(), RegisterError> {
        self.inner
            .samples
            .with(&[name], &OfSamples(self), |metric| {
                if let Metric::Summary(summary) = metric {
                    summary.observe(sample);
                }
            })
    }

    /// Calls `collect` before every snapshot and every page, for what is cheaper to look up then
    /// than to keep up to date.
    ///
    /// It runs under no lock and may record, register and look up. It is not called for a snapshot
    /// of this registry that it takes itself. If it panics, the page goes on without it; see
    /// [`collect_panics`](Self::collect_panics).
    ///
    /// # Errors
    ///
    /// When the registry has 1,000 of them already.
    pub fn on_collect(
        &self,
        collect: impl Fn() + Send + Sync + 'static,
    ) -> Result<(), RegisterError> {
        let mut state = self.lock();
        if state.collectors.len() >= MAX_COLLECTORS {
            let max = MAX_COLLECTORS;
            return Err(RegisterError::TooManyCollectors { max });
        }
        state.collectors.push(Arc::new(collect));
        Ok(())
    }

    /// How many lookups went to an `overflow` series, because a family or the names of
    /// [`record`](Self::record) were full.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        let families = self.families();
        let dropped = families.iter().map(|family| family.dropped());
        dropped.fold(self.inner.samples.dropped(), u64::saturating_add)
    }

    /// How often a function given to [`on_collect`](Self::on_collect) has panicked.
    #[must_use]
    pub fn collect_panics(&self) -> u64 {
        self.inner.collect_panics.load(Relaxed)
    }

    /// Everything there is, as plain data.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.collect();
        let mut snapshot = Snapshot::empty(SystemTime::now());
        let mut reader = Reader::default();
        for family in self.families() {
            snapshot_family(&family, &mut reader, &mut snapshot);
        }
        snapshot
    }

    /// Everything there is, as a page that Prometheus reads.
    #[must_use]
    pub fn encode(&self, format: Format) -> String {
        let mut page = Vec::new();
        self.encode_into(format, &mut page);
        String::from_utf8(page).expect("names, labels and numbers are text")
    }

    /// Appends what [`encode`](Self::encode) gives to `out`.
    pub fn encode_into(&self, format: Format, out: &mut Vec<u8>) {
        self.collect();
        let mut encoder = Encoder::new(out, format);
        let mut reader = Reader::default();
        for family in self.families() {
            encode_family(&family, &mut reader, &mut encoder);
        }
        encoder.finish();
    }

    /// Starts every counter, histogram and summary again at nothing; how many series that were.
    ///
    /// Gauges tell the present and stay. What is recorded at the same moment counts before or
    /// after.
    pub fn clear(&self) -> usize {
        self.clear_prefix("")
    }

    /// As [`clear`](Self::clear), for the names that start with this.
    pub fn clear_prefix(&self, prefix: &str) -> usize {
        let families = self.families().into_iter();
        let chosen = families.filter(|family| family.name.starts_with(prefix));
        chosen.map(|family| family.reset(|_| true)).sum()
    }

    /// As [`clear`](Self::clear), for the series with this value of this label.
    pub fn clear_label(&self, label: &str, value: &str) -> usize {
        let clear = |family: Arc<FamilyCore>| {
            let at = family.labels.iter().position(|it| it == label)?;
            Some(family.reset(|series| series.key.values().nth(at) == Some(value)))
        };
        self.families().into_iter().filter_map(clear).sum()
    }

    /// Takes a family in, or finds the one that is there.
    pub(crate) fn take_in(
        &self,
        family: FamilyCore,
        if_there: IfThere,
        is_limited: bool,
    ) -> Result<Arc<FamilyCore>, RegisterError> {
        let mut state = self.lock();
        let name = family.name.clone();
        if let Some(registered) = state.families.get(&name) {
            if if_there == IfThere::Refuse {
                return Err(RegisterError::Duplicate { name });
            }
            registered.check_same(&family)?;
            return Ok(Arc::clone(registered));
        }
        let claims = claims(&name, family.recipe.kind());
        for exposed in &claims {
            if let Some(owner) = state.claims.get(exposed) {
                return Err(RegisterError::NameClash {
                    name,
                    exposed: exposed.clone(),
                    owner: owner.clone(),
                });
            }
        }
        let max = self.inner.limits.metrics;
        if is_limited && state.families.len() >= max {
            return Err(RegisterError::TooManyMetrics { name, max });
        }
        let family = Arc::new(family);
        let owned = claims.into_iter().map(|exposed| (exposed, name.clone()));
        state.claims.extend(owned);
        state.families.insert(name, Arc::clone(&family));
        Ok(family)
    }

    pub(crate) fn max_series(&self) -> usize {
        self.inner.limits.series
    }

    pub(crate) fn ticks(&self) -> &Ticks {
        &self.inner.ticks
    }

    /// The summary without labels of this name.
    fn summary_named(&self, name: &str) -> Option<Summary> {
        let family = self.lock().families.get(name).cloned()?;
        let is_one = family.recipe == Recipe::Summary && family.labels.is_empty();
        is_one.then(|| the_only_one(&family))
    }

    fn families(&self) -> Vec<Arc<FamilyCore>> {
        self.lock().families.values().cloned().collect()
    }

    fn collect(&self) {
        self.inner.ticks.calibrate();
        let collectors = self.lock().collectors.clone();
        if collectors.is_empty() {
            return;
        }
        let Some(_collecting) = Collecting::start(&self.inner.collecting) else {
            return;
        };
        for collect in collectors {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| collect())) {
                self.inner.collect_panics.fetch_add(1, Relaxed);
                // What was thrown may throw again when it is dropped.
                let dropped = catch_unwind(AssertUnwindSafe(|| drop(panic)));
                mem::forget(dropped);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        let state = &self.inner.state;
        state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

// What is behind its locks is whole whenever they are free, and what was given to it (a clock,
// collectors) runs under none of them.
impl UnwindSafe for Registry {}
impl RefUnwindSafe for Registry {}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("id", &self.inner.id)
            .field("metrics", &self.lock().families.len())
            .finish_non_exhaustive()
    }
}

/// What becomes of a name that is registered already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IfThere {
    Refuse,
    Share,
}

/// Makes the summaries of [`Registry::record`].
struct OfSamples<'a>(&'a Registry);

impl MakeSeries for OfSamples<'_> {
    type Error = RegisterError;

    fn takes(&self, _names: &[&str]) -> bool {
        // A name that is too long is not valid, and whoever records under it is told so.
        true
    }

    fn make(&self, values: &[&str]) -> Result<Metric, RegisterError> {
        // The names have a limit of their own, the index's, and so has the one beyond it.
        let name = values.first().copied().unwrap_or(OVERFLOW);
        let summary = match self.0.summary_named(name) {
            Some(summary) => summary,
            None => self.0.summary(name).unlimited().get_or_register()?,
        };
        Ok(Metric::Summary(summary))
    }
}

/// Sets the limits and the clock of a [`Registry`].
#[derive(Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct RegistryBuilder {
    limits: Limits,
    ticks: Option<Ticks>,
}

impl RegistryBuilder {
    /// The most metrics that can be registered, and the most names that
    /// [`record`](Registry::record) tells apart; 10,000 if not said.
    pub fn max_metrics(mut self, max: usize) -> Self {
        self.limits.metrics = max;
        self
    }

    /// The most series of a family that does not say so itself; 2,000 if not said.
    pub fn max_series(mut self, max: usize) -> Self {
        self.limits.series = max;
        self
    }

    /// The clock of timers and of samples' ages, instead of the system's.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.ticks = Some(Ticks::Injected(Arc::new(clock)));
        self
    }

    /// The registry.
    #[must_use]
    pub fn build(self) -> Registry {
        Registry {
            inner: Arc::new(Inner {
                id: IDS.fetch_add(1, Relaxed),
                limits: self.limits,
                ticks: self.ticks.unwrap_or_else(Ticks::fastest),
                state: Mutex::default(),
                samples: Index::new(self.limits.metrics),
                collect_panics: AtomicU64::new(0),
                collecting: Mutex::default(),
            }),
        }
    }
}
