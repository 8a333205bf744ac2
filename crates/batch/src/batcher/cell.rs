//! [`Batch`]: the one cell that all callers of a batch share: keys, places, results, wakers.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::error::BatchError;
use super::foreign::{contain, discard, wake};
use super::open::Hashed;
use crate::primitive::{Mutex, MutexGuard, lock};

/// How many wakers are taken under one lock.
const WAKES: usize = 32;

pub(super) type Answer<V, E> = Result<V, BatchError<E>>;

/// One batch. Its lock is taken alone, or inside the lock of the batcher's state, never around it.
pub(super) struct Batch<K, V, E> {
    /// Its number among the open ones.
    pub(super) number: u64,
    cell: Mutex<Cell<K, V, E>>,
}

/// Where a batch stands. It only ever moves down this table, and may skip lines.
///
/// | phase | keys | who moves it on |
/// |---|---|---|
/// | Filling | taken in; the batch is listed as open | a trigger |
/// | Ready | complete; listed as ready | room in flight |
/// | Granted | complete; counted in flight | the batch's task, when it is polled |
/// | Started | with the bulk function; counted in flight | the end of the bulk function |
/// | Over | gone; every place has its answer, or its caller has left | nobody |
///
/// From the first three it goes straight to Over when its last caller leaves, or when the spawner
/// drops its task. They change under the lock of the batcher's state as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Filling,
    Ready,
    Granted,
    Started,
    Over,
}

impl Phase {
    pub(super) fn is_unstarted(self) -> bool {
        matches!(self, Self::Filling | Self::Ready | Self::Granted)
    }
}

pub(super) struct Cell<K, V, E> {
    pub(super) phase: Phase,
    /// Its number among the ready ones, once it is or was one of them.
    pub(super) turn: u64,
    pub(super) keys: Vec<K>,
    /// One for each key, in the same order.
    places: Vec<Place<V, E>>,
    /// Callers who found their key there already.
    joined: Vec<Joined<V, E>>,
    /// Places among the joined whose callers left while the batch took keys, for the next to join.
    vacant: Vec<usize>,
    /// Where to find a key by its hash. Distinct keys of one hash take the next free numbers.
    /// Nothing is ever removed, so a search may stop at the first free number.
    index: HashMap<u64, usize, BuildHasherDefault<Hashed>>,
    pub(super) weight: usize,
    /// How many callers have not left.
    pub(super) live: usize,
    /// When the last caller came, if the batcher wants to know.
    pub(super) last_arrival: Duration,
    /// The waker of the batch's task.
    pub(super) task: Option<Waker>,
}

struct Place<V, E> {
    waker: Option<Waker>,
    answer: Option<Answer<V, E>>,
    left: bool,
    /// How many callers want this key; those who joined included.
    wanted: usize,
    /// Nobody wanted the key when the batch started, so the bulk function did not get it.
    skipped: bool,
}

struct Joined<V, E> {
    of: usize,
    place: Place<V, E>,
}

/// A caller's place in a batch.
#[derive(Clone, Copy, Debug)]
pub(super) enum Seat {
    Own(usize),
    Joined(usize),
}

/// What the bulk function brought.
pub(super) enum Yield<V, E> {
    Values(Vec<V>),
    Each(Vec<Answer<V, E>>),
    Failed(BatchError<E>),
}

impl<V, E> Place<V, E> {
    fn new(waker: Option<Waker>) -> Self {
        Self {
            waker,
            answer: None,
            left: false,
            wanted: 1,
            skipped: false,
        }
    }
}

