//! [`Shared`]: what the handles of one lazy value share, and who may change what of it.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use brolly_sync::{Flight, FlightError, Join, NEVER, NanoClock, saturating_nanos};

use crate::config::Rules;
use crate::error::LoadError;
use crate::load::{self, Landing};
use crate::loader::Loader;
use crate::panics::{Fallout, discard};
use crate::primitive::{AtomicU64, Mutex, MutexGuard, lock};
use crate::published::{Guard, Published};
use crate::recursion::{Identity, Running};
use crate::standing::{Ages, Standing};
use crate::stats::Counters;

/// How a load ended, as everybody is told who waited for it.
pub(crate) type Outcome<T, E> = Result<Arc<T>, LoadError<E>>;

/// Invariants:
///
/// 1. `value`, `version` and `fresh_until` are written under the lock of `state`: the version is
///    made odd, the value is swapped, the version is made even, the deadline is moved.
/// 2. Whoever reads `fresh_until` and then `value`, or an even `version` and then `value`, finds a
///    value that is at least as new. So no deadline is ever taken for that of an older value, and
///    nobody keeps an older value under a newer version. Deadlines never go back.
/// 3. Whoever has seen a value sees a version from then on that is not that of an older one, since
///    the version was made odd before. So no reader falls behind what its thread has seen.
/// 4. A load publishes only if it is still listed when it ends. `reset` and `replace` take it off the
///    list, so what was loaded before them is never published after them.
/// 5. Of those listed, one load at most has begun: `current`. One more may stand behind it: `next`.
///    None that has ended is listed, so nobody joins one.
/// 6. Nothing foreign runs under the lock: flights, values and errors are moved out and dropped
///    after it, and the clock is read before it.
pub(crate) struct Shared<T, E> {
    value: Published<T>,
    /// Even while `value` stands still, odd while it is written. Never zero.
    version: AtomicU64,
    /// Until then readers take the value without a second look.
    fresh_until: AtomicU64,
    time: NanoClock,
    state: Mutex<State<T, E>>,
    /// What a thread is inside of while it runs the loader.
    pub(crate) identity: Identity,
    pub(crate) loader: Loader<T, E>,
    pub(crate) rules: Arc<Rules>,
    pub(crate) counters: Counters,
}

struct State<T, E> {
    /// How many there were: the number of the next one.
    runs: u64,
    /// Of the value, if there is one.
    ages: Ages,
    /// The latest reading of the clock that a value came with. A clock that jumps back behind it stands
    /// still here.
    latest: u64,
    /// The load that has begun, or is about to.
    current: Option<Entry<T, E>>,
    /// A refresh that begins when the current load is over.
    next: Option<Entry<T, E>>,
    /// How the last load ended, if that was badly.
    failure: Option<Failure<E>>,
}

struct Failure<E> {
    error: LoadError<E>,
    /// Until then callers are given the error.
    kept_until: u64,
    /// Until then an older value is served without another attempt behind it.
    paused_until: u64,
}

struct Entry<T, E> {
    number: u64,
    flight: Flight<Outcome<T, E>>,
    /// Its loader is being called, or was: what it brings may be older than who comes now.
    has_begun: bool,
}

/// One load, as it and the caller who began it know it.
pub(crate) struct Run {
    number: u64,
    /// The panic of the loader, for the caller who began the load.
    pub(crate) fallout: Fallout,
}

/// What a caller wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// A value, loaded if need be.
    Any,
    /// A value whose load begins after the call.
    Anew,
}

/// What a caller gets.
pub(crate) enum Entered<T: Send + Sync + 'static, E: Send + Sync + 'static> {
    Found(Arc<T>),
    Failed(LoadError<E>),
    /// A place in a load, to wait for its end.
    Aboard(Seat<T, E>),
    /// A value, and a place in a load that goes on without this caller.
    Behind(Arc<T>, Join<Outcome<T, E>>),
}

pub(crate) struct Seat<T: Send + Sync + 'static, E: Send + Sync + 'static> {
    pub(crate) join: Join<Outcome<T, E>>,
    wish: Wish,
    /// The load, if this caller began it.
    begun: Option<Arc<Run>>,
}

impl<T, E> Shared<T, E> {
    pub(crate) fn new(loader: Loader<T, E>, rules: Arc<Rules>, identity: Identity) -> Self {
        let never = Ages {
            due: NEVER,
            expires: NEVER,
        };
        let time = rules.time();
        let is_timeless = rules.spans.time_to_live.is_none() && rules.spans.refresh_after.is_none();
        Self {
            value: Published::new(),
            version: AtomicU64::new(2),
            fresh_until: AtomicU64::new(if is_timeless { NEVER } else { 0 }),
            time,
            state: Mutex::new(State {
                runs: 0,
                ages: never,
                latest: 0,
                current: None,
                next: None,
                failure: None,
            }),
            identity,
            loader,
            rules,
            counters: Counters::default(),
        }
    }

