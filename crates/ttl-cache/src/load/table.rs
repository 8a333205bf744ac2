//! [`Table`]: the flights in the air and the errors that are kept, by key.
//!
//! A caller that finds no value goes through three steps, and no lock is held between them:
//!
//! 1. [`Table::seek`] looks for a flight of the key and reads the shard's signs.
//! 2. The caller watches the key and looks at the cache once more.
//! 3. [`Table::enter`] lists the caller's own flight, unless the signs have moved since.
//!
//! A flight stores its value before it leaves the table, and leaving moves the signs. So who finds
//! the signs unmoved in the third step has in the second one seen whatever flights that left before
//! had stored, and one value is never loaded twice because its flight landed between two looks.

use std::any::TypeId;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use brolly_sync::{Flight, Join};

use super::outcome::{Failure, Outcome};
use super::thread::{ThreadKey, this_thread};
use crate::primitive::{AtomicU64, Mutex, lock};
use crate::watch::Watch;

/// How many parts the table has, each with a lock of its own. A power of two.
const SHARDS: usize = 32;

/// How many errors a part keeps. They are searched one by one, so they have to be few.
const KEPT: usize = 64;

/// A map that is empty again gives its memory back if it has more room than this.
const ROOM: usize = 256;

pub(crate) struct Table<K, V> {
    shards: Box<[Shard<K, V>]>,
}

/// On cache lines of its own.
#[repr(align(128))]
struct Shard<K, V> {
    /// Written under the lock only. See [`Signs`].
    signs: AtomicU64,
    listed: Mutex<Listed<K, V>>,
}

/// What a look at a shard without its lock tells: in the upper half how many flights have left, in
/// the lower one how much is listed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Signs(u64);

struct Listed<K, V> {
    flights: HashMap<u64, Slot<K, V>, BuildHasherDefault<PassThrough>>,
    kept: Vec<Kept<K>>,
}

/// A listed flight, and others whose keys have the same hash.
pub(crate) struct Slot<K, V> {
    flight: Flight<Outcome<V>>,
    ticket: Arc<Ticket<K>>,
    next: Option<Box<Slot<K, V>>>,
}

/// What a flight, its entry in the table and its callers share, and know it by.
pub(crate) struct Ticket<K> {
    pub(crate) key: K,
    pub(crate) hash: u64,
    /// Who asks after the key was written does not join: the load may have read what was before.
    pub(crate) watch: Watch,
    /// The type of error its loader fails with.
    pub(crate) errors: TypeId,
    /// The thread on whose stack the loader runs, if it does not run in the flight.
    pub(crate) thread: Option<ThreadKey>,
    /// Whether the table has an entry of it. Changed under the lock of the table, which also
    /// orders it for those who read it without.
    pub(crate) listed: AtomicBool,
}

/// An error, or only the fact of one, that is remembered for a while.
pub(crate) struct Kept<K> {
    /// `None` only keeps refreshes from asking again at once.
    pub(crate) failure: Option<Failure>,
    /// When it is forgotten, by the cache's clock.
    pub(crate) until: u64,
    /// A write of the key makes it void.
    pub(crate) ticket: Arc<Ticket<K>>,
}

/// Who asks.
#[derive(Clone, Copy)]
pub(crate) struct Asker {
    /// The type of error it can be told of.
    pub(crate) errors: TypeId,
    pub(crate) joins: Joins,
}

/// What flights a caller takes part in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Joins {
    Any,
    /// Those that fail with its type of error.
    Alike,
    /// None: it wants to know if there is one.
    None,
}

pub(crate) enum Sought<K, V: Send + Sync + 'static> {
    /// The caller takes part in a flight.
    Aboard(Join<Outcome<V>>),
    /// The caller is inside of the loader.
    Inside,
    /// There is a flight, which the caller does not want.
    Unwanted,
    /// The last load failed, and may be remembered until then.
    Kept(Option<Failure>, u64),
    /// There is a flight whose key was written since it began, perhaps by itself at its end. Who
    /// has looked at the cache after this may replace it.
    Outdated(Arc<Ticket<K>>),
    Nothing,
}

pub(crate) enum Entered<K, V: Send + Sync + 'static> {
    Listed,
    /// Somebody was faster, and the caller takes part. It gives its own flight up.
    Taken(Sought<K, V>),
    /// A flight has left meanwhile, or one is outdated. The caller looks at the cache again.
    Moved(Signs, Option<Arc<Ticket<K>>>),
}

impl<K, V> Table<K, V> {
    pub(crate) fn new() -> Self {
        let shard = |_| Shard {
            signs: AtomicU64::new(0),
            listed: Mutex::new(Listed {
                flights: HashMap::default(),
                kept: Vec::new(),
            }),
        };
        Self {
            shards: (0..SHARDS).map(shard).collect(),
        }
    }
}

