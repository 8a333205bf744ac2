//! Loading through the cache: one load of a key at a time, shared by everybody who wants its value.
//!
//! A load is a [`Flight`] in a [`Table`](table::Table). The first caller that misses lists it; who
//! comes later takes part. The load belongs to all of them: each may poll it, any may leave. When it
//! ends it stores its value, unless the key was written since it began, leaves the table, and lands.

mod begin;
mod bulk;
mod error;
mod handed;
mod landing;
mod outcome;
mod rules;
mod run;
mod stats;
mod table;
mod thread;

use std::borrow::Borrow;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use brolly_sync::{Flight, FlightError, Join, TimerExt, WaitList};

pub use error::LoadError;
pub(crate) use rules::LoadRules;
pub use stats::LoadStats;

use crate::cache::Cache;
use crate::inner::{Found, Inner, Look};
use begin::{Begun, Named, Reason, Wish, covers};
use handed::contain;
use landing::Landing;
use outcome::{Meaning, Outcome, meaning};
use run::{Called, Permit, run};
use stats::LoadCounters;
use table::{Boxed, Joins, Table, Ticket, start};
use thread::Running;

/// What a cache needs for loading.
pub(crate) struct Loads<K, V> {
    rules: LoadRules,
    table: Table<K, V>,
    permits: Option<Arc<WaitList<()>>>,
    counters: LoadCounters,
}

/// There is no value, and that is no error.
#[derive(Debug)]
struct NoValue;

impl<K, V> Loads<K, V> {
    pub(crate) fn new(rules: LoadRules) -> Self {
        let permits = |count| Arc::new(WaitList::new(vec![(); count]));
        Self {
            permits: rules.max_concurrent_loads.map(permits),
            table: Table::new(rules.spawner.clone()),
            counters: LoadCounters::default(),
            rules,
        }
    }

    pub(crate) fn stats(&self) -> LoadStats {
        self.counters.read()
    }

    /// Whether a value of that age is loaded anew ahead of its end.
    fn is_due(&self, age: Duration) -> bool {
        (self.rules.refresh_after).is_some_and(|refresh_after| age >= refresh_after)
    }

    /// A number that no other cache has while this one lives.
    fn number(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

impl<K, V> fmt::Debug for Loads<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loads")
            .field("rules", &self.rules)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// Loading. Of any number of callers that miss a key at the same time, one loader runs.
///
/// # What all of these promise
///
/// - **One load of a key at a time.** Tasks of any runtime and threads share it. A hit costs what
///   [`get`](Self::get) does: nothing is allocated and no lock of loading is taken.
/// - **Cancel safety.** A load does not belong to the caller that started it. Dropping a caller
///   leaves the load to those who still wait, who go on with it where it stands; a caller that is
///   kept but never polled holds up nobody. When the last one leaves, the load is dropped, or goes
///   on in the background if the cache has a [`spawner`](crate::CacheBuilder::spawner).
/// - **A load never replaces something newer.** When the key is inserted, removed or invalidated
///   while it is loaded, the result goes to those who waited for it already and is not stored. Who
///   asks after that write starts a load of its own.
/// - **Failures are shared, not stored**: an error, a panic or a timeout is told to everybody who
///   waited for that load, and the next caller loads anew. Errors are kept only if the builder was
///   told [`cache_errors_for`](crate::CacheBuilder::cache_errors_for).
/// - **Callers may fail with different types.** They share values, panics and timeouts. A caller
///   that waited for a load which ended with an error of another type runs its own loader.
///
/// The loader's future is polled by whoever waits, so without a spawner it must not depend on the
/// runtime of the caller that made it if callers are spread over several runtimes or plain threads.
///
/// With [`max_concurrent_loads`](crate::CacheBuilder::max_concurrent_loads), a loader that itself
/// loads through the same cache keeps its permit meanwhile; the loads it starts while it is polled
/// need none. One that waits for a load which is still in line for a permit can wait for ever if
/// all permits are held that way: give such a cache a
/// [`load_timeout`](crate::CacheBuilder::load_timeout).
impl<K, V, S> Cache<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// The value of a key, loaded if it is missing.
    ///
    /// `loader` is called on a miss only, and on this task; the future it returns is the load.
    ///
    /// # Errors
    ///
    /// [`LoadError`]: the loader panicked, took too long or asks for this very key.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the load to the others; see [above](#what-all-of-these-promise).
    #[doc(alias = "get_or_insert_with")]
    #[doc(alias = "get_or_load")]
    #[doc(alias = "compute_if_absent")]
    pub async fn get_with<F, Fut>(&self, key: K, loader: F) -> Result<V, LoadError<Infallible>>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = V> + Send + 'static,
    {
        let hash = self.inner.hash(&key);
        match self.inner.find_fresh(hash, &key) {
            Ok(value) => Ok(value),
            Err(found) => {
                let loader = || {
                    let load = loader();
                    async move { Ok(load.await) }
                };
                self.inner.load(hash, key, found, loader).await
            }
        }
    }

    /// The value of a key, loaded if it is missing, by a loader that may fail.
    ///
    /// `loader` is called on a miss only, and on this task; the future it returns is the load.
    ///
    /// # Errors
    ///
    /// [`LoadError`]: the loader failed, panicked, took too long or asks for this very key. Nothing
    /// is stored then.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the load to the others; see [above](#what-all-of-these-promise).
    #[doc(alias = "try_get_or_load")]
    pub async fn try_get_with<E, F, Fut>(&self, key: K, loader: F) -> Result<V, LoadError<E>>
    where
        E: Send + Sync + 'static,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        let hash = self.inner.hash(&key);
        match self.inner.find_fresh(hash, &key) {
            Ok(value) => Ok(value),
            Err(found) => self.inner.load(hash, key, found, loader).await,
        }
    }

