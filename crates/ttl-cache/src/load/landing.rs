//! [`Landing`]: what has to happen when a load ends, however it ends.

use std::hash::{BuildHasher, Hash};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use brolly_sync::{WaitList, saturating_nanos};

use super::NoValue;
use super::begin::{Listed, Wish};
use super::error::LoadError;
use super::handed::contain;
use super::listing::{Ended, Failed};
use super::outcome::{Failure, Outcome, meaning, own};
use super::thread::Running;
use crate::inner::Inner;
use crate::watch::Claim;

/// How many failures a cache keeps.
const KEPT: usize = 2048;

/// A load's way back into its cache.
///
/// Ended by [`land`](Self::land) and its like, or else by being dropped, which means that the
/// loader panicked or that nobody waits for it any more. In every case it takes its load off the
/// list.
pub(crate) struct Landing<'a, K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    cache: Handle<'a, Inner<K, V, S>>,
    /// `None` stores nothing: the cache is switched off, or the load is over.
    load: Option<Load<K>>,
    /// There is an older value, which can be served for a while.
    refresh: bool,
    /// It runs inside of another load, whose permit covers it.
    covered: bool,
    /// Its start and its time are counted where it is listed.
    counted: bool,
    /// When its loader started, while that runs.
    started: Option<u64>,
}

/// Borrowed while the load runs on its caller's stack, else kept.
enum Handle<'a, T> {
    Borrowed(&'a Arc<T>),
    Kept(Arc<T>),
}

/// A listed load.
struct Load<K> {
    /// Until the value is stored.
    key: Option<K>,
    hash: u64,
    number: u64,
    /// There was nothing of the key.
    absent: bool,
}

impl<T> Deref for Handle<'_, T> {
    type Target = Arc<T>;

    fn deref(&self) -> &Arc<T> {
        match self {
            Self::Borrowed(it) => it,
            Self::Kept(it) => it,
        }
    }
}

