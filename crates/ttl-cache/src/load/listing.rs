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
use std::collections::hash_map;
use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::hash::{BuildHasherDefault, Hasher};
use std::pin::Pin;

use brolly_sync::{Flight, Join};

use super::handed::{Arrival, Giver, handed};
use super::outcome::{Failure, Outcome};

/// A map that is empty again gives its memory back if it has more room than this.
const ROOM: usize = 256;

/// The loads and failures of a shard, by key.
pub(crate) struct Listing<K, V> {
    by_hash: HashMap<u32, Entry<K, V>, BuildHasherDefault<Spread>>,
    /// The number of the load that was listed last.
    last: u64,
    /// Failures in the order in which they were kept; some may be gone.
    kept: VecDeque<(u32, u64)>,
}

/// A load or a failure, and others whose keys have the same hash.
struct Entry<K, V> {
    key: K,
    number: u64,
    /// The type of error its loader fails with.
    errors: TypeId,
    /// The key was written since.
    written: bool,
    stage: Stage<V>,
    next: Option<Box<Entry<K, V>>>,
}

enum Stage<V> {
    Loads(Loading<V>),
    Failed {
        /// `None` only keeps refreshes from asking again at once.
        failure: Option<Failure>,
        /// When it is forgotten, by the cache's clock.
        until: u64,
    },
}

/// A load under way.
struct Loading<V> {
    /// The thread on whose stack the loader runs; zero once it goes on in a flight.
    thread: usize,
    /// Whether others may join.
    open: bool,
    /// When it began, if its waiters' time is limited.
    since: u64,
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
    pub(crate) errors: TypeId,
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
    /// The last load failed, and may be remembered until then.
    Failed(Option<Failure>, u64),
    Nothing,
}

/// How a load is listed.
#[derive(Clone, Copy)]
pub(crate) struct Manner {
    /// Whether others may join.
    pub(crate) open: bool,
    /// When it begins, if its waiters' time is limited.
    pub(crate) since: u64,
}

/// What is left of a load that took itself off the list. To be dropped without the lock.
#[must_use = "whoever waits for the load is to be told"]
pub(crate) struct Ended<K, V> {
    /// Nothing else is listed.
    last: bool,
    _key: Option<K>,
    crew: Option<Crew<V>>,
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
            by_hash: HashMap::default(),
            last: 0,
            kept: VecDeque::new(),
        }
    }
}