    /// The value of a key, loaded if it is missing, by a loader that may find none.
    ///
    /// That there is none is not stored, unless errors are kept; then it is for as long.
    ///
    /// `loader` is called on a miss only, and on this task; the future it returns is the load.
    ///
    /// # Errors
    ///
    /// [`LoadError`]: the loader panicked, took too long or asks for this very key.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the load to the others; see [above](#what-all-of-these-promise).
    pub async fn optionally_get_with<F, Fut>(
        &self,
        key: K,
        loader: F,
    ) -> Result<Option<V>, LoadError<Infallible>>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Option<V>> + Send + 'static,
    {
        let loader = || {
            let load = loader();
            async move { load.await.ok_or(NoValue) }
        };
        optional(self.try_get_with(key, loader).await)
    }

    /// The value of a key, loaded if it is missing, on this thread.
    ///
    /// The loader runs on this thread and may borrow from it. Others wait for it, tasks and threads
    /// alike; they cannot go on with it. If somebody else loads the key already, this thread sleeps
    /// until that is done, or polls the load itself unless the cache has a spawner.
    ///
    /// Must not be called from a task: it would block the executor's thread.
    ///
    /// A [`load_timeout`](crate::CacheBuilder::load_timeout) cannot end a loader that runs on its
    /// caller's stack, which gets its value however late. It ends the waiting of the others.
    ///
    /// # Errors
    ///
    /// [`LoadError`]: the loader panicked, or asks for this very key; or the load this waits for
    /// took too long.
    pub fn get_blocking(
        &self,
        key: K,
        loader: impl FnOnce() -> V,
    ) -> Result<V, LoadError<Infallible>> {
        self.try_get_blocking(key, || Ok(loader()))
    }

