//! [`Router`]: which of several targets gets the next piece of work.

mod choice;
mod config;
mod error;
mod hash;
mod health;
mod heap;
mod index;
mod lease;
mod levels;
mod query;
mod state;
mod tags;
mod target;
#[cfg(all(test, not(brolly_loom)))]
mod tests;

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use brolly_sync::{NEVER, NanoClock};

use crate::panics::discard;
use crate::primitive::{AtomicU64, Mutex, lock};

pub use config::{Ejection, RouterBuilder, Strategy};
pub use error::{AddTargetError, PickError, TargetError};
pub use lease::{Lease, OwnedLease};
pub use query::{Fallback, PickReason, Query};
pub use target::{RouterStats, Target, TargetHealth, TargetStats};

use config::Rules;
use hash::hash_of;
use health::Verdict;
use state::{Known, Picked, State, Ticket};

/// Which of several targets gets the next piece of work: pools, clients, shards, workers.
///
/// A pick is a reservation: it counts as load until its [`Lease`] ends, so those who pick at the same
/// time are spread. Memory is that of the targets, whatever happens to them.
///
/// Everything is one short lock. Cheap to clone; clones are the same router.
///
/// ```
/// use brolly_resource_pool::{Fallback, Query, Router, Target};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let router = Router::builder().build()?;
/// router.add(Target::new("eu", "10.0.0.1").tags(["gpu"]))?;
/// router.add(Target::new("us", "10.0.0.2"))?;
///
/// let first = router.pick()?; // one unit of its load, until it is dropped
/// let second = router.pick()?;
/// assert_ne!(first.id(), second.id());
/// assert_eq!(*first, "10.0.0.1"); // the value
///
/// let gpu = router.pick_for(&Query::new().tags(&["gpu"], Fallback::Nobody))?;
/// assert_eq!(gpu.id(), &"eu");
/// gpu.fail(); // five in a row, and it is left out for half a minute
/// # Ok(())
/// # }
/// ```
#[doc(alias = "balancer")]
#[doc(alias = "load balancing")]
pub struct Router<K, T = ()> {
    shared: Arc<Shared<K, T>>,
}

/// What router and leases share.
pub(crate) struct Shared<K, T> {
    state: Mutex<State<K, T>>,
    /// When somebody has to look at the clock: never while nobody is left out. Relaxed: whoever reads
    /// it late sees under the lock that the time is needed.
    attention: AtomicU64,
    clock: NanoClock,
}

impl<K: Eq + Hash, T> Router<K, T> {
    /// A router is built from its settings.
    pub fn builder() -> RouterBuilder<K, T> {
        RouterBuilder::new()
    }

