//! [`Pool`]: the handle that callers acquire from.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use brolly_sync::{TimerExt, block_on};

use crate::builder::PoolBuilder;
use crate::error::{
    AcquireError, AddError, AddRefused, ConfigError, RunError, TryAcquireError, WarmUpError,
};
use crate::guard::{Guard, OwnedGuard};
use crate::line::acquire::{Acquire, AcquireOwned};
use crate::line::queue::Answer;
use crate::line::wait::Wait;
use crate::manager::Manager;
use crate::panics::contain;
use crate::places::loan::Loan;
use crate::primitive::lock;
use crate::reports::demand::Demand;
use crate::reports::holders::{DrainReport, Holder, SiteHolders};
use crate::reports::stats::Stats;
use crate::shared::Shared;
use crate::upkeep::janitor;

/// A pool of resources. Clones are handles to the same one; it closes when the last is dropped.
pub struct Pool<M: Manager> {
    shared: Arc<Shared<M>>,
    handles: Arc<Handles<M>>,
}

/// Closes the pool when the last handle goes.
struct Handles<M: Manager>(Arc<Shared<M>>);

impl<M: Manager> Drop for Handles<M> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl<M: Manager> Pool<M> {
    /// Settings to begin with.
    pub fn builder(manager: M) -> PoolBuilder<M> {
        PoolBuilder::new(manager)
    }

    pub(crate) fn shared(&self) -> &Arc<Shared<M>> {
        &self.shared
    }

    pub(crate) fn of(shared: Arc<Shared<M>>) -> Self {
        let handles = Arc::new(Handles(Arc::clone(&shared)));
        Self { shared, handles }
    }
}

type Site = &'static Location<'static>;