    /// The value of a key, loaded if it is missing, on this thread, by a loader that may fail; see
    /// [`get_blocking`](Self::get_blocking).
    ///
    /// # Errors
    ///
    /// [`LoadError`]: the loader failed, panicked, or asks for this very key; or the load this waits
    /// for took too long. Nothing is stored then.
    pub fn try_get_blocking<E: Send + Sync + 'static>(
        &self,
        key: K,
        loader: impl FnOnce() -> Result<V, E>,
    ) -> Result<V, LoadError<E>> {
        let hash = self.inner.hash(&key);
        match self.inner.find_fresh(hash, &key) {
            Ok(value) => Ok(value),
            Err(found) => self.inner.load_here(hash, key, found, loader),
        }
    }

    /// The value of a key, loaded if it is missing, on this thread, by a loader that may find none;
    /// see [`get_blocking`](Self::get_blocking).
    ///
    /// # Errors
    ///
    /// As for [`get_blocking`](Self::get_blocking).
    pub fn optionally_get_blocking(
        &self,
        key: K,
        loader: impl FnOnce() -> Option<V>,
    ) -> Result<Option<V>, LoadError<Infallible>> {
        optional(self.try_get_blocking(key, || loader().ok_or(NoValue)))
    }

    /// Loads a key anew, although it may have a value, which stays readable meanwhile.
    ///
    /// Takes part in a load of the key that is already under way, unless the key was written since
    /// that began.
    ///
    /// # Errors
    ///
    /// [`LoadError`], as for [`try_get_with`](Self::try_get_with). The older value stays.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the load to the others; see [above](#what-all-of-these-promise).
    pub async fn refresh<E, F, Fut>(&self, key: K, loader: F) -> Result<V, LoadError<E>>
    where
        E: Send + Sync + 'static,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        let wish = Wish {
            reason: Reason::Told,
            ..Wish::of::<E>(self.inner.hash(&key))
        };
        let (result, _) = (self.inner).load_as(wish, Named::Own(key), loader).await;
        result
    }
}

fn optional<V>(result: Result<V, LoadError<NoValue>>) -> Result<Option<V>, LoadError<Infallible>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) => match error.without_failure() {
            Ok(error) => Err(error),
            Err(_no_value) => Ok(None),
        },
    }
}