impl<K, V: Send + Sync + 'static> Table<K, V> {
    /// How many flights are listed.
    pub(crate) fn len(&self) -> usize {
        let flights = |shard: &Shard<K, V>| {
            let listed = lock(&shard.listed);
            listed.flights.values().map(Slot::count).sum::<usize>()
        };
        self.shards.iter().map(flights).sum()
    }

    /// Looks for a flight of the key, and then for a kept error.
    pub(crate) fn seek(&self, hash: u64, key: &K, asker: Asker) -> (Sought<K, V>, Signs)
    where
        K: Eq,
    {
        let shard = self.shard(hash);
        // Pairs with the store in `Shard::publish`: whatever flights that left had stored before
        // is seen by a look at the cache from here on.
        let signs = Signs(shard.signs.load(Acquire));
        if signs.listed() == 0 {
            return (Sought::Nothing, signs);
        }
        let listed = lock(&shard.listed);
        let signs = Signs(shard.signs.load(Relaxed));
        let sought = listed.seek(hash, key, asker);
        drop(listed);
        (sought, signs)
    }

    /// Lists a flight if nothing has changed since the signs were read. The slot is taken out of
    /// its place when it is listed. What it replaces is dropped here, without the lock; that may be
    /// a flight that was seen to be outdated before the caller's last look at the cache.
    pub(crate) fn enter(
        &self,
        place: &mut Option<Slot<K, V>>,
        signs: Signs,
        outdated: Option<&Arc<Ticket<K>>>,
        asker: Asker,
    ) -> Entered<K, V>
    where
        K: Eq,
    {
        let Some(slot) = place.as_ref() else {
            return Entered::Listed;
        };
        let hash = slot.ticket.hash;
        let shard = self.shard(hash);
        let mut listed = lock(&shard.listed);
        let now = Signs(shard.signs.load(Relaxed));
        if now.left() != signs.left() {
            return Entered::Moved(now, None);
        }
        match listed.seek_flight(hash, &slot.ticket.key, asker) {
            Sought::Nothing => {}
            Sought::Outdated(ticket) => {
                if outdated.is_none_or(|seen| !Arc::ptr_eq(seen, &ticket)) {
                    return Entered::Moved(now, Some(ticket));
                }
            }
            sought => return Entered::Taken(sought),
        }
        let replaced = place.take().map(|slot| listed.list(hash, slot));
        shard.publish(now.left(), &listed);
        drop(listed);
        drop(replaced);
        Entered::Listed
    }

    /// Takes a flight off the list, if it is still there, and keeps its error if there is one.
    pub(crate) fn leave(&self, ticket: &Arc<Ticket<K>>, kept: Option<Kept<K>>)
    where
        K: Eq,
    {
        if !ticket.listed.load(Relaxed) {
            return;
        }
        let hash = ticket.hash;
        let shard = self.shard(hash);
        let mut listed = lock(&shard.listed);
        ticket.listed.store(false, Relaxed);
        let slot = listed.take(hash, |slot| Arc::ptr_eq(&slot.ticket, ticket));
        let forgotten = kept.map(|kept| listed.keep(kept));
        let left = Signs(shard.signs.load(Relaxed)).left();
        shard.publish(left.wrapping_add(1), &listed);
        drop(listed);
        drop((slot, forgotten));
    }

    fn shard(&self, hash: u64) -> &Shard<K, V> {
        let index = usize::try_from(spread(hash) >> 32).unwrap_or(usize::MAX);
        &self.shards[index & (SHARDS - 1)]
    }
}

impl Signs {
    fn new(left: u32, listed: usize) -> Self {
        // A count that does not fit still says that something is listed.
        let listed = u32::try_from(listed).unwrap_or(u32::MAX);
        Self(u64::from(left) << 32 | u64::from(listed))
    }

    fn left(self) -> u32 {
        u32::try_from(self.0 >> 32).unwrap_or(u32::MAX)
    }

    fn listed(self) -> u64 {
        self.0 & u64::from(u32::MAX)
    }
}

impl<K, V> Shard<K, V> {
    /// Tells what is listed now. Must be called under the lock.
    fn publish(&self, left: u32, listed: &Listed<K, V>) {
        let count = listed.flights.len() + listed.kept.len();
        // Pairs with the first load in `Table::seek`.
        self.signs.store(Signs::new(left, count).0, Release);
    }
}

