//! [`Landing`]: what has to happen when a load ends, however it ends.

use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::time::Duration;

use brolly_sync::WaitList;

use super::NoValue;
use super::outcome::{Failure, Outcome};
use super::table::{Kept, Ticket};
use super::thread::Running;
use crate::inner::Inner;
use crate::time::{after, nanos};

/// A load's way back into its cache.
///
/// Ended by [`land`](Self::land) and its like, or else by being dropped, which means that the
/// loader panicked or that nobody waits for it any more. In every case its flight leaves the table.
pub(crate) struct Landing<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    inner: Arc<Inner<K, V, S>>,
    /// `None` stores nothing: the cache is switched off.
    ticket: Option<Arc<Ticket<K, V>>>,
    /// There is an older value, which can be served for a while.
    refresh: bool,
    /// It runs inside of another load, whose permit covers it.
    covered: bool,
    started: Option<u64>,
}

/// How a load ends for the table.
enum End<'a> {
    Stored,
    /// With what its loader returned, if it did.
    Failed(Option<&'a Failure>),
}

impl<K, V, S> Landing<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    pub(crate) fn new(
        inner: &Arc<Inner<K, V, S>>,
        ticket: Option<Arc<Ticket<K, V>>>,
        refresh: bool,
    ) -> Self {
        Self {
            inner: Arc::clone(inner),
            ticket,
            refresh,
            covered: Running::is(inner.loads.number()),
            started: None,
        }
    }

    pub(crate) fn ticket(&self) -> Option<&Arc<Ticket<K, V>>> {
        self.ticket.as_ref()
    }

    pub(crate) fn inner(&self) -> &Arc<Inner<K, V, S>> {
        &self.inner
    }

    /// Where its loader gets a permit, if it needs one.
    pub(crate) fn permits(&self) -> Option<&Arc<WaitList<()>>> {
        let permits = self.inner.loads.permits.as_ref();
        permits.filter(|_| !self.covered)
    }

    /// The loader starts now.
    pub(crate) fn start(&mut self) {
        self.inner.loads.counters.started();
        if self.refresh {
            self.inner.loads.counters.refreshed();
        }
        self.started = Some(self.inner.clock.coarse());
    }

    /// There is a value. It is stored, unless the key was written meanwhile, before the flight
    /// leaves the table.
    pub(crate) fn land(mut self, value: V) -> Outcome<V> {
        self.stop();
        self.store(value.clone());
        let outcome = Outcome::Loaded(value);
        self.leave(End::Stored, Some(&outcome));
        outcome
    }

    /// The load is over, and there is nothing to store or to keep.
    pub(crate) fn land_with(mut self, outcome: Outcome<V>) -> Outcome<V> {
        self.stop();
        self.leave(End::Failed(None), Some(&outcome));
        outcome
    }

    /// The load ran out of time.
    pub(crate) fn time_out(self, after: Duration) -> Outcome<V> {
        self.inner.loads.counters.timed_out();
        self.land_with(Outcome::TimedOut(after))
    }

    /// The loader panicked.
    pub(crate) fn panic(self, message: Arc<str>) -> Outcome<V> {
        self.inner.loads.counters.panicked();
        self.land_with(Outcome::Panicked(message))
    }

    /// The loader returned an error.
    pub(crate) fn fail<E: Send + Sync + 'static>(mut self, failure: E) -> Outcome<V> {
        self.stop();
        let failure: Failure = Arc::new(failure);
        if !failure.is::<NoValue>() {
            self.inner.loads.counters.failed();
        }
        let outcome = Outcome::Failed(Arc::clone(&failure));
        self.leave(End::Failed(Some(&failure)), Some(&outcome));
        outcome
    }

    /// Stores a value, unless the key was written meanwhile.
    fn store(&self, value: V) {
        let Some(ticket) = &self.ticket else {
            return;
        };
        let key = ticket.key.clone();
        let stored = (self.inner).insert_unwritten(key, ticket.hash, value, None, &ticket.watch);
        if !stored && ticket.watch.written() {
            self.inner.loads.counters.was_superseded();
        }
    }

    /// The time from the start is over.
    fn stop(&mut self) {
        if let Some(started) = self.started.take() {
            // Coarse readings are late by chance, so that over many loads the error cancels out.
            let took = self.inner.clock.coarse().saturating_sub(started);
            self.inner.loads.counters.took(took);
        }
    }

    /// The flight leaves the table, and then whoever waits for it is told.
    fn leave(&mut self, end: End<'_>, outcome: Option<&Outcome<V>>) {
        if let Some(ticket) = self.ticket.take() {
            let (stored, kept) = match end {
                End::Stored => (true, None),
                End::Failed(failure) => (false, self.keep(&ticket, failure)),
            };
            let watched = stored || kept.is_some();
            self.inner.loads.table.leave(&ticket, kept);
            if !watched {
                // Storing ends a watch, and what is kept goes on with it.
                self.inner.unwatch(ticket.hash, &ticket.watch);
            }
            ticket.end(outcome);
        }
    }

    /// What is kept of a load that failed.
    fn keep(&self, ticket: &Arc<Ticket<K, V>>, failure: Option<&Failure>) -> Option<Kept<K, V>> {
        let rules = &self.inner.loads.rules;
        let kept = failure.cloned().zip(rules.cache_errors_for);
        let (failure, until) = match kept {
            Some((failure, time)) => (Some(failure), time),
            None => (None, rules.retry_after().filter(|_| self.refresh)?),
        };
        Some(Kept {
            failure,
            until: after(self.inner.clock.now(), nanos(until)),
            ticket: Arc::clone(ticket),
        })
    }
}

impl<K, V, S> Drop for Landing<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    fn drop(&mut self) {
        if self.started.is_some() {
            self.stop();
            if std::thread::panicking() {
                self.inner.loads.counters.panicked();
            } else {
                self.inner.loads.counters.was_abandoned();
            }
        }
        self.leave(End::Failed(None), None);
    }
}