impl<K, V, S> Inner<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// A value that needs no loading; else what was found.
    #[inline]
    pub(crate) fn find_fresh<Q>(&self, hash: u64, key: &Q) -> Result<V, Found<V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        if !self.layout.aged && self.layout.keep == 0 {
            // Neither the age of a value nor what was before matters.
            return self.get(key).ok_or(Found::Missing);
        }
        match self.find(hash, key, Look::Count) {
            Found::Fresh { value, age } if !self.loads.is_due(age) => Ok(value),
            found => Err(found),
        }
    }

    /// A value that is served while it is loaded anew, and why that is.
    fn older(&self, found: Found<V>) -> Option<(V, Reason)> {
        match found {
            Found::Fresh { value, .. } => Some((value, Reason::Due)),
            Found::Stale { value, since }
                if covers(self.loads.rules.stale_while_revalidate, since) =>
            {
                Some((value, Reason::Stale))
            }
            _ => None,
        }
    }

    fn serve(&self, older: V, reason: Reason) -> V {
        if reason == Reason::Stale {
            self.loads.counters.served_stale();
        }
        older
    }

    /// A value for somebody who found no fresh one.
    pub(crate) async fn load<E, F, Fut>(
        self: &Arc<Self>,
        hash: u64,
        key: K,
        found: Found<V>,
        loader: F,
    ) -> Result<V, LoadError<E>>
    where
        E: Send + Sync + 'static,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        let (named, wish) = (Named::Own(key), Wish::of::<E>(hash));
        if let Some((older, reason)) = self.older(found) {
            let wish = wish.behind(reason);
            return self.load_behind(wish, named, older, loader).await;
        }
        let (result, named) = self.load_as(wish, named, loader).await;
        self.or_instead(hash, &named, result)
    }

    /// Serves an older value, and sees to it that somebody loads a new one.
    async fn load_behind<E, F, Fut>(
        self: &Arc<Self>,
        wish: Wish,
        named: Named<K, V>,
        older: V,
        loader: F,
    ) -> Result<V, LoadError<E>>
    where
        E: Send + Sync + 'static,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        let (begun, named) = self.begin(named, wish, |_| {});
        match begun {
            Begun::Found(value) => Ok(value),
            Begun::Lead(landing) if self.loads.rules.spawner.is_some() => {
                // Nobody is held up by the loader, not even for as long as it takes to wait for
                // something. The last one to leave hands the load to the spawner.
                let ticket = landing.ticket().map(Arc::clone);
                let load = called_here(ticket.as_deref(), loader);
                let load = Box::pin(run(landing, load));
                drop(self.go_on(ticket.as_deref(), load));
                Ok(self.serve(older, wish.reason))
            }
            Begun::Lead(landing) => {
                let result = own(meaning(self.lead(landing, loader).await));
                self.or_instead(wish.hash, &named, result)
            }
            _ => Ok(self.serve(older, wish.reason)),
        }
    }

    /// Takes part in a load until there is a result this caller can be told.
    async fn load_as<E, F, Fut>(
        self: &Arc<Self>,
        mut wish: Wish,
        mut named: Named<K, V>,
        loader: F,
    ) -> (Result<V, LoadError<E>>, Named<K, V>)
    where
        E: Send + Sync + 'static,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        let result = loop {
            let begun;
            (begun, named) = self.begin(named, wish, |_| {});
            let join = match begun {
                Begun::Aboard(join) => join,
                Begun::Lead(landing) => break own(meaning(self.lead(landing, loader).await)),
                begun => break self.without_waiting(begun),
            };
            self.loads.counters.joined();
            match meaning(join.await) {
                Meaning::Over(result) => break result,
                Meaning::Foreign => wish.joins = Joins::Alike,
            }
        };
        (result, named)
    }

    /// Runs a loader whose load is listed. It is polled once on behalf of this caller alone; if it
    /// has to wait, it goes on in a flight.
    async fn lead<E, F, Fut>(
        &self,
        landing: Landing<K, V, S>,
        loader: F,
    ) -> Result<Outcome<V>, FlightError>
    where
        E: Send + Sync + 'static,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        let join = {
            let ticket = landing.ticket().map(Arc::clone);
            let called = called_here(ticket.as_deref(), loader);
            let mut load: Boxed<V> = Box::pin(run(landing, called));
            if let Some(ticket) = &ticket {
                let waker = Waker::from(Arc::clone(ticket));
                let _here = Here::on(Some(ticket));
                match contain(|| load.as_mut().poll(&mut Context::from_waker(&waker))) {
                    Ok(Poll::Ready(outcome)) => return Ok(outcome),
                    Ok(Poll::Pending) => load = Arc::clone(ticket).rest(load),
                    Err(message) => return Err(FlightError::Panicked { message }),
                }
            }
            self.go_on(ticket.as_deref(), load)
        };
        join.await
    }

    fn go_on(&self, ticket: Option<&Ticket<K, V>>, load: Boxed<V>) -> Join<Outcome<V>> {
        match ticket {
            Some(ticket) => self.loads.table.go_on(ticket, load),
            None => {
                let flight = Flight::new(load);
                flight
                    .join()
                    .expect("nobody took part in it who could have left")
            }
        }
    }

    /// A value for a thread that found no fresh one.
    pub(crate) fn load_here<E: Send + Sync + 'static>(
        self: &Arc<Self>,
        hash: u64,
        key: K,
        found: Found<V>,
        loader: impl FnOnce() -> Result<V, E>,
    ) -> Result<V, LoadError<E>> {
        let (named, wish) = (Named::Own(key), Wish::of::<E>(hash));
        let Some((older, reason)) = self.older(found) else {
            let (result, named) = self.load_here_as(wish, named, loader);
            return self.or_instead(hash, &named, result);
        };
        let wish = wish.behind(reason);
        let (begun, named) = self.begin(named, wish, |ticket| self.limit_waiting(ticket));
        match begun {
            Begun::Found(value) => Ok(value),
            Begun::Lead(landing) => {
                let result = lead_here(landing, loader);
                self.or_instead(hash, &named, result)
            }
            _ => Ok(self.serve(older, reason)),
        }
    }

    /// Waits for somebody else's load, or runs its own on this thread.
    fn load_here_as<E: Send + Sync + 'static>(
        self: &Arc<Self>,
        mut wish: Wish,
        mut named: Named<K, V>,
        loader: impl FnOnce() -> Result<V, E>,
    ) -> (Result<V, LoadError<E>>, Named<K, V>) {
        let result = loop {
            let begun;
            (begun, named) = self.begin(named, wish, |ticket| self.limit_waiting(ticket));
            let mut join = match begun {
                Begun::Aboard(join) => join,
                Begun::Lead(landing) => break lead_here(landing, loader),
                begun => break self.without_waiting(begun),
            };
            self.loads.counters.joined();
            match meaning(join.wait()) {
                Meaning::Over(result) => break result,
                Meaning::Foreign => wish.joins = Joins::Alike,
            }
        };
        (result, named)
    }

    /// Makes those who wait for a thread do so only for as long as a load may take: its loader
    /// cannot be ended.
    fn limit_waiting(self: &Arc<Self>, ticket: &Arc<Ticket<K, V>>) {
        let rules = &self.loads.rules;
        let (Some(after), Some(timer)) = (rules.load_timeout, rules.timer.clone()) else {
            return;
        };
        let (inner, listed) = (Arc::clone(self), Arc::clone(ticket));
        ticket.prepare(|arrival| {
            Flight::new(async move {
                match timer.timeout(after, start(arrival)).await {
                    Ok(outcome) => outcome,
                    Err(_) => {
                        // Who comes from now on does not find a load that is given up.
                        inner.loads.table.leave(&listed, None);
                        inner.loads.counters.timed_out();
                        Outcome::TimedOut(after)
                    }
                }
            })
        });
    }

    /// What a caller that waits for nothing is told.
    fn without_waiting<E: Send + Sync + 'static>(
        &self,
        begun: Begun<K, V, S>,
    ) -> Result<V, LoadError<E>> {
        match begun {
            Begun::Found(value) => Ok(value),
            Begun::Kept(failure) => {
                self.loads.counters.served_failure();
                own(meaning(Ok(Outcome::Failed(failure))))
            }
            _ => Err(LoadError::Reentrant),
        }
    }

    /// The result, or a value that is served in the place of a failure.
    fn or_instead<E>(
        &self,
        hash: u64,
        named: &Named<K, V>,
        result: Result<V, LoadError<E>>,
    ) -> Result<V, LoadError<E>> {
        match result {
            Ok(_) | Err(LoadError::Reentrant) => result,
            Err(_) => self.instead(hash, named.key()).map_or(result, Ok),
        }
    }
}