    fn new(rules: Rules, clock: NanoClock) -> Self {
        let shared = Shared {
            state: Mutex::new(State::new(rules)),
            attention: AtomicU64::new(NEVER),
            clock,
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Picks a target by the strategy. Never waits.
    ///
    /// # Errors
    ///
    /// [`PickError::NoTargets`] when there is none that is neither suspended nor left out.
    #[inline]
    pub fn pick(&self) -> Result<Lease<'_, K, T>, PickError> {
        let picked = self.shared.pick()?;
        Ok(Lease::new(&self.shared, picked))
    }

    /// The same with a lease that borrows nothing.
    ///
    /// # Errors
    ///
    /// As [`pick`](Self::pick).
    pub fn pick_owned(&self) -> Result<OwnedLease<K, T>, PickError> {
        let picked = self.shared.pick()?;
        Ok(OwnedLease::new(Arc::clone(&self.shared), picked))
    }

    /// Picks what a query asks for. O(n) at most, times the ids in lists; with tags, and targets of equal weight, it ends at
    /// the first in the order of their loads that has them.
    ///
    /// # Errors
    ///
    /// [`PickError`] when nobody will do.
    pub fn pick_for(&self, query: &Query<'_, K>) -> Result<Lease<'_, K, T>, PickError> {
        let picked = self.shared.pick_for(query)?;
        Ok(Lease::new(&self.shared, picked))
    }

    /// The same with a lease that borrows nothing.
    ///
    /// # Errors
    ///
    /// As [`pick_for`](Self::pick_for).
    pub fn pick_owned_for(&self, query: &Query<'_, K>) -> Result<OwnedLease<K, T>, PickError> {
        let picked = self.shared.pick_for(query)?;
        Ok(OwnedLease::new(Arc::clone(&self.shared), picked))
    }

    /// Takes in a target, which is picked from now on.
    ///
    /// # Errors
    ///
    /// [`AddTargetError`] with the target and the reason: its id is known already, there are too many
    /// targets or tags, or its weight is out of range.
    pub fn add(&self, target: Target<K, T>) -> Result<(), AddTargetError<K, T>> {
        let hash = hash_of(&target.id);
        let added = lock(&self.shared.state).add(hash, target);
        added.map_err(|(target, reason)| AddTargetError { target, reason })
    }

    /// Forgets a target. Leases that are out go on, and change nothing when they end; the value is
    /// dropped when nobody uses it any more.
    ///
    /// # Errors
    ///
    /// [`TargetError::Unknown`].
    pub fn remove(&self, id: &K) -> Result<(), TargetError> {
        let dropped = self.change(id, State::remove)?;
        dropped.into_iter().flatten().for_each(discard);
        Ok(())
    }

    /// Says how much load a target has that was not picked here, such as the length of its own queue.
    /// The leases that are out count on top of it.
    ///
    /// # Errors
    ///
    /// [`TargetError::Unknown`].
    pub fn set_load(&self, id: &K, load: u64) -> Result<(), TargetError> {
        self.change(id, |state, slot| state.set_load(slot, load))
    }

    /// Leaves a target out until it is resumed: it is unhealthy, or on its way out.
    ///
    /// # Errors
    ///
    /// [`TargetError::Unknown`].
    #[doc(alias = "drain")]
    pub fn suspend(&self, id: &K) -> Result<(), TargetError> {
        self.change(id, |state, slot| state.set_suspended(slot, true))
    }

    /// Ends a suspension. A target that is left out for failing as well stays out.
    ///
    /// # Errors
    ///
    /// [`TargetError::Unknown`].
    pub fn resume(&self, id: &K) -> Result<(), TargetError> {
        self.change(id, |state, slot| state.set_suspended(slot, false))
    }

    /// How many targets there are.
    #[must_use]
    pub fn len(&self) -> usize {
        lock(&self.shared.state).known
    }

    /// Whether there is no target.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The figures of the router.
    #[must_use]
    pub fn stats(&self) -> RouterStats {
        lock(&self.shared.state).stats()
    }

    /// The figures of each target, in the order in which their places were taken. O(n).
    #[must_use]
    pub fn targets(&self) -> Vec<TargetStats<K>>
    where
        K: Clone,
    {
        let now = self.shared.clock.coarse();
        let known = self.shared.snapshot(now);
        let read = known.into_iter().map(|(target, read)| {
            let read = read.with_id(target.id.clone());
            discard(target);
            read
        });
        read.collect()
    }

    fn change<R>(
        &self,
        id: &K,
        change: impl FnOnce(&mut State<K, T>, u32) -> R,
    ) -> Result<R, TargetError> {
        let mut state = lock(&self.shared.state);
        let slot = state.find(id).ok_or(TargetError::Unknown)?;
        let changed = change(&mut state, slot);
        self.shared.note(&state);
        Ok(changed)
    }
}

/// The figures of a target, whose id is cloned outside the lock.
type Reading<K, T> = (Arc<Known<K, T>>, TargetStats<()>);

impl<K: Eq + Hash, T> Shared<K, T> {
    #[inline]
    fn pick(&self) -> Result<Picked<K, T>, PickError> {
        if self.attention.load(Relaxed) == NEVER {
            let mut state = lock(&self.state);
            if !state.needs_the_time()
                && let Some(picked) = state.pick(0)
            {
                return Ok(picked);
            }
        }
        self.pick_by_the_clock()
    }

    #[cold]
    fn pick_by_the_clock(&self) -> Result<Picked<K, T>, PickError> {
        let now = self.clock.coarse();
        let mut state = lock(&self.state);
        state.recall(now);
        let picked = state.pick(now);
        self.note(&state);
        picked.ok_or_else(|| state.refuse(now))
    }

    fn pick_for(&self, query: &Query<'_, K>) -> Result<Picked<K, T>, PickError> {
        if self.attention.load(Relaxed) == NEVER {
            let mut state = lock(&self.state);
            if !state.needs_the_time() {
                return state.pick_for(query, 0);
            }
        }
        let now = self.clock.coarse();
        let mut state = lock(&self.state);
        state.recall(now);
        let picked = state.pick_for(query, now);
        self.note(&state);
        picked
    }

    #[inline]
    fn give_back(&self, target: Arc<Known<K, T>>, ticket: Ticket) {
        if ticket.is_trial {
            return self.give_back_with(target, ticket, (Verdict::Silence, 0));
        }
        let (unneeded, _) = lock(&self.state).give_back(target, ticket);
        if let Some(target) = unneeded {
            discard(target);
        }
    }

    /// When this is said, for a verdict that is to be given.
    fn time_of(&self, verdict: Verdict) -> u64 {
        match verdict {
            Verdict::Failure => self.clock.coarse(),
            Verdict::Silence | Verdict::Success => 0,
        }
    }

    #[inline(never)]
    fn give_back_with(
        &self,
        target: Arc<Known<K, T>>,
        ticket: Ticket,
        (verdict, now): (Verdict, u64),
    ) {
        let unneeded = {
            let mut state = lock(&self.state);
            let (unneeded, is_known) = state.give_back(target, ticket);
            if is_known {
                state.judge(ticket.slot, ticket.is_trial, verdict, now);
                self.note(&state);
            }
            unneeded
        };
        if let Some(target) = unneeded {
            discard(target);
        }
    }

    /// Lets picks know whether they have to look at the clock.
    fn note(&self, state: &State<K, T>) {
        let attention = if state.trials > 0 {
            0
        } else {
            state.next_return
        };
        self.attention.store(attention, Relaxed);
    }

    fn snapshot(&self, now: u64) -> Vec<Reading<K, T>> {
        let state = lock(&self.state);
        let slots = state.slots.iter().zip(&state.records).zip(0..);
        let known = slots.filter_map(|((it, record), slot)| {
            let read = TargetStats {
                id: (),
                weight: it.weight,
                load: it.load(),
                leases: it.leased,
                picks: it.picks(record),
                failures: record.failures,
                ejections: record.ejections,
                health: state.health(slot, now),
            };
            Some((it.target.clone()?, read))
        });
        known.collect()
    }
}

impl<K, T> Clone for Router<K, T> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<K: Eq + Hash, T> fmt::Debug for Router<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
