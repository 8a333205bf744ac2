//! How a caller gets into a load: somebody else's, or one of its own.

use std::any::TypeId;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use brolly_sync::{Flight, Join, NEVER, TimerExt};

use super::listing::{Arrived, Asker, Joins, Manner, Outdated, Sought, start};
use super::outcome::{Failure, Outcome};
use super::thread::this_thread;
use crate::inner::{Found, Inner, Look};
use crate::shard::State;

/// What a call wants.
#[derive(Clone, Copy)]
pub(crate) struct Wish {
    pub(crate) hash: u64,
    /// The type of error of its loader.
    pub(crate) errors: fn() -> TypeId,
    pub(crate) joins: Joins,
    pub(crate) reason: Reason,
    /// Its loader runs on its stack to the end, so that nothing but itself can end it.
    pub(crate) stays: bool,
    /// Its loader is run at once, unless permits are needed.
    pub(crate) at_once: bool,
}

/// Why a call wants to load.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// There is no value in its time to live.
    Missing,
    /// There is one, past its time to live, that is served meanwhile.
    Stale,
    /// There is one, which is loaded ahead of its end. It was to end in so many nanoseconds.
    Due { left: u64 },
    /// Somebody said so.
    Told,
}

/// A caller has to load.
#[derive(Clone, Copy)]
pub(crate) struct Listed {
    /// The number under which its load is listed.
    pub(crate) number: u64,
    /// Whether its start and its time are counted where it is listed.
    pub(crate) counts: bool,
    /// There was nothing of the key, so that there is nothing as long as it is not written.
    pub(crate) absent: bool,
}

impl Listed {
    /// Its load is not listed, and stores nothing: the cache is switched off.
    pub(crate) const NOT: Self = Self {
        number: 0,
        counts: false,
        absent: false,
    };
}

/// Why a caller does not load.
pub(crate) enum Spared<V: Send + Sync + 'static> {
    /// It takes part in somebody else's load.
    Aboard(Join<Outcome<V>>),
    /// There is a value by now.
    Found(V),
    /// The last load failed, not long ago.
    Kept(Failure),
    /// The caller is inside of the loader.
    Inside,
    /// Somebody else sees to it, or it is too early to try again. Only if the caller joins nobody.
    Busy,
}

impl Reason {
    pub(crate) fn has_value(self) -> bool {
        self != Self::Missing
    }
}

impl Wish {
    /// To have a value of the key with this hash, by a loader that fails with an `E`.
    pub(crate) fn of<E: 'static>(hash: u64) -> Self {
        Self {
            hash,
            errors: TypeId::of::<E>,
            joins: Joins::Any,
            reason: Reason::Missing,
            stays: false,
            at_once: true,
        }
    }

    /// To have a new value while an older one is served: nobody waits for it.
    pub(crate) fn behind(self, reason: Reason) -> Self {
        Self {
            joins: Joins::None,
            reason,
            ..self
        }
    }

    fn asker(&self) -> Asker {
        Asker {
            errors: self.errors,
            joins: self.joins,
            thread: this_thread(),
        }
    }
}

