//! [`Listing`]: which keys of a shard are being loaded, by whom, and which loads failed not long ago.
//!
//! It is a part of what a shard's lock guards, so that one look under that lock tells whether a key
//! has a value, is being loaded, or neither; and so that storing a value and taking its load off the
//! list is one step. Nobody ever sees a load that is over or misses a value that it has stored.
//!
//! A load that nobody else asks for is a line in this list and nothing more. Who comes second makes
//! the [`Flight`] that all but the first share; it waits for the load to [`Start`].
//!
//! # Invariants
//!
//! 1. A load is listed from its beginning until it takes itself off, by its number. Nobody else takes
//!    it off, so the key and the crew that the list has of it are dropped by it, without the lock.
//! 2. A write of the key marks all its loads and failures under the same lock. Nobody joins or is
//!    told of what is marked, and a marked load does not store.
//! 3. Of one key, one load at most is open and unmarked.
//! 4. While a load runs on its caller's stack, its crew has a giver, who owes the crew's flight
//!    the load or its outcome. Afterwards the load is in the flight.

use std::any::TypeId;
use std::collections::VecDeque;
use std::future::Future;
use std::mem::needs_drop;
use std::pin::Pin;

use brolly_sync::{Flight, Join};

use super::by_hash::ByHash;
use super::handed::{Arrival, Giver, handed};
use super::outcome::{Failure, Outcome};

/// The loads and failures of a shard, by key.
pub(crate) struct Listing<K, V> {
    entries: ByHash<Entry<K, V>>,
    /// The number of the load that was listed last.
    last: u64,
    /// Failures in the order in which they were kept; some may be gone.
    kept: VecDeque<(u32, u64)>,
    pub(crate) counted: Counted,
}

/// What is counted under the lock, of loads that begin as they are listed.
#[derive(Clone, Copy, Default)]
pub(crate) struct Counted {
    pub(crate) started: u64,
    /// The time that they took together.
    pub(crate) nanos: u64,
}

impl Counted {
    /// Both together.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            started: self.started.saturating_add(other.started),
            nanos: self.nanos.saturating_add(other.nanos),
        }
    }
}

/// A load or a failure.
struct Entry<K, V> {
    key: K,
    number: u64,
    /// The type of error its loader fails with.
    errors: fn() -> TypeId,
    /// The key was written since.
    written: bool,
    stage: Stage<V>,
}

enum Stage<V> {
    Loads(Loading<V>),
    Failed(Failed),
}

/// A failure that is remembered for a while.
#[derive(Clone)]
pub(crate) struct Failed {
    /// `None` only keeps refreshes from asking again at once.
    pub(crate) failure: Option<Failure>,
    /// When it is forgotten, by the cache's clock.
    pub(crate) until: u64,
}

/// A load under way.
struct Loading<V> {
    /// The thread on whose stack the loader runs; zero once it goes on in a flight.
    thread: usize,
    /// Whether others may join.
    open: bool,
    /// It stays on its caller's stack until it is over.
    stays: bool,
    /// When it was listed.
    since: u64,
    /// It began then, and is counted here.
    counts: bool,
    /// Those who wait for it.
    crew: Option<Crew<V>>,
}

/// Those who wait for a load.
pub(crate) struct Crew<V> {
    flight: Flight<Outcome<V>>,
    /// Who has this owes the flight its load.
    giver: Option<Giver<Start<V>>>,
}

/// A load that may be polled by anybody.
pub(crate) type Boxed<V> = Pin<Box<dyn Future<Output = Outcome<V>> + Send>>;

/// How a load comes to a flight that was made before it.
pub(crate) enum Start<V> {
    /// It is over.
    Over(Outcome<V>),
    /// It goes on in the flight.
    Goes(Boxed<V>),
}

/// What brings a load to the flight of its crew.
pub(crate) type Arrived<V> = Arrival<Start<V>>;

/// Who asks for a key.
#[derive(Clone, Copy)]
pub(crate) struct Asker {
    /// The type of error it can be told of, and its own loader fails with.
    pub(crate) errors: fn() -> TypeId,
    pub(crate) joins: Joins,
    /// The thread it runs on; not zero.
    pub(crate) thread: usize,
}