/// Acquiring. The place in the source that is shown as the holder is the caller's of these.
impl<M: Manager> Pool<M> {
    /// Takes a resource: an idle one, or the first that comes back or is created. Those who wait are
    /// served in the order of their arrival, and the acquire timeout of the pool applies.
    ///
    /// # Errors
    ///
    /// [`AcquireError`]: out of time, closed, or none can be created.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the line; what it was granted goes to the next. With a spawner, a
    /// creation or a check that it has caused goes on. Without one it goes on as long as anybody
    /// waits.
    #[doc(alias = "get")]
    #[doc(alias = "checkout")]
    #[track_caller]
    #[inline]
    pub fn acquire(
        &self,
    ) -> impl Future<Output = Result<Guard<'_, M>, AcquireError<M::Error>>> + Send {
        let limit = self.shared.rules.acquire_timeout;
        self.acquire_at(Location::caller(), limit)
    }

    /// The same with a time limit of its own.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    ///
    /// As [`acquire`](Self::acquire).
    #[track_caller]
    pub fn acquire_timeout(
        &self,
        limit: Duration,
    ) -> impl Future<Output = Result<Guard<'_, M>, AcquireError<M::Error>>> + Send {
        self.acquire_at(Location::caller(), Some(limit))
    }

    /// The same with a guard that borrows nothing.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    ///
    /// As [`acquire`](Self::acquire).
    #[track_caller]
    #[inline]
    pub fn acquire_owned(
        &self,
    ) -> impl Future<Output = Result<OwnedGuard<M>, AcquireError<M::Error>>> + Send {
        let limit = self.shared.rules.acquire_timeout;
        AcquireOwned::new(&self.shared, Location::caller(), limit)
    }

    /// The same with a time limit of its own.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    ///
    /// As [`acquire`](Self::acquire).
    #[track_caller]
    pub fn acquire_owned_timeout(
        &self,
        limit: Duration,
    ) -> impl Future<Output = Result<OwnedGuard<M>, AcquireError<M::Error>>> + Send {
        AcquireOwned::new(&self.shared, Location::caller(), Some(limit))
    }

    /// Takes `count` resources at once, or none. It stands in line like everybody else, and once it
    /// is first, what comes is set aside for it until it has all. So two of these cannot wait for
    /// each other. If a hook refuses one of them, the others go back as well, and it stands in line
    /// again with the time that it has left.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire), and [`AcquireError::TooMany`] for more than the maximum.
    ///
    /// # Cancel safety
    ///
    /// As [`acquire`](Self::acquire); what was set aside goes to the next.
    #[track_caller]
    pub fn acquire_many(
        &self,
        count: usize,
    ) -> impl Future<Output = Result<Vec<Guard<'_, M>>, AcquireError<M::Error>>> + Send {
        let site = Location::caller();
        async move {
            let shared = &*self.shared;
            let limit = shared.rules.acquire_timeout;
            if count == 0 {
                return Ok(Vec::new());
            }
            let mut wait = Wait::new(shared, site, count, limit);
            loop {
                let loans = match (&mut wait).await? {
                    Answer::One(loan) => vec![loan],
                    Answer::Many(loans) => loans,
                    Answer::Failed(error) => return Err(error),
                };
                let guards = loans.into_iter().map(|it| Guard::new(shared, it));
                if let Some(guards) = shared.admit_all(guards.collect()) {
                    return Ok(guards);
                }
                // The others have gone back: who held them and waited could wait for one who does
                // the same.
            }
        }
    }

    /// Takes a resource, putting the thread to sleep while there is none; the acquire timeout of the
    /// pool applies. Threads and tasks stand in one line.
    ///
    /// Must not be called from a task: it would block the executor's thread.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    #[track_caller]
    #[inline]
    pub fn acquire_blocking(&self) -> Result<Guard<'_, M>, AcquireError<M::Error>> {
        let site = Location::caller();
        let loan = self.acquire_loan_blocking(site, self.shared.rules.acquire_timeout)?;
        Ok(Guard::new(&self.shared, loan))
    }

    /// The same with a time limit of its own.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    #[track_caller]
    pub fn acquire_blocking_timeout(
        &self,
        limit: Duration,
    ) -> Result<Guard<'_, M>, AcquireError<M::Error>> {
        let loan = self.acquire_loan_blocking(Location::caller(), Some(limit))?;
        Ok(Guard::new(&self.shared, loan))
    }

    /// The same with a guard that borrows nothing.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    #[track_caller]
    pub fn acquire_owned_blocking(&self) -> Result<OwnedGuard<M>, AcquireError<M::Error>> {
        let site = Location::caller();
        let loan = self.acquire_loan_blocking(site, self.shared.rules.acquire_timeout)?;
        Ok(OwnedGuard::new(Arc::clone(&self.shared), loan))
    }

    /// Takes what can be had without waiting: an idle resource that needs no check. It overtakes
    /// nobody who waits.
    ///
    /// Where there is room, it causes a creation: with a spawner somebody who comes later profits
    /// from it; without one it counts if it is ready at once, and is dropped otherwise.
    ///
    /// # Errors
    ///
    /// [`TryAcquireError::Exhausted`] or [`TryAcquireError::Closed`].
    #[track_caller]
    #[inline]
    pub fn try_acquire(&self) -> Result<Guard<'_, M>, TryAcquireError> {
        let loan = self.try_acquire_loan(Location::caller())?;
        Ok(Guard::new(&self.shared, loan))
    }

    /// The same with a guard that borrows nothing.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    #[track_caller]
    pub fn try_acquire_owned(&self) -> Result<OwnedGuard<M>, TryAcquireError> {
        let loan = self.try_acquire_loan(Location::caller())?;
        Ok(OwnedGuard::new(Arc::clone(&self.shared), loan))
    }

    /// Acquires, runs a function with the resource, and gives it back, on every path. An error that
    /// the manager calls fatal closes the resource.
    ///
    /// # Errors
    ///
    /// [`RunError`]: no resource, or what the function returned.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the function's future and gives the resource back.
    #[track_caller]
    pub fn run<T>(
        &self,
        work: impl AsyncFnOnce(&mut M::Resource) -> Result<T, M::Error>,
    ) -> impl Future<Output = Result<T, RunError<M::Error>>> {
        let acquired = self.acquire();
        async move {
            let mut guard = acquired.await.map_err(RunError::Acquire)?;
            match work(&mut guard).await {
                Ok(output) => Ok(output),
                Err(error) => {
                    let manager = &self.shared.manager;
                    if contain(|| manager.is_fatal(&error)).unwrap_or(true) {
                        Guard::discard(guard);
                    }
                    Err(RunError::Failed(error))
                }
            }
        }
    }

    /// Acquires, runs a function with the resource, and gives it back, on every path. What the
    /// function returns says nothing about the resource.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the function's future and gives the resource back.
    #[doc(alias = "scope")]
    #[track_caller]
    pub fn with<T>(
        &self,
        work: impl AsyncFnOnce(&mut M::Resource) -> T,
    ) -> impl Future<Output = Result<T, AcquireError<M::Error>>> {
        let acquired = self.acquire();
        async move {
            let mut guard = acquired.await?;
            Ok(work(&mut guard).await)
        }
    }

    #[inline]
    pub(crate) fn acquire_at(&self, site: Site, limit: Option<Duration>) -> Acquire<'_, M> {
        Acquire::new(&self.shared, site, limit)
    }

    #[inline]
    fn acquire_loan_blocking(
        &self,
        site: Site,
        limit: Option<Duration>,
    ) -> Result<Loan<M::Resource>, AcquireError<M::Error>> {
        let shared = &*self.shared;
        if let Some(loan) = shared.try_fast(site)
            && let Some(loan) = shared.admit(loan)
        {
            return Ok(loan);
        }
        let acquired = block_on(Acquire::new(shared, site, limit))?;
        Ok(Guard::into_loan(acquired))
    }

    #[inline]
    fn try_acquire_loan(&self, site: Site) -> Result<Loan<M::Resource>, TryAcquireError> {
        let loan = self.shared.try_fast(site);
        match loan.and_then(|loan| self.shared.admit(loan)) {
            Some(loan) => Ok(loan),
            None => self.shared.try_slow(site),
        }
    }
}