impl<K, V> Listing<K, V> {
    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.by_hash.is_empty()
    }

    /// Whether a load is listed and its key was not written since.
    #[inline]
    pub(crate) fn is_unwritten(&self, hash: u32, number: u64) -> bool {
        let mut entry = self.by_hash.get(&hash);
        while let Some(this) = entry {
            if this.number == number {
                return !this.written;
            }
            entry = this.next.as_deref();
        }
        false
    }

    /// A key with this hash is written or removed.
    pub(crate) fn wrote(&mut self, hash: u32) {
        mark(self.by_hash.get_mut(&hash));
    }

    /// All keys are removed.
    pub(crate) fn wrote_all(&mut self) {
        self.by_hash
            .values_mut()
            .for_each(|first| mark(Some(first)));
    }

    /// Nobody joins a load any more.
    pub(crate) fn close(&mut self, hash: u32, number: u64) {
        if let Some(loading) = self.loading(hash, number) {
            loading.open = false;
        }
    }

    /// Takes a load off the list.
    #[inline]
    pub(crate) fn end(&mut self, hash: u32, number: u64) -> Ended<K, V> {
        let taken = self.take(hash, |entry| entry.number == number);
        let (key, crew) = taken.map_or((None, None), |entry| match entry.stage {
            Stage::Loads(loading) => (Some(entry.key), loading.crew),
            Stage::Failed { .. } => (Some(entry.key), None),
        });
        Ended {
            last: self.by_hash.is_empty(),
            _key: key,
            crew,
        }
    }

    /// Takes a load off the list and keeps its failure in its place, unless the key was written
    /// since it began; at most so many in all.
    pub(crate) fn fail(
        &mut self,
        hash: u32,
        number: u64,
        failure: Option<Failure>,
        until: u64,
        at_most: usize,
    ) -> (Ended<K, V>, Outdated<K, V>) {
        let known = |entry: &&mut Entry<K, V>| {
            !entry.written && matches!(&entry.stage, Stage::Loads(loading) if loading.open)
        };
        let Some(entry) = self.entry(hash, number).filter(known) else {
            return (self.end(hash, number), Outdated::nothing());
        };
        let stage = Stage::Failed { failure, until };
        let crew = match std::mem::replace(&mut entry.stage, stage) {
            Stage::Loads(loading) => loading.crew,
            Stage::Failed { .. } => None,
        };
        let ended = Ended {
            last: false,
            _key: None,
            crew,
        };
        self.kept.push_back((hash, number));
        let oldest = (self.kept.len() > at_most)
            .then(|| self.kept.pop_front())
            .flatten();
        let outdated = Outdated {
            _failure: oldest
                .and_then(|(hash, number)| self.take(hash, |entry| entry.number == number)),
            _crew: None,
        };
        (ended, outdated)
    }

    fn entry(&mut self, hash: u32, number: u64) -> Option<&mut Entry<K, V>> {
        let mut entry = self.by_hash.get_mut(&hash);
        while let Some(this) = entry {
            if this.number == number {
                return Some(this);
            }
            entry = this.next.as_deref_mut();
        }
        None
    }

    fn loading(&mut self, hash: u32, number: u64) -> Option<&mut Loading<V>> {
        match &mut self.entry(hash, number)?.stage {
            Stage::Loads(loading) => Some(loading),
            Stage::Failed { .. } => None,
        }
    }

    /// Takes the first entry with this hash that is meant.
    fn take(&mut self, hash: u32, meant: impl Fn(&Entry<K, V>) -> bool) -> Option<Entry<K, V>> {
        let hash_map::Entry::Occupied(mut place) = self.by_hash.entry(hash) else {
            return None;
        };
        if !meant(place.get()) {
            let mut before = place.get_mut();
            while before.next.as_deref().is_some_and(|next| !meant(next)) {
                before = before.next.as_deref_mut()?;
            }
            let mut taken = before.next.take()?;
            before.next = taken.next.take();
            return Some(*taken);
        }
        if let Some(next) = place.get_mut().next.take() {
            return Some(place.insert(*next));
        }
        let taken = place.remove();
        if self.by_hash.is_empty() && self.by_hash.capacity() > ROOM {
            self.by_hash = HashMap::default();
        }
        Some(taken)
    }
}