/// What loads a caller takes part in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Joins {
    Any,
    /// Those that fail with its type of error.
    Alike,
    /// None: it wants to know if there is one.
    None,
}

/// What is known of a key.
pub(crate) enum Sought<V: Send + Sync + 'static> {
    /// The caller takes part in a load.
    Aboard(Join<Outcome<V>>),
    /// The caller is inside of the loader.
    Inside,
    /// There is a load, which the caller does not want.
    Unwanted,
    /// There is a load, and nobody else waits for it yet.
    Unmanned,
    /// The last load failed.
    Failed(Failed),
    Nothing,
}

/// How a load is listed.
#[derive(Clone, Copy)]
pub(crate) struct Manner {
    /// Whether others may join.
    pub(crate) open: bool,
    /// Whether it stays on its caller's stack until it is over.
    pub(crate) stays: bool,
    /// Whether it begins now, and is counted here.
    pub(crate) counts: bool,
    pub(crate) now: u64,
}

/// What is left of a load that took itself off the list. To be dropped without the lock.
#[must_use = "whoever waits for the load is to be told"]
pub(crate) struct Ended<K, V> {
    /// Whether nothing else is listed.
    pub(crate) last: bool,
    pub(crate) left: Option<Left<K, V>>,
}

/// What the list had of a load: its key, if that has a destructor, and who waits for it.
pub(crate) struct Left<K, V> {
    _key: Option<K>,
    crew: Option<Crew<V>>,
}

/// How a load goes on in a flight.
pub(crate) struct Transfer<K, V: Send + Sync + 'static> {
    /// The part of its caller.
    pub(crate) join: Join<Outcome<V>>,
    /// Who is to be given the load, if the flight was there before.
    pub(crate) giver: Option<Giver<Start<V>>>,
    pub(crate) outdated: Outdated<K, V>,
}

/// What is of no use any more. To be dropped without the lock.
#[must_use = "it is dropped after the lock is released"]
pub(crate) struct Outdated<K, V> {
    _failure: Option<Entry<K, V>>,
    _crew: Option<Crew<V>>,
}

impl<K, V> Default for Listing<K, V> {
    fn default() -> Self {
        Self {
            entries: ByHash::default(),
            last: 0,
            kept: VecDeque::new(),
            counted: Counted::default(),
        }
    }
}

impl<K, V> Listing<K, V> {
    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether a load is listed and its key was not written since.
    #[inline]
    pub(crate) fn is_unwritten(&self, hash: u32, number: u64) -> bool {
        let entry = self.entries.find(hash, |entry| entry.number == number);
        entry.is_some_and(|entry| !entry.written)
    }

    /// A key with this hash is written or removed.
    pub(crate) fn wrote(&mut self, hash: u32) {
        self.entries.change(hash, |entry| entry.written = true);
    }

    /// All keys are removed.
    pub(crate) fn wrote_all(&mut self) {
        self.entries.change_all(|entry| entry.written = true);
    }

    /// Nobody joins a load any more.
    pub(crate) fn close(&mut self, hash: u32, number: u64) {
        if let Some(loading) = self.loading(hash, number) {
            loading.open = false;
        }
    }

    /// Takes a load off the list. `now` counts only for loads that are counted here.
    #[inline(always)]
    pub(crate) fn end(&mut self, hash: u32, number: u64, now: u64) -> Ended<K, V> {
        let mut left = None;
        if let Some(entry) = self.entries.take(hash, |entry| entry.number == number)
            && let Stage::Loads(loading) = entry.stage
        {
            let crew = self.count(loading, now);
            if needs_drop::<K>() || crew.is_some() {
                let _key = Some(entry.key);
                left = Some(Left { _key, crew });
            }
        }
        let last = self.entries.is_empty();
        Ended { last, left }
    }