    /// The value, if it is there and nothing has to be done about it.
    #[inline]
    pub(crate) fn ready(&self) -> Option<Guard<T>> {
        match self.is_fresh(self.fresh_until()) {
            // Read after the deadline: see the second invariant.
            true => self.value.load(),
            false => None,
        }
    }

    /// What a value is judged by that is read after this.
    #[inline]
    pub(crate) fn fresh_until(&self) -> u64 {
        self.fresh_until.load(Acquire)
    }

    #[inline]
    pub(crate) fn is_fresh(&self, fresh_until: u64) -> bool {
        !self.time.is_past(fresh_until)
    }

    /// Changes whenever the value does. What is read after this is at least as new.
    #[inline]
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Acquire)
    }

    /// Whether a value may be kept that was read after this version was.
    pub(crate) fn is_settled(version: u64) -> bool {
        version.is_multiple_of(2)
    }

    pub(crate) fn load(&self) -> Option<Arc<T>> {
        self.value.load_full()
    }

    /// The value, unless its time is over.
    pub(crate) fn peek(&self) -> Option<Guard<T>> {
        if let Some(ready) = self.ready() {
            return Some(ready);
        }
        let now = self.time.now();
        let state = lock(&self.state);
        match self.standing_value(&state, now) {
            (Standing::Fresh | Standing::Aging, value) => value.map(Guard::of),
            _ => None,
        }
    }

    /// Why the last load brought nothing, if it ended badly.
    pub(crate) fn last_error(&self) -> Option<LoadError<E>> {
        let state = lock(&self.state);
        state.failure.as_ref().map(|it| it.error.clone())
    }

    pub(crate) fn now(&self) -> u64 {
        self.time.now()
    }

    /// Whether nothing is here: no value, no load, no error that is kept.
    pub(crate) fn is_idle(&self, now: u64) -> bool {
        let state = lock(&self.state);
        let is_loading = state.current.is_some() || state.next.is_some();
        let keeps = |it: &Failure<E>| now < it.kept_until;
        !is_loading && self.value.load().is_none() && !state.failure.as_ref().is_some_and(keeps)
    }

    pub(crate) fn is_loading(&self) -> bool {
        let state = lock(&self.state);
        state.current.is_some() || state.next.is_some()
    }

    /// Puts a value there, or none, in the name of a caller: what is being loaded is outdated.
    pub(crate) fn replace(&self, value: Option<Arc<T>>) -> Option<Arc<T>> {
        let now = self.time.now();
        self.renew(lock(&self.state), value, now)
    }

    /// Takes the value away if it is still this one.
    pub(crate) fn reset_if_still(&self, judged: &Arc<T>) -> Option<Arc<T>> {
        let now = self.time.now();
        let state = lock(&self.state);
        let is_still = |it: Guard<T>| std::ptr::eq(&raw const *it, Arc::as_ptr(judged));
        match self.value.load().is_some_and(is_still) {
            true => self.renew(state, None, now),
            false => None,
        }
    }

    fn renew(
        &self,
        mut state: MutexGuard<'_, State<T, E>>,
        value: Option<Arc<T>>,
        now: u64,
    ) -> Option<Arc<T>> {
        let outdated = (
            state.current.take(),
            state.next.take(),
            state.failure.take(),
        );
        let before = self.publish(&mut state, value, now);
        drop(state);
        discard(outdated);
        before
    }

    /// The only writer of the value.
    fn publish(&self, state: &mut State<T, E>, value: Option<Arc<T>>, now: u64) -> Option<Arc<T>> {
        let is_value = value.is_some();
        // Under the lock nobody else writes it.
        let version = self.version.load(Relaxed);
        // Released to who sees the new value, by the swap.
        self.version.store(version + 1, Relaxed);
        let before = self.value.swap(value);
        // Releases the new value to who sees this version.
        self.version.store(version + 2, Release);
        if is_value {
            state.latest = state.latest.max(now);
            state.ages = self.rules.spans.ages(state.latest);
            self.fresh_until.store(state.ages.fresh_until(), Release);
        }
        before
    }

    /// The value and how it is to be treated. Dropped under the lock, it is not the last of its kind:
    /// the published one is still there.
    fn standing_value(&self, state: &State<T, E>, now: u64) -> (Standing, Option<Arc<T>>) {
        match self.value.load_full() {
            Some(value) => {
                let now = now.max(state.latest);
                (self.rules.spans.standing(state.ages, now), Some(value))
            }
            None => (Standing::Gone, None),
        }
    }
}