impl<'a, K, V, S> Landing<'a, K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Of a load that was begun for a wish.
    #[inline]
    pub(crate) fn new(cache: &'a Arc<Inner<K, V, S>>, key: K, wish: Wish, listed: Listed) -> Self {
        let load = Load {
            key: Some(key),
            hash: wish.hash,
            number: listed.number,
            absent: listed.absent,
        };
        Self {
            cache: Handle::Borrowed(cache),
            load: (listed.number != Listed::NOT.number).then_some(load),
            refresh: wish.reason.has_value(),
            covered: is_covered(cache),
            counted: listed.counts,
            started: None,
        }
    }

    /// Of a load that stores nothing.
    pub(crate) fn unlisted(cache: &'a Arc<Inner<K, V, S>>) -> Self {
        Self {
            cache: Handle::Borrowed(cache),
            load: None,
            refresh: false,
            covered: is_covered(cache),
            counted: false,
            started: None,
        }
    }

    /// The same, independent of who began it.
    pub(crate) fn kept(mut self) -> Landing<'static, K, V, S> {
        Landing {
            cache: Handle::Kept(Arc::clone(&self.cache)),
            load: self.load.take(),
            refresh: self.refresh,
            covered: self.covered,
            counted: self.counted,
            started: self.started.take(),
        }
    }

    pub(crate) fn cache(&self) -> &Arc<Inner<K, V, S>> {
        &self.cache
    }

    /// Hash and number of its load, if that is listed.
    pub(crate) fn place(&self) -> Option<(u64, u64)> {
        self.load.as_ref().map(|load| (load.hash, load.number))
    }

    /// Where its loader gets a permit, if it needs one.
    pub(crate) fn permits(&self) -> Option<&Arc<WaitList<()>>> {
        let permits = self.cache.loads.permits.as_ref();
        permits.filter(|_| !self.covered)
    }

    /// The loader starts now.
    #[inline]
    pub(crate) fn start(&mut self) {
        if self.refresh {
            self.cache.loads.counters.refreshed();
        }
        if !self.counted {
            self.cache.loads.counters.started();
        }
        // Who counts where it is listed has no use for the time, if nothing is loaded early.
        let timed = !self.counted || self.cache.loads.early.is_some();
        self.started = Some(if timed { self.cache.clock.coarse() } else { 0 });
    }

    /// The loader has returned, or panicked; what its caller is told. What is done with its value may
    /// panic too, which is told alike.
    #[inline]
    pub(crate) fn land_as<E: Send + Sync + 'static>(
        self,
        loaded: Result<Result<V, E>, Arc<str>>,
    ) -> Result<V, LoadError<E>> {
        match loaded {
            Ok(Ok(value)) => {
                contain(|| self.land(value)).map_err(|message| LoadError::Panicked { message })
            }
            Ok(Err(failure)) => own(meaning(Ok(self.fail(failure)))),
            Err(message) => own(meaning(Ok(self.panic(message)))),
        }
    }

    /// There is a value, which comes back. It is stored, unless the key was written meanwhile, in
    /// one step with the end of the load.
    #[inline]
    pub(crate) fn land(mut self, value: V) -> V {
        if let (Some(early), Some(started)) = (&self.cache.loads.early, self.started) {
            early.took(self.cache.clock.coarse().saturating_sub(started));
        }
        self.stop();
        if let Some(load) = &mut self.load
            && let Some(key) = load.key.take()
        {
            let (hash, number) = (load.hash, load.number);
            let claim = Claim::new(number, load.absent);
            // Should this panic, the load is still taken off the list, when `self` is dropped.
            if !(self.cache).insert_loaded(key, hash, value.clone(), &claim) {
                self.cache.loads.counters.was_superseded();
            }
            self.load = None;
            let ended = claim.into_ended();
            let ended = ended.unwrap_or_else(|| self.end((hash, number)));
            self.tell(hash, ended, || Outcome::Loaded(value.clone()));
        }
        value
    }

    /// The load is over, and there is nothing to store or to keep.
    pub(crate) fn land_with(mut self, outcome: Outcome<V>) -> Outcome<V> {
        self.stop();
        self.leave(None, || outcome.clone());
        outcome
    }

    /// The load ran out of time.
    pub(crate) fn time_out(self, after: Duration) -> Outcome<V> {
        self.cache.loads.counters.timed_out();
        self.land_with(Outcome::TimedOut(after))
    }

    /// The loader panicked.
    pub(crate) fn panic(self, message: Arc<str>) -> Outcome<V> {
        self.cache.loads.counters.panicked();
        self.land_with(Outcome::Panicked(message))
    }

    /// The loader returned an error.
    pub(crate) fn fail<E: Send + Sync + 'static>(mut self, failure: E) -> Outcome<V> {
        self.stop();
        let failure: Failure = Arc::new(failure);
        if !failure.is::<NoValue>() {
            self.cache.loads.counters.failed();
        }
        let outcome = Outcome::Failed(Arc::clone(&failure));
        self.leave(Some(failure), || outcome.clone());
        outcome
    }

    /// The time from the start is over.
    #[inline]
    fn stop(&mut self) {
        if let Some(started) = self.started.take()
            && !self.counted
        {
            // Coarse readings are late by chance, so that over many loads the error cancels out.
            let took = self.cache.clock.coarse().saturating_sub(started);
            self.cache.loads.counters.took(took);
        }
    }

    /// The load leaves the list without a value, and then whoever waits for it is told.
    fn leave(&mut self, failure: Option<Failure>, outcome: impl FnOnce() -> Outcome<V>) {
        let Some(load) = self.load.take() else {
            return;
        };
        let place = (load.hash, load.number);
        let ended = match self.keeps(failure) {
            Some(failed) => self.fail_with(place, failed),
            None => self.end(place),
        };
        self.tell(load.hash, ended, outcome);
    }

    /// Tells those who wait. Without the lock.
    #[inline]
    fn tell(&self, hash: u64, ended: Ended<K, V>, outcome: impl FnOnce() -> Outcome<V>) {
        if ended.last {
            self.cache.shard(hash).loading.store(0, Relaxed);
        }
        ended.tell(outcome);
    }

    /// Takes the load off the list.
    fn end(&self, (hash, number): (u64, u64)) -> Ended<K, V> {
        let now = self.cache.clock.coarse();
        let mut state = self.cache.shard(hash).state.write();
        state.watches.loads.end(hash as u32, number, now)
    }

    /// Takes the load off the list, and keeps its failure there.
    fn fail_with(&self, (hash, number): (u64, u64), failed: Failed) -> Ended<K, V> {
        let now = self.cache.clock.coarse();
        let at_most = (KEPT / self.cache.shards().len()).max(1);
        let mut state = self.cache.shard(hash).state.write();
        let loads = &mut state.watches.loads;
        let (ended, outdated) = loads.fail(hash as u32, number, now, failed, at_most);
        drop(state);
        drop(outdated);
        ended
    }

    /// What is kept of a load that ended without a value.
    fn keeps(&self, failure: Option<Failure>) -> Option<Failed> {
        let rules = &self.cache.loads.rules;
        let (failure, time) = match (failure, rules.cache_errors_for) {
            (Some(failure), Some(time)) => (Some(failure), time),
            _ => (None, rules.retry_after().filter(|_| self.refresh)?),
        };
        let until = self
            .cache
            .clock
            .now()
            .saturating_add(saturating_nanos(time));
        Some(Failed { failure, until })
    }
}

/// Whether this runs inside of a load of the cache, whose permit covers it.
#[inline]
fn is_covered<K, V, S>(cache: &Inner<K, V, S>) -> bool {
    cache.loads.permits.is_some() && Running::is(cache.loads.number())
}

impl<K, V, S> Drop for Landing<'_, K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    fn drop(&mut self) {
        if self.started.is_some() {
            self.stop();
            if std::thread::panicking() {
                self.cache.loads.counters.panicked();
            } else {
                self.cache.loads.counters.was_abandoned();
            }
        }
        // Nobody has waited for it, or who did loads alone.
        self.leave(None, || Outcome::Nothing);
    }
}