/// Sizes, ends, and what else can be done to a pool.
impl<M: Manager> Pool<M> {
    /// Creates resources up to the minimum, several at once, and keeps the minima from then on if
    /// there is a spawner. Returns how many there are. Does nothing where there are enough.
    ///
    /// # Errors
    ///
    /// [`WarmUpError`]: an attempt failed. What was created is kept.
    ///
    /// # Cancel safety
    ///
    /// With a spawner the creations under way go on. Without one they go on as long as anybody waits.
    #[doc(alias = "initialize")]
    pub async fn warm_up(&self) -> Result<usize, WarmUpError<M::Error>> {
        let shared = &self.shared;
        let failures = lock(&shared.core).failures();
        loop {
            let changed = shared.changed();
            let (ready, wanted, error) = shared.change(|core, _, _| {
                core.is_warm = true;
                let existing = core.size - core.closing;
                let missing = core.missing(&shared.idle);
                let error = match core.failures() > failures {
                    true => core.last_error.clone(),
                    false => None,
                };
                if error.is_none() && !core.is_closed {
                    core.extra = core.extra.max(missing);
                }
                let is_over = missing == 0 || core.is_closed;
                (
                    existing,
                    if is_over {
                        existing
                    } else {
                        existing + missing
                    },
                    error,
                )
            });
            if ready >= wanted {
                return Ok(ready);
            }
            if let Some(error) = error
                && lock(&shared.core).creating == 0
            {
                return Err(WarmUpError {
                    ready,
                    wanted,
                    error,
                });
            }
            changed.await;
        }
    }

    /// Adds a resource that was made elsewhere.
    ///
    /// # Errors
    ///
    /// [`AddError`] with the resource: the pool is full or closed.
    #[doc(alias = "try_put")]
    pub fn add(&self, resource: M::Resource) -> Result<(), AddError<M::Resource>> {
        let shared = &self.shared;
        let item = shared.item(resource, shared.generation());
        let settled = shared.change(|core, now, effects| {
            let is_full = core.size + core.creating >= core.max;
            let reason = match core.is_closed {
                true => Some(AddRefused::Closed),
                false => is_full.then_some(AddRefused::Full),
            };
            match reason {
                Some(reason) => Err((item, reason)),
                None => shared
                    .settle_in(core, item, now, effects)
                    .map_err(|item| (item, AddRefused::Full)),
            }
        });
        settled.map_err(|(item, reason)| AddError {
            resource: item.resource,
            reason,
        })
    }

    /// Changes the sizes. What is idle beyond a smaller maximum is closed at once, what is handed
    /// out when it comes back; nothing is taken from its holder.
    ///
    /// Whoever waits for more at once than a smaller maximum is told so, as if it had come later.
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: the maximum is not within 1 and 65536, or less than the minimum.
    pub fn resize(&self, min: usize, max: usize) -> Result<(), ConfigError> {
        self.shared.resize(min, max)
    }