    /// Takes a load off the list and keeps its failure in its place, unless the key was written
    /// since it began or nobody may join it; at most so many in all.
    pub(crate) fn fail(
        &mut self,
        hash: u32,
        number: u64,
        now: u64,
        failed: Failed,
        at_most: usize,
    ) -> (Ended<K, V>, Outdated<K, V>) {
        let known = |entry: &Entry<K, V>| {
            let open = matches!(&entry.stage, Stage::Loads(loading) if loading.open);
            entry.number == number && open && !entry.written
        };
        let Some(entry) = self.entries.find_mut(hash, known) else {
            return (self.end(hash, number, now), Outdated::nothing());
        };
        let crew = match std::mem::replace(&mut entry.stage, Stage::Failed(failed)) {
            Stage::Loads(loading) => self.count(loading, now),
            Stage::Failed(_) => None,
        };
        let ended = Ended {
            last: false,
            left: Some(Left { _key: None, crew }),
        };
        self.kept.push_back((hash, number));
        let mut outdated = Outdated::nothing();
        if self.kept.len() > at_most
            && let Some((hash, number)) = self.kept.pop_front()
        {
            outdated._failure = self.entries.take(hash, |entry| entry.number == number);
        }
        (ended, outdated)
    }

    /// Counts a load that is over. Returns who waits for it.
    #[inline]
    fn count(&mut self, loading: Loading<V>, now: u64) -> Option<Crew<V>> {
        if loading.counts {
            let took = now.saturating_sub(loading.since);
            self.counted.nanos = self.counted.nanos.saturating_add(took);
        }
        loading.crew
    }

    fn loading(&mut self, hash: u32, number: u64) -> Option<&mut Loading<V>> {
        let entry = self.entries.find_mut(hash, |entry| entry.number == number);
        match &mut entry?.stage {
            Stage::Loads(loading) => Some(loading),
            Stage::Failed(_) => None,
        }
    }
}

impl<K: Eq, V: Send + Sync + 'static> Listing<K, V> {
    /// Looks for a load of the key that can be joined, or a failure. Changes nothing, so the second
    /// to ask is told that a load is [`Unmanned`](Sought::Unmanned).
    pub(crate) fn seek(&self, hash: u32, key: &K, asker: Asker) -> Sought<V> {
        let entry = self.entries.find(hash, |entry| entry.is_known(key));
        entry.map_or(Sought::Nothing, |entry| entry.seek(asker))
    }

    /// As [`seek`](Self::seek), and mans a load that is unmanned. `flight` makes a flight of what
    /// it is given, for a load that has this number and, if it stays on its caller's stack, was
    /// listed then.
    pub(crate) fn board(
        &mut self,
        hash: u32,
        key: &K,
        asker: Asker,
        flight: impl FnOnce(Arrived<V>, u64, Option<u64>) -> Flight<Outcome<V>>,
    ) -> (Sought<V>, Outdated<K, V>) {
        let mut outdated = Outdated::nothing();
        let Some(entry) = self.entries.find_mut(hash, |entry| entry.is_known(key)) else {
            return (Sought::Nothing, outdated);
        };
        let mut sought = entry.seek(asker);
        if let (Sought::Unmanned, Stage::Loads(loading)) = (&sought, &mut entry.stage) {
            let (number, since) = (entry.number, loading.stays.then_some(loading.since));
            (sought, outdated._crew) = loading.man(|arrival| flight(arrival, number, since));
        }
        (sought, outdated)
    }

    /// Takes off the list what was kept of a key of which a load is about to be listed.
    pub(crate) fn forget(&mut self, hash: u32, key: &K) -> Outdated<K, V> {
        let mut outdated = Outdated::nothing();
        if !self.kept.is_empty() {
            let is_failure =
                |entry: &Entry<K, V>| matches!(entry.stage, Stage::Failed(_)) && entry.key == *key;
            outdated._failure = self.entries.take(hash, is_failure);
        }
        outdated
    }

    /// Lists a load of a key that runs on the asker's thread. Returns its number.
    #[inline]
    pub(crate) fn list(&mut self, hash: u32, key: K, asker: Asker, manner: Manner) -> u64 {
        self.last += 1;
        self.counted.started += u64::from(manner.counts);
        let entry = Entry {
            key,
            number: self.last,
            errors: asker.errors,
            written: false,
            stage: Stage::Loads(Loading {
                thread: asker.thread,
                open: manner.open,
                stays: manner.stays,
                since: manner.now,
                counts: manner.counts,
                crew: None,
            }),
        };
        self.entries.insert(hash, entry);
        self.last
    }

    /// A load leaves its caller's stack, and goes on in the flight of its crew if there is one, which
    /// is owed the load; else in the flight that `make` makes. The caller takes part.
    pub(crate) fn go_on(
        &mut self,
        hash: u32,
        number: u64,
        make: impl FnOnce() -> (Flight<Outcome<V>>, Join<Outcome<V>>),
    ) -> Transfer<K, V> {
        let mut outdated = Outdated::nothing();
        let Some(loading) = self.loading(hash, number) else {
            return Transfer {
                join: make().1,
                giver: None,
                outdated,
            };
        };
        loading.thread = 0;
        if let Some(crew) = &mut loading.crew
            && let Some(join) = crew.flight.join()
        {
            let giver = crew.giver.take();
            return Transfer {
                join,
                giver,
                outdated,
            };
        }
        let ((flight, join), giver) = (make(), None);
        outdated._crew = loading.crew.replace(Crew { flight, giver });
        Transfer {
            join,
            giver: None,
            outdated,
        }
    }
}