impl<T: Send + Sync + 'static, E: Send + Sync + 'static> Shared<T, E> {
    /// Serves a caller, or gets it into a load.
    pub(crate) fn enter(self: &Arc<Self>, wish: Wish) -> Entered<T, E> {
        let is_inside = Running::is(&self.identity);
        let now = self.time.now();
        let mut state = lock(&self.state);
        let (served, older) = match wish {
            Wish::Any => self.serve(&state, now, is_inside),
            Wish::Anew => (None, None),
        };
        let (entered, gone) = match served {
            Some(served) => (served, None),
            None if is_inside => (Entered::Failed(LoadError::Recursive), None),
            None => {
                let (seat, gone) = self.board(&mut state, wish);
                let entered = match older {
                    Some(older) if self.rules.spawner.is_some() => {
                        Entered::Behind(older, seat.join)
                    }
                    _ => Entered::Aboard(seat),
                };
                (entered, gone)
            }
        };
        drop(state);
        discard(gone);
        entered
    }

    /// What a caller is given without waiting, if there is anything; otherwise the value behind
    /// which it loads, if there is one.
    ///
    /// | value | load under way, or the last one failed not long ago | neither |
    /// |---|---|---|
    /// | `Fresh` | served | served |
    /// | `Aging`, `Stale` | served | served, and a load begun behind it |
    /// | `Reserve` | served in the place of a kept error; else loaded | loaded |
    /// | `Gone`, none | the kept error; else loaded | loaded |
    fn serve(
        &self,
        state: &State<T, E>,
        now: u64,
        is_inside: bool,
    ) -> (Option<Entered<T, E>>, Option<Arc<T>>) {
        let is_loading = state.current.is_some() || state.next.is_some();
        let failure = state.failure.as_ref().filter(|_| !is_loading);
        let (standing, value) = self.standing_value(state, now);
        match (standing, value) {
            (Standing::Fresh, Some(value)) => (Some(Entered::Found(value)), None),
            (Standing::Aging | Standing::Stale, Some(value)) => {
                let until = |it: &Failure<E>| it.paused_until.max(it.kept_until);
                let is_paused = failure.is_some_and(|it| now < until(it));
                let is_served = is_loading || is_paused || is_inside;
                // Who waits for a load without a spawner may be given what that brings.
                if standing == Standing::Stale && (is_served || self.rules.spawner.is_some()) {
                    self.counters.stale_served.count();
                }
                match is_served {
                    true => (Some(Entered::Found(value)), None),
                    false => (None, Some(value)),
                }
            }
            (standing, value) => {
                let Some(failure) = failure.filter(|it| now < it.kept_until) else {
                    return (None, None);
                };
                let served = match value {
                    Some(value) if standing == Standing::Reserve => {
                        self.counters.stale_served.count();
                        Entered::Found(value)
                    }
                    _ => {
                        self.counters.errors_served.count();
                        Entered::Failed(failure.error.clone())
                    }
                };
                (Some(served), None)
            }
        }
    }

    /// A place in a load, and what is to be dropped once the lock is released.
    fn board(
        self: &Arc<Self>,
        state: &mut State<T, E>,
        wish: Wish,
    ) -> (Seat<T, E>, Option<Entry<T, E>>) {
        let joinable = |it: &&Entry<T, E>| wish == Wish::Any || !it.has_begun;
        let current = state.current.as_ref().filter(joinable);
        // Nobody can join a load that was abandoned; it will find that it was replaced.
        let joined = current.and_then(|it| it.flight.join());
        let joined = joined.or_else(|| state.next.as_ref().and_then(|it| it.flight.join()));
        if let Some(join) = joined {
            self.counters.joined.count();
            let seat = Seat {
                join,
                wish,
                begun: None,
            };
            return (seat, None);
        }
        // A refresh waits for a load that has begun, and takes part in it meanwhile.
        let before = state.current.as_ref().and_then(|it| it.flight.join());
        let is_next = before.is_some();
        state.runs += 1;
        let run = Arc::new(Run {
            number: state.runs,
            fallout: Fallout::default(),
        });
        let load = load::run(Landing::new(Arc::clone(self), Arc::clone(&run)), before);
        let flight = match &self.rules.spawner {
            Some(spawner) => Flight::with_spawner(load, Arc::clone(spawner)),
            None => Flight::new(load),
        };
        let join = flight.join().expect("nobody has left who never came");
        let entry = Entry {
            number: run.number,
            flight,
            has_begun: false,
        };
        let gone = match is_next {
            true => state.next.replace(entry),
            false => state.current.replace(entry),
        };
        let seat = Seat {
            join,
            wish,
            begun: Some(run),
        };
        (seat, gone)
    }