impl<K, V, S> Inner<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Lists a load of the key for the caller, which has to run it. Or finds that this is not
    /// needed.
    ///
    /// All is found out, and done, under one lock: there is no value, nobody loads it, and from here
    /// on it is known that the caller does.
    pub(crate) fn begin(self: &Arc<Self>, key: &K, wish: Wish) -> Result<Listed, Spared<V>> {
        if !self.is_enabled() {
            return Ok(Listed::NOT);
        }
        let (shard, asker) = (self.shard(wish.hash), wish.asker());
        let hash = wish.hash as u32;
        if shard.loading.load(Relaxed) != 0 {
            // Of those who wait for one load, all but the first do not keep readers from reading.
            let state = shard.read();
            let sought = state.watches.loads.seek(hash, key, asker);
            drop(state);
            if let Sought::Aboard(join) = sought {
                return Err(Spared::Aboard(join));
            }
        }
        let (listed, now) = (key.clone(), self.clock.coarse());
        let counts = wish.at_once && self.loads.permits.is_none();
        let mut outdated = None;
        // Nothing is written that readers look at, so only the lock itself is taken.
        let mut state = shard.state.write();
        // Mostly nobody loads anything here, and there is still no value.
        let quiet = state.watches.loads.is_empty() && state.find(hash, key).is_none();
        let open = match quiet {
            true => Ok(true),
            false => self.look_around(&mut state, key, wish, asker, &mut outdated),
        };
        match open {
            Ok(open) => {
                let manner = Manner {
                    open,
                    stays: wish.stays,
                    counts,
                    now,
                };
                let number = state.watches.loads.list(hash, listed, asker, manner);
                shard.loading.store(1, Relaxed);
                drop(state);
                drop(outdated);
                Ok(Listed {
                    number,
                    counts,
                    absent: quiet,
                })
            }
            Err(spared) => {
                drop(state);
                drop(outdated);
                Err(spared)
            }
        }
    }

    /// What the caller of [`begin`](Self::begin) is told of what others do, and of a value; or else
    /// whether others may join its load.
    #[inline(never)]
    fn look_around(
        self: &Arc<Self>,
        state: &mut State<K, V>,
        key: &K,
        wish: Wish,
        asker: Asker,
        outdated: &mut Option<Outdated<K, V>>,
    ) -> Result<bool, Spared<V>> {
        let hash = wish.hash as u32;
        let flight = |arrival, number, since| self.flight(wish.hash, arrival, number, since);
        let (sought, unmanned) = state.watches.loads.board(hash, key, asker, flight);
        *outdated = Some(unmanned);
        let open = self.spared(sought, wish)?;
        if let Some(value) = self.look_again(state, key, wish) {
            return Err(Spared::Found(value));
        }
        if open {
            *outdated = Some(state.watches.loads.forget(hash, key));
        }
        Ok(open)
    }

    /// What a caller is told of what it found; or else whether others may join its load.
    fn spared(&self, sought: Sought<V>, wish: Wish) -> Result<bool, Spared<V>> {
        match sought {
            Sought::Aboard(join) => Err(Spared::Aboard(join)),
            Sought::Inside => Err(Spared::Inside),
            Sought::Unwanted if wish.joins == Joins::None => Err(Spared::Busy),
            // A load that cannot tell this caller of its errors: so it loads beside it.
            Sought::Unwanted => Ok(false),
            Sought::Failed(failed) if !self.clock.is_past(failed.until) => {
                match (wish.joins, wish.reason, failed.failure) {
                    (Joins::None, _, _) => Err(Spared::Busy),
                    (Joins::Any, Reason::Missing, Some(failure))
                        if (*failure).type_id() == (wish.errors)() =>
                    {
                        Err(Spared::Kept(failure))
                    }
                    _ => Ok(true),
                }
            }
            Sought::Failed(..) | Sought::Unmanned | Sought::Nothing => Ok(true),
        }
    }

    /// A value that came since the first look.
    fn look_again(&self, state: &State<K, V>, key: &K, wish: Wish) -> Option<V> {
        if wish.reason == Reason::Told {
            return None;
        }
        let shard = self.shard(wish.hash);
        let found = self.find_in(state, shard, wish.hash, key, Look::Peek);
        match (found, wish.reason) {
            (Found::Fresh { age, left, .. }, Reason::Due { left: before })
                if self.loads.is_old(age) || left <= before && left != NEVER =>
            {
                None
            }
            (Found::Fresh { value, .. }, _) => Some(value),
            _ => None,
        }
    }

    /// A flight for those who wait for a load that runs on its caller's stack. If it stays there,
    /// since some time, nothing can end its loader, so the flight ends when the load should have.
    fn flight(
        self: &Arc<Self>,
        hash: u64,
        arrival: Arrived<V>,
        number: u64,
        since: Option<u64>,
    ) -> Flight<Outcome<V>> {
        let rules = &self.loads.rules;
        match (since, rules.load_timeout, &rules.timer) {
            (Some(since), Some(after), Some(timer)) => {
                let (inner, timer) = (Arc::clone(self), Arc::clone(timer));
                let waited = Duration::from_nanos(self.clock.coarse().saturating_sub(since));
                let limit = after.saturating_sub(waited);
                Flight::new(async move {
                    match timer.timeout(limit, start(arrival)).await {
                        Ok(outcome) => outcome,
                        Err(_) => {
                            // Who comes from now on does not find a load that is given up.
                            inner.close(hash, number);
                            inner.loads.counters.timed_out();
                            Outcome::TimedOut(after)
                        }
                    }
                })
            }
            _ => self.loads.flight(start(arrival)),
        }
    }

    /// Nobody joins a load any more.
    fn close(&self, hash: u64, number: u64) {
        let mut state = self.shard(hash).state.write();
        state.watches.loads.close(hash as u32, number);
    }
}
