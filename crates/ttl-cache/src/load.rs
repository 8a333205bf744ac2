//! Loading through the cache: one load of a key at a time, shared by everybody who wants its value.
//!
//! The first caller that misses a key lists its load in the key's shard ([`Listing`]); who comes
//! later takes part in it. The load belongs to all of them: each may poll it, any may leave. When it
//! ends, it stores its value, unless the key was written since it began, and leaves the list.
//!
//! A load that nobody else asks for, and that does not have to wait, costs its caller two locks of the
//! shard, the look and the write, and a box for its future; on a thread, none.

mod awaited;
mod begin;
mod blocking;
mod bulk;
mod by_hash;
mod calls;
mod early;
mod error;
mod handed;
mod landing;
mod listing;
mod older;
mod outcome;
mod rules;
mod run;
mod stats;
#[cfg(all(test, not(brolly_loom)))]
mod tests;
mod thread;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use brolly_sync::{Flight, NEVER, WaitList};

#[cfg(feature = "macros")]
pub(crate) use begin::Wish;
pub use error::LoadError;
pub(crate) use listing::{Counted, Ended, Left, Listing};
pub(crate) use rules::LoadRules;
pub use stats::LoadStats;

use early::Early;
use outcome::Outcome;
use stats::LoadCounters;

/// What a cache needs for loading.
pub(crate) struct Loads {
    rules: LoadRules,
    permits: Option<Arc<WaitList<()>>>,
    early: Option<Early>,
    counters: LoadCounters,
}

/// There is no value, and that is no error.
#[derive(Debug)]
struct NoValue;

impl Loads {
    pub(crate) fn new(rules: LoadRules) -> Self {
        let permits = |count| Arc::new(WaitList::new(vec![(); count]));
        Self {
            permits: rules.max_concurrent_loads.map(permits),
            early: rules.refresh_early.map(Early::new),
            counters: LoadCounters::default(),
            rules,
        }
    }

    /// What was counted, with what the shards counted.
    pub(crate) fn stats(&self, counted: Counted) -> LoadStats {
        self.counters.read(counted)
    }

    /// Whether a value of that age is loaded anew ahead of its end.
    fn is_old(&self, age: Duration) -> bool {
        (self.rules.refresh_after).is_some_and(|refresh_after| age >= refresh_after)
    }

    /// Whether a value is loaded anew ahead of its end, in so many nanoseconds or never, by chance.
    fn is_due(&self, age: Duration, left: u64, chance: impl FnOnce() -> u64) -> bool {
        let early = self.early.as_ref().filter(|_| left != NEVER);
        self.is_old(age) || early.is_some_and(|early| early.is_due(left, chance()))
    }

    /// Whether loaders run at once, and for as long as they like.
    fn are_free(&self) -> bool {
        self.permits.is_none() && self.rules.load_timeout.is_none()
    }

    /// A number that no other cache has while this one lives.
    fn number(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// A flight that goes on in the background, if there is one, when its last participant leaves.
    fn flight<V: Send + Sync + 'static>(
        &self,
        load: impl Future<Output = Outcome<V>> + Send + 'static,
    ) -> Flight<Outcome<V>> {
        match &self.rules.spawner {
            Some(spawner) => Flight::with_spawner(load, Arc::clone(spawner)),
            None => Flight::new(load),
        }
    }
}

impl fmt::Debug for Loads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loads")
            .field("rules", &self.rules)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}
