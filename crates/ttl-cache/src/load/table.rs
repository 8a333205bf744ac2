//! [`Table`]: the flights in the air and the errors that are kept, by key.
//!
//! A caller that finds no value goes through three steps, and no lock is held between them:
//!
//! 1. [`Table::seek`] looks for a flight of the key and reads the shard's signs.
//! 2. The caller watches the key and looks at the cache once more.
//! 3. [`Table::enter`] lists the caller's own flight, unless the signs have moved since.
//!
//! What is listed is the [`Ticket`] of a load. Its flight is made when a second caller asks: a load
//! that nobody else wants costs none. Until it waits for something for the first time, a load
//! belongs to its caller alone; a flight that is made before then waits for the load to
//! [`Start`].
//!
//! A load stores its value before it leaves the table, and leaving moves the signs. So who finds
//! the signs unmoved in the third step has in the second one seen whatever flights that left before
//! had stored, and one value is never loaded twice because its flight landed between two looks.

use std::any::TypeId;
use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::hash::{BuildHasherDefault, Hasher};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::task::{Poll, Wake, Waker};

use brolly_sync::{Flight, Join, Spawn};

use super::handed::{Arrival, Giver, handed};
use super::outcome::{Failure, Outcome};
use super::thread::this_thread;
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
    /// What runs loads that nobody waits for.
    spawner: Option<Arc<dyn Spawn>>,
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
    kept: Vec<Kept<K, V>>,
}

/// A listed load, and others whose keys have the same hash.
struct Slot<K, V> {
    ticket: Arc<Ticket<K, V>>,
    next: Option<Box<Slot<K, V>>>,
}

/// What a load, its entry in the table and its callers share, and know it by.
pub(crate) struct Ticket<K, V> {
    pub(crate) key: K,
    pub(crate) hash: u64,
    /// Who asks after the key was written does not join: the load may have read what was before.
    pub(crate) watch: Watch,
    /// The type of error its loader fails with.
    errors: TypeId,
    /// The thread on whose stack the loader runs, while it does not run in a flight.
    thread: AtomicUsize,
    /// Whether the table has an entry of it. Changed under the lock of the table, which also
    /// orders it for those who read it without.
    listed: AtomicBool,
    /// Taken while the lock of the table is held, never the other way round.
    share: Mutex<Share<V>>,
    /// Where to pass on that what the load waits for has happened.
    relay: Mutex<Relay>,
}

/// A load is polled for the first time before it has a flight: with the ticket for a waker.
#[derive(Default)]
struct Relay {
    woken: bool,
    waker: Option<Waker>,
}

/// A load as its callers share it.
struct Share<V> {
    flight: Option<Flight<Outcome<V>>>,
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

/// What has to go when a load is listed. Dropped without the lock.
type Replaced<K, V> = (Option<Slot<K, V>>, Option<Kept<K, V>>);

/// An error, or only the fact of one, that is remembered for a while.
pub(crate) struct Kept<K, V> {
    /// `None` only keeps refreshes from asking again at once.
    pub(crate) failure: Option<Failure>,
    /// When it is forgotten, by the cache's clock.
    pub(crate) until: u64,
    /// A write of the key makes it void.
    pub(crate) ticket: Arc<Ticket<K, V>>,
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
    Outdated(Arc<Ticket<K, V>>),
    Nothing,
}

pub(crate) enum Entered<K, V: Send + Sync + 'static> {
    Listed,
    /// Somebody was faster, and the caller takes part, if it wants to.
    Taken(Sought<K, V>),
    /// A flight has left meanwhile, or one is outdated. The caller looks at the cache again.
    Moved(Signs, Option<Arc<Ticket<K, V>>>),
}

impl<K, V> Table<K, V> {
    pub(crate) fn new(spawner: Option<Arc<dyn Spawn>>) -> Self {
        let shard = |_| Shard {
            signs: AtomicU64::new(0),
            listed: Mutex::new(Listed {
                flights: HashMap::default(),
                kept: Vec::new(),
            }),
        };
        Self {
            shards: (0..SHARDS).map(shard).collect(),
            spawner,
        }
    }
}