impl<K: Eq, V: Send + Sync + 'static> Entry<K, V> {
    /// Whether somebody who asks for the key now is to know of it.
    fn is_known(&self, key: &K) -> bool {
        let open = match &self.stage {
            Stage::Loads(loading) => loading.open,
            Stage::Failed(_) => true,
        };
        open && !self.written && self.key == *key
    }

    fn seek(&self, asker: Asker) -> Sought<V> {
        let loading = match &self.stage {
            Stage::Loads(loading) => loading,
            Stage::Failed(failed) => return Sought::Failed(failed.clone()),
        };
        if loading.thread == asker.thread {
            return Sought::Inside;
        }
        match asker.joins {
            Joins::None => return Sought::Unwanted,
            Joins::Alike if (self.errors)() != (asker.errors)() => return Sought::Unwanted,
            Joins::Any | Joins::Alike => {}
        }
        let join = loading.crew.as_ref().and_then(|crew| crew.flight.join());
        join.map_or(Sought::Unmanned, Sought::Aboard)
    }
}

impl<V: Send + Sync + 'static> Loading<V> {
    /// Makes a crew for a load that has none, or whose crew has left it.
    fn man(
        &mut self,
        flight: impl FnOnce(Arrived<V>) -> Flight<Outcome<V>>,
    ) -> (Sought<V>, Option<Crew<V>>) {
        if self.thread == 0 {
            // Its crew has abandoned it, and it is about to take itself off.
            self.open = false;
            return (Sought::Nothing, None);
        }
        let (giver, arrival) = handed();
        let flight = flight(arrival);
        let sought = flight.join().map_or(Sought::Nothing, Sought::Aboard);
        let giver = Some(giver);
        (sought, self.crew.replace(Crew { flight, giver }))
    }
}

impl<K, V> Ended<K, V> {
    /// Tells those who wait for the load to start how it ended. Without, they load alone.
    #[inline]
    pub(crate) fn tell(self, outcome: impl FnOnce() -> Outcome<V>) {
        if let Some(Left { crew, .. }) = self.left
            && let Some(Crew {
                giver: Some(giver), ..
            }) = crew
        {
            giver.give(Start::Over(outcome()));
        }
    }
}

impl<K, V> Outdated<K, V> {
    fn nothing() -> Self {
        Self {
            _failure: None,
            _crew: None,
        }
    }
}

/// The load of a flight that was made before it.
pub(crate) async fn start<V>(arrival: Arrived<V>) -> Outcome<V> {
    match arrival.await {
        Some(Start::Over(outcome)) => outcome,
        Some(Start::Goes(load)) => load.await,
        None => Outcome::Nothing,
    }
}