    /// The loader of this run is about to be called.
    pub(crate) fn begin(&self, run: &Run) {
        self.counters.loads.count();
        let mut state = lock(&self.state);
        let mut gone = None;
        if state.next.as_ref().is_some_and(|it| it.is(run)) {
            // What stood there was waited for. Should it not have ended, it is outdated by this one.
            let next = state.next.take();
            gone = std::mem::replace(&mut state.current, next);
        }
        if let Some(entry) = state.current.as_mut().filter(|it| it.is(run)) {
            entry.has_begun = true;
        }
        drop(state);
        discard(gone);
    }

    /// The run has brought a value. It is published unless it is outdated.
    pub(crate) fn land(&self, run: &Run, value: &Arc<T>) {
        self.counters.loaded.count();
        let now = self.time.now();
        let mut state = lock(&self.state);
        let entry = state.take(run);
        let mut gone = None;
        if entry.is_some() {
            let failure = state.failure.take();
            let before = self.publish(&mut state, Some(Arc::clone(value)), now);
            gone = Some((failure, before));
        } else {
            self.counters.outdated.count();
        }
        drop(state);
        discard((entry, gone));
    }

    /// The run has ended without a value.
    pub(crate) fn fail(&self, run: &Run, error: &LoadError<E>) {
        match error {
            LoadError::Failed(_) => self.counters.failures.count(),
            LoadError::Timeout { .. } => self.counters.timeouts.count(),
            _ => self.counters.panics.count(),
        }
        let now = self.time.now();
        let after = |span| now.saturating_add(saturating_nanos(span));
        let kept_for = match error {
            LoadError::Failed(_) => self.rules.cache_errors_for,
            _ => None,
        };
        let failure = Failure {
            error: error.clone(),
            kept_until: kept_for.map_or(0, after),
            paused_until: after(self.rules.spans.pause()),
        };
        let mut state = lock(&self.state);
        let entry = state.take(run);
        let mut gone = Some(failure);
        if entry.is_some() {
            gone = std::mem::replace(&mut state.failure, gone);
        }
        drop(state);
        discard((entry, gone));
    }

    /// The run was dropped, since nobody waits for it any more.
    pub(crate) fn abandon(&self, run: &Run) {
        self.counters.abandoned.count();
        let entry = lock(&self.state).take(run);
        discard(entry);
    }

    /// A value that is served although its load has failed.
    fn instead(&self) -> Option<Arc<T>> {
        let now = self.time.now();
        let state = lock(&self.state);
        let (standing, value) = self.standing_value(&state, now);
        match standing {
            Standing::Gone => return None,
            Standing::Stale | Standing::Reserve => self.counters.stale_served.count(),
            Standing::Fresh | Standing::Aging => {}
        }
        value
    }
}

impl<T, E> State<T, E> {
    /// Takes a load off the list, if it is listed.
    fn take(&mut self, run: &Run) -> Option<Entry<T, E>> {
        let is_it = |it: &mut Entry<T, E>| it.is(run);
        (self.current.take_if(is_it)).or_else(|| self.next.take_if(is_it))
    }
}

impl<T, E> Entry<T, E> {
    fn is(&self, run: &Run) -> bool {
        self.number == run.number
    }
}

impl<T: Send + Sync + 'static, E: Send + Sync + 'static> Seat<T, E> {
    /// What the end of the load means to this caller.
    ///
    /// # Panics
    ///
    /// With what the loader panicked with, if this caller began the load.
    pub(crate) fn settle(
        &self,
        shared: &Shared<T, E>,
        ending: Result<Outcome<T, E>, FlightError>,
    ) -> Outcome<T, E> {
        let outcome = match ending {
            Ok(outcome) => outcome,
            Err(FlightError::Panicked { message }) => Err(LoadError::Panicked { message }),
            // The only other way for a flight to have no result for a participant.
            Err(_) => Err(LoadError::Recursive),
        };
        let Err(error) = outcome else {
            return outcome;
        };
        if self.wish == Wish::Any
            && !matches!(error, LoadError::Recursive)
            && let Some(older) = shared.instead()
        {
            return Ok(older);
        }
        if let Some(run) = &self.begun {
            run.fallout.resume();
        }
        Err(error)
    }
}