impl<K, V: Send + Sync + 'static> Listed<K, V> {
    fn seek(&self, hash: u64, key: &K, asker: Asker) -> Sought<K, V>
    where
        K: Eq,
    {
        match self.seek_flight(hash, key, asker) {
            Sought::Nothing => {}
            sought => return sought,
        }
        let of_key = |kept: &&Kept<K>| kept.ticket.hash == hash && kept.ticket.key == *key;
        match self.kept.iter().find(of_key) {
            Some(kept) if !kept.ticket.watch.written() => {
                Sought::Kept(kept.failure.clone(), kept.until)
            }
            _ => Sought::Nothing,
        }
    }

    fn seek_flight(&self, hash: u64, key: &K, asker: Asker) -> Sought<K, V>
    where
        K: Eq,
    {
        let mut next = self.flights.get(&hash);
        while let Some(slot) = next {
            if slot.ticket.key == *key {
                return slot.board(asker);
            }
            next = slot.next.as_deref();
        }
        Sought::Nothing
    }

    /// Lists a flight; gives back one of the same key that cannot be joined any more, and what was
    /// kept of the key.
    fn list(&mut self, hash: u64, mut slot: Slot<K, V>) -> (Option<Slot<K, V>>, Option<Kept<K>>)
    where
        K: Eq,
    {
        let at = (self.kept.iter()).position(|kept| kept.ticket.is_of_key_of(&slot.ticket));
        let outdated = self.take(hash, |other| other.ticket.is_of_key_of(&slot.ticket));
        slot.ticket.listed.store(true, Relaxed);
        let kept = at.map(|at| self.kept.swap_remove(at));
        slot.next = self.flights.remove(&hash).map(Box::new);
        self.flights.insert(hash, slot);
        (outdated, kept)
    }

    /// Takes the first flight with this hash that is meant.
    fn take(&mut self, hash: u64, meant: impl Fn(&Slot<K, V>) -> bool) -> Option<Slot<K, V>> {
        let mut first = self.flights.get_mut(&hash)?;
        if meant(first) {
            let mut taken = self.flights.remove(&hash)?;
            if let Some(next) = taken.next.take() {
                self.flights.insert(hash, *next);
            } else if self.flights.is_empty() && self.flights.capacity() > ROOM {
                self.flights = HashMap::default();
            }
            return Some(taken);
        }
        while first.next.as_deref().is_some_and(|next| !meant(next)) {
            first = first.next.as_deref_mut()?;
        }
        let mut taken = first.next.take()?;
        first.next = taken.next.take();
        Some(*taken)
    }

    /// Keeps an error in the place of what was kept of its key, or of what would be forgotten
    /// first if there is no room.
    fn keep(&mut self, kept: Kept<K>) -> Option<Kept<K>>
    where
        K: Eq,
    {
        let same = |other: &Kept<K>| other.ticket.is_of_key_of(&kept.ticket);
        let at = self.kept.iter().position(same).or_else(|| {
            let first = (self.kept.iter().enumerate()).min_by_key(|(_, kept)| kept.until);
            first.filter(|_| self.kept.len() >= KEPT).map(|(at, _)| at)
        });
        if let Some(place) = at.and_then(|at| self.kept.get_mut(at)) {
            return Some(std::mem::replace(place, kept));
        }
        self.kept.push(kept);
        None
    }
}

impl<K: Eq> Ticket<K> {
    fn is_of_key_of(&self, other: &Self) -> bool {
        self.hash == other.hash && self.key == other.key
    }
}

impl<K, V: Send + Sync + 'static> Slot<K, V> {
    pub(crate) fn new(flight: Flight<Outcome<V>>, ticket: Arc<Ticket<K>>) -> Self {
        Self {
            flight,
            ticket,
            next: None,
        }
    }

    pub(crate) fn ticket(&self) -> &Arc<Ticket<K>> {
        &self.ticket
    }

    fn count(&self) -> usize {
        std::iter::successors(Some(self), |slot| slot.next.as_deref()).count()
    }

    /// Takes part, unless the flight has nothing for who asks now.
    fn board(&self, asker: Asker) -> Sought<K, V> {
        if self
            .ticket
            .thread
            .is_some_and(|thread| thread == this_thread())
        {
            return Sought::Inside;
        }
        if self.ticket.watch.written() {
            return Sought::Outdated(Arc::clone(&self.ticket));
        }
        let alike = self.ticket.errors == asker.errors;
        match asker.joins {
            Joins::None => return Sought::Unwanted,
            Joins::Alike if !alike => return Sought::Unwanted,
            Joins::Any | Joins::Alike => {}
        }
        self.flight.join().map_or(Sought::Nothing, Sought::Aboard)
    }
}

/// Keys come hashed; only who hashed them knows how well.
#[derive(Default)]
struct PassThrough(u64);

impl Hasher for PassThrough {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        // Only numbers are ever hashed with it.
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = spread(hash);
    }
}

/// Brings what tells hashes apart to the upper half.
fn spread(hash: u64) -> u64 {
    // The golden ratio in 64 bits (Knuth, The Art of Computer Programming 3, 6.4).
    let product = u128::from(hash) * 0x9E37_79B9_7F4A_7C15;
    // The halves folded together: no bit of the hash is lost.
    #[expect(clippy::cast_possible_truncation, reason = "the upper half is added")]
    let low = product as u64;
    low ^ u64::try_from(product >> 64).unwrap_or(u64::MAX)
}
