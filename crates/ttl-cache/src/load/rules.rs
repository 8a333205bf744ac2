//! [`LoadRules`]: what a cache was told about loading.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use brolly_sync::{Spawn, Timer};

/// The settings of loading. Checked by the builder; `None` switches a rule off.
#[derive(Clone, Default)]
pub(crate) struct LoadRules {
    /// A hit at least this old starts a new load behind it.
    pub(crate) refresh_after: Option<Duration>,
    /// A hit starts a new load behind it by chance, the likelier the nearer its end: how eagerly.
    pub(crate) refresh_early: Option<f64>,
    /// So long past its time to live, a value is served while it is loaded anew.
    pub(crate) stale_while_revalidate: Option<Duration>,
    /// So long past its time to live, a value is served if its load fails.
    pub(crate) stale_if_error: Option<Duration>,
    /// So long a loader's error is given to later callers instead of asking the loader again.
    pub(crate) cache_errors_for: Option<Duration>,
    /// How long a load may run. Needs `timer`.
    pub(crate) load_timeout: Option<Duration>,
    /// How many loads may run at once.
    pub(crate) max_concurrent_loads: Option<usize>,
    /// What load timeouts wait with.
    pub(crate) timer: Option<Arc<dyn Timer>>,
    /// What runs loads that nobody waits for.
    pub(crate) spawner: Option<Arc<dyn Spawn>>,
}

impl LoadRules {
    /// How long a failed refresh is left alone while an older value can be served: a second, or an
    /// eighth of the time in which it can be served, if that is less.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        const AT_MOST: Duration = Duration::from_secs(1);
        let window = self.stale_while_revalidate.or(self.refresh_after);
        let early = self.refresh_early.map(|_| AT_MOST);
        window.map(|window| (window / 8).min(AT_MOST)).or(early)
    }
}

impl LoadRules {
    /// How long past its time to live a value may be served at all.
    pub(crate) fn keeps_stale_for(&self) -> Option<Duration> {
        self.stale_while_revalidate.max(self.stale_if_error)
    }
}

impl fmt::Debug for LoadRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadRules")
            .field("refresh_after", &self.refresh_after)
            .field("refresh_early", &self.refresh_early)
            .field("stale_while_revalidate", &self.stale_while_revalidate)
            .field("stale_if_error", &self.stale_if_error)
            .field("cache_errors_for", &self.cache_errors_for)
            .field("load_timeout", &self.load_timeout)
            .field("max_concurrent_loads", &self.max_concurrent_loads)
            .field("timer", &self.timer)
            .field("spawner", &self.spawner.is_some())
            .finish()
    }
}