impl<K, V: Send + Sync + 'static> Table<K, V> {
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
        let sought = listed.seek(hash, key, asker, self.spawner.as_ref());
        drop(listed);
        (sought, signs)
    }

    /// Lists a load if nothing has changed since the signs were read. What it replaces is dropped
    /// here, without the lock; that may be a load that was seen to be outdated before the caller's
    /// last look at the cache.
    pub(crate) fn enter(
        &self,
        ticket: &Arc<Ticket<K, V>>,
        signs: Signs,
        outdated: Option<&Arc<Ticket<K, V>>>,
        asker: Asker,
    ) -> Entered<K, V>
    where
        K: Eq,
    {
        let shard = self.shard(ticket.hash);
        let mut listed = lock(&shard.listed);
        let now = Signs(shard.signs.load(Relaxed));
        if now.left() != signs.left() {
            return Entered::Moved(now, None);
        }
        if now.listed() > 0 {
            match listed.seek_flight(ticket.hash, &ticket.key, asker, self.spawner.as_ref()) {
                Sought::Nothing => {}
                Sought::Outdated(other) => {
                    if outdated.is_none_or(|seen| !Arc::ptr_eq(seen, &other)) {
                        return Entered::Moved(now, Some(other));
                    }
                }
                sought => return Entered::Taken(sought),
            }
        }
        let replaced = listed.list(ticket);
        shard.publish(now.left(), &listed);
        drop(listed);
        drop(replaced);
        Entered::Listed
    }

    /// Takes a flight off the list, if it is still there, and keeps its error if there is one.
    ///
    /// Afterwards nobody joins it any more.
    pub(crate) fn leave(&self, ticket: &Arc<Ticket<K, V>>, kept: Option<Kept<K, V>>)
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

    /// Lets a load go on in a flight: one that somebody has made already, or a new one. The caller
    /// takes part.
    pub(crate) fn go_on(&self, ticket: &Ticket<K, V>, load: Boxed<V>) -> Join<Outcome<V>> {
        let mut share = lock(&ticket.share);
        let join = share.board(self.spawner.as_ref());
        let giver = share.giver.take();
        drop(share);
        match (join, giver) {
            (Some(join), Some(giver)) => {
                giver.give(Start::Goes(load));
                join
            }
            _ => unreachable!("a load that has not gone on yet is owed to its flight"),
        }
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
    fn seek(
        &self,
        hash: u64,
        key: &K,
        asker: Asker,
        spawner: Option<&Arc<dyn Spawn>>,
    ) -> Sought<K, V>
    where
        K: Eq,
    {
        match self.seek_flight(hash, key, asker, spawner) {
            Sought::Nothing => {}
            sought => return sought,
        }
        let of_key = |kept: &&Kept<K, V>| kept.ticket.hash == hash && kept.ticket.key == *key;
        match self.kept.iter().find(of_key) {
            Some(kept) if !kept.ticket.watch.written() => {
                Sought::Kept(kept.failure.clone(), kept.until)
            }
            _ => Sought::Nothing,
        }
    }

    fn seek_flight(
        &self,
        hash: u64,
        key: &K,
        asker: Asker,
        spawner: Option<&Arc<dyn Spawn>>,
    ) -> Sought<K, V>
    where
        K: Eq,
    {
        let mut next = self.flights.get(&hash);
        while let Some(slot) = next {
            if slot.ticket.key == *key {
                return Ticket::board(&slot.ticket, asker, spawner);
            }
            next = slot.next.as_deref();
        }
        Sought::Nothing
    }

    /// Lists a load; gives back one of the same key that cannot be joined any more, and what was
    /// kept of the key.
    fn list(&mut self, ticket: &Arc<Ticket<K, V>>) -> Replaced<K, V>
    where
        K: Eq,
    {
        let hash = ticket.hash;
        let at = (self.kept.iter()).position(|kept| kept.ticket.is_of_key_of(ticket));
        let outdated = self.take(hash, |other| other.ticket.is_of_key_of(ticket));
        ticket.listed.store(true, Relaxed);
        let kept = at.map(|at| self.kept.swap_remove(at));
        let slot = Slot {
            ticket: Arc::clone(ticket),
            next: None,
        };
        if let Some(next) = self.flights.insert(hash, slot)
            && let Some(first) = self.flights.get_mut(&hash)
        {
            first.next = Some(Box::new(next));
        }
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
    fn keep(&mut self, kept: Kept<K, V>) -> Option<Kept<K, V>>
    where
        K: Eq,
    {
        let same = |other: &Kept<K, V>| other.ticket.is_of_key_of(&kept.ticket);
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

impl<K: Eq, V> Ticket<K, V> {
    fn is_of_key_of(&self, other: &Self) -> bool {
        self.hash == other.hash && self.key == other.key
    }
}

impl<K, V: Send + Sync + 'static> Ticket<K, V> {
    pub(crate) fn new(key: K, hash: u64, watch: Watch, errors: TypeId) -> Self {
        Self {
            key,
            hash,
            watch,
            errors,
            thread: AtomicUsize::new(0),
            listed: AtomicBool::new(false),
            share: Mutex::new(Share {
                flight: None,
                giver: None,
            }),
            relay: Mutex::new(Relay::default()),
        }
    }

    /// The rest of a load that was polled with the ticket for a waker, and has to wait.
    pub(crate) fn rest(self: Arc<Self>, load: Boxed<V>) -> Boxed<V>
    where
        K: Send + Sync + 'static,
    {
        let mut looked = false;
        Box::pin(async move {
            poll_fn(|cx| {
                let fresh = cx.waker().clone();
                let mut relay = lock(&self.relay);
                if !relay.woken {
                    let stale = relay.waker.replace(fresh);
                    drop(relay);
                    drop(stale);
                } else if looked {
                    return Poll::Ready(());
                } else {
                    // Woken while it was polled: it gives way like any other task.
                    drop(relay);
                    fresh.wake();
                }
                looked = true;
                Poll::Pending
            })
            .await;
            load.await
        })
    }

    /// The loader runs on this thread's stack from now on, or does no longer.
    pub(crate) fn runs_here(&self, here: bool) {
        let thread = if here { this_thread() } else { 0 };
        self.thread.store(thread, Relaxed);
    }

    /// Makes the flight ahead of the first who asks, around what is going to be given.
    pub(crate) fn prepare(&self, flight: impl FnOnce(Arrival<Start<V>>) -> Flight<Outcome<V>>) {
        let (giver, arrival) = handed();
        *lock(&self.share) = Share {
            flight: Some(flight(arrival)),
            giver: Some(giver),
        };
    }

    /// The load is over: whoever waits for it to start is told how it ended, or to load alone, and
    /// what was shared is let go.
    pub(crate) fn end(&self, outcome: Option<&Outcome<V>>)
    where
        V: Clone,
    {
        let mut share = lock(&self.share);
        let (flight, giver) = (share.flight.take(), share.giver.take());
        drop(share);
        if let (Some(giver), Some(outcome)) = (giver, outcome) {
            giver.give(Start::Over(outcome.clone()));
        }
        drop(flight);
    }

    /// Takes part, unless the load has nothing for who asks now.
    fn board(this: &Arc<Self>, asker: Asker, spawner: Option<&Arc<dyn Spawn>>) -> Sought<K, V> {
        if this.watch.written() {
            return Sought::Outdated(Arc::clone(this));
        }
        if this.thread.load(Relaxed) == this_thread() {
            return Sought::Inside;
        }
        let alike = this.errors == asker.errors;
        match asker.joins {
            Joins::None => return Sought::Unwanted,
            Joins::Alike if !alike => return Sought::Unwanted,
            Joins::Any | Joins::Alike => {}
        }
        let join = lock(&this.share).board(spawner);
        join.map_or(Sought::Nothing, Sought::Aboard)
    }
}

impl<K: Send + Sync + 'static, V: Send + Sync + 'static> Wake for Ticket<K, V> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut relay = lock(&self.relay);
        relay.woken = true;
        let waker = relay.waker.take();
        drop(relay);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<V: Send + Sync + 'static> Share<V> {
    /// Takes part in the flight, which is made if there is none. `None` if it was abandoned with
    /// its load; one that was abandoned before it had one is made anew.
    fn board(&mut self, spawner: Option<&Arc<dyn Spawn>>) -> Option<Join<Outcome<V>>> {
        if let Some(flight) = &self.flight {
            let join = flight.join();
            if join.is_some() || self.giver.is_none() {
                return join;
            }
        }
        let (giver, arrival) = handed();
        let load = start(arrival);
        let flight = match spawner {
            Some(spawner) => Flight::with_spawner(load, Arc::clone(spawner)),
            None => Flight::new(load),
        };
        let join = flight.join();
        (self.flight, self.giver) = (Some(flight), Some(giver));
        join
    }
}

/// The load of a flight that was made before it.
pub(crate) async fn start<V>(arrival: Arrival<Start<V>>) -> Outcome<V> {
    match arrival.await {
        Some(Start::Over(outcome)) => outcome,
        Some(Start::Goes(load)) => load.await,
        None => Outcome::Nothing,
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