    /// Closes everything that exists now and is idle, and everything else when it comes back. What
    /// is handed out after this was made after this.
    #[doc(alias = "soft_evict")]
    #[doc(alias = "clear")]
    pub fn reset(&self) {
        self.shared.reset();
    }

    /// Ends the pool: whoever waits or comes later is told so, what is idle is closed, and what is
    /// handed out is closed when it comes back. A second time does nothing.
    pub fn close(&self) {
        self.shared.close();
    }

    /// Closes, and waits until everything has come back and is closed, for so long at most.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops waiting; the pool is closed all the same.
    #[doc(alias = "close_and_drain")]
    #[doc(alias = "shutdown")]
    pub async fn drain(&self, limit: Duration) -> DrainReport {
        let shared = &self.shared;
        let timer = &shared.timer;
        let began = timer.now();
        let held_before = shared.holders().len();
        self.close();
        let emptied = async {
            loop {
                let changed = shared.changed();
                {
                    let core = lock(&shared.core);
                    if core.size == 0 && core.creating == 0 {
                        return;
                    }
                }
                changed.await;
            }
        };
        let _ = timer.timeout(limit, emptied).await;
        let left = shared.holders();
        let took = timer.now().saturating_sub(began);
        let core = lock(&shared.core);
        DrainReport {
            returned: held_before.saturating_sub(left.len()),
            unfinished: core.creating + core.checking + core.closing,
            left,
            took,
        }
    }

    /// Does what is due: closes what was idle or lived for too long, checks idle resources, reports
    /// leaks, ends leases. Returns how long nothing can be due; `None` while the pool is empty.
    ///
    /// With a spawner a task of the pool does this. Without one, call it now and then.
    ///
    /// # Cancel safety
    ///
    /// A resource that is being checked when the future is dropped is closed.
    #[doc(alias = "retain")]
    pub async fn maintain(&self) -> Option<Duration> {
        janitor::maintain(&self.shared).await
    }
}

/// Looking.
impl<M: Manager> Pool<M> {
    /// The pool's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.rules.name
    }

    /// The manager.
    #[must_use]
    pub fn manager(&self) -> &M {
        &self.shared.manager
    }

    /// The figures of this moment. Reads what is known of every place that was ever used, under one
    /// short lock.
    #[doc(alias = "status")]
    #[doc(alias = "state")]
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// What the pool was asked for since this was asked last, or since it was built.
    #[must_use]
    pub fn demand(&self) -> Demand {
        let after = self.stats();
        let before = lock(&self.shared.demand_since).replace(after.clone());
        Demand::between(before.as_ref(), &after)
    }

    /// What the pool was asked for since these figures were read.
    #[must_use]
    pub fn demand_since(&self, before: &Stats) -> Demand {
        Demand::between(Some(before), &self.stats())
    }

    /// Who holds what, those who have held longest first.
    #[must_use]
    pub fn holders(&self) -> Vec<Holder> {
        self.shared.holders()
    }

    /// The same by the place in the source where they acquired.
    #[must_use]
    pub fn holders_by_site(&self) -> Vec<SiteHolders> {
        SiteHolders::group(self.shared.holders())
    }

    /// Who has held for more than so long. Zero names everybody who holds anything.
    #[must_use]
    pub fn leaks(&self, older_than: Duration) -> Vec<Holder> {
        let mut holders = self.shared.holders();
        holders.retain(|it| older_than.is_zero() || it.held_for > older_than);
        holders
    }

    /// Whether the pool is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        lock(&self.shared.core).is_closed
    }
}

impl<M: Manager> Clone for Pool<M> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            handles: Arc::clone(&self.handles),
        }
    }
}

impl<M: Manager> fmt::Debug for Pool<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stats = self.stats();
        f.debug_struct("Pool")
            .field("name", &stats.name)
            .field("size", &stats.size)
            .field("max", &stats.max)
            .field("idle", &stats.idle)
            .field("in_use", &stats.in_use)
            .field("waiting", &stats.waiting)
            .field("is_closed", &stats.is_closed)
            .finish_non_exhaustive()
    }
}