impl<K, V, E> Batch<K, V, E> {
    /// An open batch with room for `size_hint` keys.
    pub(super) fn new(number: u64, size_hint: usize) -> Self {
        Self {
            number,
            cell: Mutex::new(Cell {
                phase: Phase::Filling,
                turn: 0,
                keys: Vec::with_capacity(size_hint),
                places: Vec::with_capacity(size_hint),
                joined: Vec::new(),
                vacant: Vec::new(),
                index: HashMap::default(),
                weight: 0,
                live: 0,
                last_arrival: Duration::ZERO,
                task: None,
            }),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Cell<K, V, E>> {
        lock(&self.cell)
    }

    /// Looks for a caller's answer; otherwise its waker is woken when there is one.
    pub(super) fn poll(&self, seat: Seat, cx: &mut Context<'_>) -> Poll<Answer<V, E>> {
        let mut fresh = None;
        loop {
            let mut cell = self.lock();
            let is_over = cell.phase == Phase::Over;
            let place = cell.place(seat);
            if is_over {
                let waker = place.waker.take();
                let answer = place.answer.take();
                drop(cell);
                drop(waker);
                return Poll::Ready(answer.expect("a caller takes its answer once"));
            }
            match &mut place.waker {
                Some(own) if own.will_wake(cx.waker()) => return Poll::Pending,
                own => {
                    if let Some(fresh) = fresh.take() {
                        let old = own.replace(fresh);
                        drop(cell);
                        drop(old);
                        return Poll::Pending;
                    }
                }
            }
            drop(cell);
            fresh = Some(cx.waker().clone());
        }
    }

    /// Gives a caller's place up. Returns whether nobody is left and the batch has not started, as
    /// far as can be seen from here: somebody may yet join it.
    pub(super) fn leave(&self, seat: Seat) -> bool {
        let mut cell = self.lock();
        let place = cell.place(seat);
        place.left = true;
        let gone = (place.waker.take(), place.answer.take());
        let key = match seat {
            Seat::Own(key) => key,
            Seat::Joined(index) => {
                if cell.phase == Phase::Filling {
                    cell.vacant.push(index);
                }
                cell.joined[index].of
            }
        };
        cell.places[key].wanted -= 1;
        cell.live -= 1;
        let is_forsaken = cell.live == 0 && cell.phase.is_unstarted();
        drop(cell);
        discard(gone);
        is_forsaken
    }

    /// Ends the batch with an answer for every caller who is there; waking them is left to
    /// [`wake_all`](Self::wake_all). `copy` makes the second and further
    /// values of a key.
    ///
    /// The copies are made before the lock is taken that ends the batch; nobody can join a batch
    /// that has started, so no further ones are wanted in between.
    pub(super) fn answer(&self, brought: Yield<V, E>, copy: impl Fn(&V) -> V) {
        let wanted = self.lock().wanted_copies();
        let copies: Vec<_> = wanted
            .into_iter()
            .map(|(joined, key)| {
                let value = match &brought {
                    Yield::Values(values) => Ok(&values[key]),
                    Yield::Each(answers) => answers[key].as_ref().map_err(BatchError::clone),
                    Yield::Failed(error) => Err(error.clone()),
                };
                let answer = value.and_then(|value| {
                    contain(|| copy(value)).map_err(|message| BatchError::Panicked { message })
                });
                (joined, answer)
            })
            .collect();
        let left = self.lock().resolve(brought, copies);
        left.into_iter().for_each(discard);
    }

    /// Wakes everybody who waits, a few per lock.
    pub(super) fn wake_all(&self) {
        let mut from = 0;
        loop {
            let mut wakers = [const { None }; WAKES];
            let more = self.lock().take_wakers(&mut from, &mut wakers);
            wakers.into_iter().flatten().for_each(wake);
            if !more {
                return;
            }
        }
    }
}

impl<K, V, E> Cell<K, V, E> {
    /// Where an equal key is, if there is one. `same` is foreign; nothing is changed.
    pub(super) fn find(&self, hash: u64, same: impl Fn(&K) -> bool) -> Option<usize> {
        let mut slot = hash;
        while let Some(&key) = self.index.get(&slot) {
            if same(&self.keys[key]) {
                return Some(key);
            }
            slot = slot.wrapping_add(1);
        }
        None
    }

    /// Takes a key in, with the caller's waker. With a hash, later callers may find it.
    pub(super) fn push(&mut self, key: K, hash: Option<u64>, waker: Option<Waker>) -> Seat {
        let place = self.keys.len();
        if let Some(hash) = hash {
            let mut slot = hash;
            while self.index.contains_key(&slot) {
                slot = slot.wrapping_add(1);
            }
            self.index.insert(slot, place);
        }
        self.keys.push(key);
        self.places.push(Place::new(waker));
        self.live += 1;
        Seat::Own(place)
    }

    /// Adds a caller to a key that is there.
    pub(super) fn join(&mut self, key: usize, waker: Option<Waker>) -> Seat {
        self.places[key].wanted += 1;
        self.live += 1;
        let joined = Joined {
            of: key,
            place: Place::new(waker),
        };
        if let Some(index) = self.vacant.pop() {
            self.joined[index] = joined;
            return Seat::Joined(index);
        }
        self.joined.push(joined);
        Seat::Joined(self.joined.len() - 1)
    }

    /// Starts the batch: takes out the keys that somebody wants, and those that nobody does.
    pub(super) fn start(&mut self) -> (Vec<K>, Vec<K>) {
        self.phase = Phase::Started;
        let keys = mem::take(&mut self.keys);
        if self.places.iter().all(|place| place.wanted > 0) {
            return (keys, Vec::new());
        }
        let (mut wanted, mut unwanted) = (Vec::with_capacity(self.live), Vec::new());
        for (key, place) in keys.into_iter().zip(&mut self.places) {
            if place.wanted > 0 {
                wanted.push(key);
            } else {
                place.skipped = true;
                unwanted.push(key);
            }
        }
        (wanted, unwanted)
    }

    /// Ends a batch that has not started: everybody who is there is told `error`. The wakers are
    /// to be woken, and the keys dropped, outside of all locks.
    #[must_use = "keys are dropped after the lock is released"]
    pub(super) fn fail_unstarted(&mut self, error: &BatchError<E>) -> Vec<K> {
        self.phase = Phase::Over;
        for place in self.everyone().filter(|place| !place.left) {
            place.answer = Some(Err(error.clone()));
        }
        mem::take(&mut self.keys)
    }

    fn place(&mut self, seat: Seat) -> &mut Place<V, E> {
        match seat {
            Seat::Own(key) => &mut self.places[key],
            Seat::Joined(index) => &mut self.joined[index].place,
        }
    }

    fn everyone(&mut self) -> impl Iterator<Item = &mut Place<V, E>> {
        let joined = self.joined.iter_mut().map(|joined| &mut joined.place);
        self.places.iter_mut().chain(joined)
    }

    /// Who joined and is still there, and the position of its key among those that were sent.
    fn wanted_copies(&self) -> Vec<(usize, usize)> {
        if self.joined.is_empty() {
            return Vec::new();
        }
        let mut sent = 0;
        let position: Vec<_> = self
            .places
            .iter()
            .map(|place| {
                let own = sent;
                sent += usize::from(!place.skipped);
                own
            })
            .collect();
        let here = self.joined.iter().enumerate();
        here.filter(|(_, joined)| !joined.place.left)
            .map(|(index, joined)| (index, position[joined.of]))
            .collect()
    }

    /// Puts answers into places. What nobody is there for comes back, to be dropped outside the
    /// lock.
    #[must_use = "values are dropped after the lock is released"]
    fn resolve(
        &mut self,
        brought: Yield<V, E>,
        copies: Vec<(usize, Answer<V, E>)>,
    ) -> Vec<Answer<V, E>> {
        self.phase = Phase::Over;
        let mut left = Vec::new();
        let mut put = |place: &mut Place<V, E>, answer| {
            if place.left {
                left.push(answer);
            } else {
                place.answer = Some(answer);
            }
        };
        let places = self.places.iter_mut().filter(|place| !place.skipped);
        match brought {
            Yield::Values(values) => {
                places
                    .zip(values)
                    .for_each(|(place, value)| put(place, Ok(value)));
            }
            Yield::Each(answers) => {
                places
                    .zip(answers)
                    .for_each(|(place, answer)| put(place, answer));
            }
            Yield::Failed(error) => places.for_each(|place| put(place, Err(error.clone()))),
        }
        for (index, answer) in copies {
            put(&mut self.joined[index].place, answer);
        }
        left
    }

    fn take_wakers(&mut self, from: &mut usize, room: &mut [Option<Waker>]) -> bool {
        let own = self.places.len();
        let mut room = room.iter_mut();
        while *from < own + self.joined.len() {
            let place = match from.checked_sub(own) {
                None => &mut self.places[*from],
                Some(index) => &mut self.joined[index].place,
            };
            if place.waker.is_some() {
                let Some(free) = room.next() else {
                    return true;
                };
                *free = place.waker.take();
            }
            *from += 1;
        }
        false
    }
}

pub(super) type SharedBatch<K, V, E> = Arc<Batch<K, V, E>>;

#[cfg(all(test, not(brolly_loom)))]
mod tests {
    use super::{Batch, Seat};

    /// A batch may be open for long, so what is kept of it follows the callers who are there.
    #[test]
    fn callers_who_join_and_leave_again_are_not_remembered() {
        let batch = Batch::<u32, u32, ()>::new(0, 1);
        let own = batch.lock().push(7, None, None);
        assert!(matches!(own, Seat::Own(0)));
        for _ in 0..1_000 {
            let pair = [(); 2].map(|()| batch.lock().join(0, None));
            for seat in pair {
                assert!(!batch.leave(seat), "the first caller stays");
            }
        }
        let cell = batch.lock();
        assert_eq!((cell.live, cell.places[0].wanted), (1, 1));
        assert!(cell.joined.len() <= 2 && cell.vacant.len() <= 2);
    }
}