/// What a caller is told of a load with its own loader, or one that fails alike.
fn own<V, E>(meaning: Meaning<V, E>) -> Result<V, LoadError<E>> {
    match meaning {
        Meaning::Over(result) => result,
        // Its errors are of the caller's own type, so this does not happen.
        Meaning::Foreign => Err(LoadError::Panicked {
            message: Arc::from("its result was lost"),
        }),
    }
}

/// Calls a loader for its future. Who asks for its key on this thread meanwhile is inside of it.
fn called_here<K, V, F, Fut>(ticket: Option<&Ticket<K, V>>, loader: F) -> Called<Fut>
where
    V: Send + Sync + 'static,
    F: FnOnce() -> Fut,
{
    let _here = Here::on(ticket);
    contain(loader)
}

/// Runs a loader on this thread.
fn lead_here<K, V, S, E>(
    mut landing: Landing<K, V, S>,
    loader: impl FnOnce() -> Result<V, E>,
) -> Result<V, LoadError<E>>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    let permit = landing.permits().map(Permit::wait_blocking);
    landing.start();
    let loaded = {
        let loads = &landing.inner().loads;
        let _running = (loads.permits.as_ref()).map(|_| Running::of(loads.number()));
        called_here(landing.ticket().map(|ticket| &**ticket), loader)
    };
    drop(permit);
    let landed = contain(|| match loaded {
        Ok(Ok(value)) => landing.land(value),
        Ok(Err(failure)) => landing.fail(failure),
        Err(message) => landing.panic(message),
    });
    own(meaning(
        landed.map_err(|message| FlightError::Panicked { message }),
    ))
}

/// While it lives, a loader runs on this thread's stack.
struct Here<'a, K, V: Send + Sync + 'static>(Option<&'a Ticket<K, V>>);

impl<'a, K, V: Send + Sync + 'static> Here<'a, K, V> {
    fn on(ticket: Option<&'a Ticket<K, V>>) -> Self {
        if let Some(ticket) = ticket {
            ticket.runs_here(true);
        }
        Self(ticket)
    }
}

impl<K, V: Send + Sync + 'static> Drop for Here<'_, K, V> {
    fn drop(&mut self) {
        if let Some(ticket) = self.0 {
            ticket.runs_here(false);
        }
    }
}