impl<K: Eq, V: Send + Sync + 'static> Listing<K, V> {
    /// Looks for a load of the key that can be joined, and then for a failure. Changes nothing, so
    /// the second to ask is told that a load is [`Unmanned`](Sought::Unmanned).
    pub(crate) fn seek(&self, hash: u32, key: &K, asker: Asker) -> Sought<V> {
        let mut entry = self.by_hash.get(&hash);
        while let Some(this) = entry {
            if this.is_known(key) {
                return this.seek(asker);
            }
            entry = this.next.as_deref();
        }
        Sought::Nothing
    }

    /// As [`seek`](Self::seek), and mans a load that is unmanned. `flight` makes a flight of what
    /// it is given, for a load that began when its waiters' time did and has this number.
    pub(crate) fn board(
        &mut self,
        hash: u32,
        key: &K,
        asker: Asker,
        flight: impl FnOnce(Arrived<V>, u64, u64) -> Flight<Outcome<V>>,
    ) -> (Sought<V>, Outdated<K, V>) {
        let mut entry = self.by_hash.get_mut(&hash);
        while let Some(this) = entry {
            if this.is_known(key) {
                let sought = this.seek(asker);
                let (Sought::Unmanned, Stage::Loads(loading)) = (&sought, &mut this.stage) else {
                    return (sought, Outdated::nothing());
                };
                let (number, since) = (this.number, loading.since);
                let flight = |arrival| flight(arrival, number, since);
                let (sought, crew) = loading.man(flight);
                let outdated = Outdated {
                    _failure: None,
                    _crew: crew,
                };
                return (sought, outdated);
            }
            entry = this.next.as_deref_mut();
        }
        (Sought::Nothing, Outdated::nothing())
    }

    /// Lists a load of a key that runs on the asker's thread. Returns its number, and the failure
    /// that was kept of the key.
    #[inline]
    pub(crate) fn list(
        &mut self,
        hash: u32,
        key: K,
        asker: Asker,
        manner: Manner,
    ) -> (u64, Outdated<K, V>) {
        self.last += 1;
        let number = self.last;
        let mut outdated = Outdated::nothing();
        if manner.open && !self.kept.is_empty() {
            let is_failure = |entry: &Entry<K, V>| {
                matches!(entry.stage, Stage::Failed { .. }) && entry.key == key
            };
            outdated._failure = self.take(hash, is_failure);
        }
        let entry = Entry {
            key,
            number,
            errors: asker.errors,
            written: false,
            stage: Stage::Loads(Loading {
                thread: asker.thread,
                open: manner.open,
                since: manner.since,
                crew: None,
            }),
            next: None,
        };
        match self.by_hash.entry(hash) {
            hash_map::Entry::Vacant(place) => drop(place.insert(entry)),
            hash_map::Entry::Occupied(mut place) => {
                let first = place.get_mut();
                let next = first.next.take();
                first.next = Some(Box::new(Entry { next, ..entry }));
            }
        }
        (number, outdated)
    }

    /// A load leaves its caller's stack, and goes on in the flight of its crew if there is one, which
    /// is owed the load; else in the flight that `make` makes. The caller takes part.
    pub(crate) fn go_on(
        &mut self,
        hash: u32,
        number: u64,
        make: impl FnOnce() -> (Flight<Outcome<V>>, Join<Outcome<V>>),
    ) -> (Join<Outcome<V>>, Option<Giver<Start<V>>>, Outdated<K, V>) {
        let mut outdated = Outdated::nothing();
        let Some(loading) = self.loading(hash, number) else {
            return (make().1, None, outdated);
        };
        loading.thread = 0;
        if let Some(crew) = &mut loading.crew
            && let Some(join) = crew.flight.join()
        {
            return (join, crew.giver.take(), outdated);
        }
        let (flight, join) = make();
        outdated._crew = loading.crew.replace(Crew {
            flight,
            giver: None,
        });
        (join, None, outdated)
    }
}

impl<K: Eq, V: Send + Sync + 'static> Entry<K, V> {
    /// Whether somebody who asks for the key now is to know of it.
    fn is_known(&self, key: &K) -> bool {
        let open = match &self.stage {
            Stage::Loads(loading) => loading.open,
            Stage::Failed { .. } => true,
        };
        open && !self.written && self.key == *key
    }

    fn seek(&self, asker: Asker) -> Sought<V> {
        let loading = match &self.stage {
            Stage::Loads(loading) => loading,
            Stage::Failed { failure, until } => return Sought::Failed(failure.clone(), *until),
        };
        if loading.thread == asker.thread {
            return Sought::Inside;
        }
        match asker.joins {
            Joins::None => return Sought::Unwanted,
            Joins::Alike if self.errors != asker.errors => return Sought::Unwanted,
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
    /// Whether nothing else was listed when the load left the list.
    #[inline]
    pub(crate) fn was_last(&self) -> bool {
        self.last
    }

    /// Tells those who wait for the load to start how it ended, or to load alone.
    #[inline]
    pub(crate) fn tell(self, outcome: Option<&Outcome<V>>)
    where
        V: Clone,
    {
        if let Some(Crew {
            giver: Some(giver), ..
        }) = self.crew
            && let Some(outcome) = outcome
        {
            giver.give(Start::Over(outcome.clone()));
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

/// Marks all with one hash as written.
fn mark<K, V>(mut entry: Option<&mut Entry<K, V>>) {
    while let Some(this) = entry {
        this.written = true;
        entry = this.next.as_deref_mut();
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

/// Keys come hashed: what tells hashes apart is only brought to all bits.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        // Only numbers are ever hashed with it.
    }

    fn write_u32(&mut self, hash: u32) {
        // The golden ratio in 64 bits (Knuth, The Art of Computer Programming 3, 6.4); the table
        // goes by the lowest bits and the highest ones.
        let product = u64::from(hash).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = product ^ (product >> 32);
    }
}
