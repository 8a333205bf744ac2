//! Loads whose callers are tasks.

use std::future::{Future, poll_fn};
use std::hash::{BuildHasher, Hash};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use brolly_sync::{Flight, FlightError, Join};

use super::begin::{Spared, Wish};
use super::error::LoadError;
use super::handed::contain;
use super::landing::Landing;
use super::listing::{Joins, Start};
use super::outcome::{Meaning, Outcome, meaning, own};
use super::run::{finish, run};
use crate::inner::{Found, Inner};

/// How far a caller came without waiting.
enum Step<V: Send + Sync + 'static, E> {
    Over(Result<V, LoadError<E>>),
    /// It waits for the load that it has begun.
    Leads(Waits<V>),
    /// It waits for somebody else's.
    Joins(Join<Outcome<V>>),
}

/// The future of a load's outcome, for the caller that has begun it.
pub(super) struct Waits<V: Send + Sync + 'static> {
    join: Join<Outcome<V>>,
    /// The load was polled as a part of this very poll, with a waker that its flight knows: it is
    /// looked at when that is woken.
    polled: bool,
}

impl<V: Clone + Send + Sync + 'static> Future for Waits<V> {
    type Output = Result<Outcome<V>, FlightError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if std::mem::replace(&mut self.polled, false) {
            return Poll::Pending;
        }
        Pin::new(&mut self.join).poll(cx)
    }
}

impl<K, V, S> Inner<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// A value for somebody who found no fresh one. `read` makes a result of what the loader
    /// returns.
    ///
    /// `found` is borrowed, and all that can be is done in one look, so that little has to be moved
    /// into this future and out of it.
    pub(crate) async fn load<E, F, Fut, R>(
        self: &Arc<Self>,
        mut wish: Wish,
        key: K,
        found: &mut Found<V>,
        loader: F,
        read: R,
    ) -> Result<V, LoadError<E>>
    where
        E: Send + Sync + 'static,
        F: FnOnce() -> Fut,
        Fut: Future + Send + 'static,
        R: Fn(Fut::Output) -> Result<V, E> + Copy + Send + 'static,
    {
        let spare = self.serves_instead(wish).then(|| key.clone());
        let mut mine = Some((key, loader));
        let result = loop {
            let step = poll_fn(|cx| Poll::Ready(self.step(wish, found, &mut mine, read, cx)));
            let meaning = match step.await {
                Step::Over(result) => break result,
                Step::Leads(join) => break own(meaning(join.await)),
                Step::Joins(join) => meaning(join.await),
            };
            match meaning {
                Meaning::Over(result) => break result,
                Meaning::Foreign => wish.joins = Joins::Alike,
            }
        };
        match spare {
            None => result,
            Some(key) => self.or_instead(wish.hash, &key, result),
        }
    }

    /// Begins a load, and leads it as far as it goes; or joins one. If there is an older value to
    /// serve, sees to it that somebody loads a new one.
    #[inline]
    fn step<E, F, Fut, R>(
        self: &Arc<Self>,
        wish: Wish,
        found: &mut Found<V>,
        mine: &mut Option<(K, F)>,
        read: R,
        cx: &Context<'_>,
    ) -> Step<V, E>
    where
        E: Send + Sync + 'static,
        F: FnOnce() -> Fut,
        Fut: Future + Send + 'static,
        R: Fn(Fut::Output) -> Result<V, E> + Copy + Send + 'static,
    {
        if !matches!(found, Found::Missing)
            && let Some((older, reason)) = self.older(std::mem::replace(found, Found::Missing))
        {
            let (key, loader) = mine.take().expect("the loader has not been called");
            return self.step_behind(wish.behind(reason), older, key, loader, read, cx);
        }
        let (key, _) = mine.as_ref().expect("the loader has not been called");
        match self.begin(key, wish) {
            Ok(listed) => {
                let (key, loader) = mine.take().expect("they were there before");
                self.lead(Landing::new(self, key, wish, listed), loader, read, cx)
            }
            Err(Spared::Aboard(join)) => {
                self.loads.counters.joined();
                Step::Joins(join)
            }
            Err(spared) => Step::Over(self.without_waiting(spared)),
        }
    }

    /// Serves an older value, and sees to it that somebody loads a new one.
    #[inline(never)]
    fn step_behind<E, F, Fut, R>(
        self: &Arc<Self>,
        wish: Wish,
        older: V,
        key: K,
        loader: F,
        read: R,
        cx: &Context<'_>,
    ) -> Step<V, E>
    where
        E: Send + Sync + 'static,
        F: FnOnce() -> Fut,
        Fut: Future + Send + 'static,
        R: Fn(Fut::Output) -> Result<V, E> + Copy + Send + 'static,
    {
        let behind = self.loads.rules.spawner.is_some();
        let wish = Wish {
            at_once: !behind,
            ..wish
        };
        let value = match self.begin(&key, wish) {
            Ok(listed) => {
                let landing = Landing::new(self, key, wish, listed);
                if !behind {
                    return self.lead(landing, loader, read, cx);
                }
                // Nobody is held up by the loader, not even for as long as it takes to wait for
                // something. The last one to leave hands the load to the spawner.
                let place = landing.place();
                let called = contain(|| Box::pin(loader()));
                drop(self.go_on(place, run(landing.kept(), called, read), None));
                self.serve(older, wish.reason)
            }
            Err(Spared::Found(value)) => value,
            Err(_) => self.serve(older, wish.reason),
        };
        Step::Over(Ok(value))
    }

    /// Runs a loader whose load is listed. It is polled once on behalf of this caller alone, as a
    /// part of it; if it has to wait, it goes on in a flight.
    #[inline]
    fn lead<E, F, Fut, R>(
        &self,
        mut landing: Landing<'_, K, V, S>,
        loader: F,
        read: R,
        cx: &Context<'_>,
    ) -> Step<V, E>
    where
        E: Send + Sync + 'static,
        F: FnOnce() -> Fut,
        Fut: Future + Send + 'static,
        R: Fn(Fut::Output) -> Result<V, E> + Copy + Send + 'static,
    {
        let called = contain(|| Box::pin(loader()));
        if !self.loads.are_free() {
            let place = landing.place();
            return Step::Leads(self.go_on(place, run(landing.kept(), called, read), None));
        }
        landing.start();
        let mut load = match called {
            Ok(load) => load,
            Err(message) => return Step::Over(landing.land_as(Err(message))),
        };
        let mut cx = Context::from_waker(cx.waker());
        let loaded = match contain(|| load.as_mut().poll(&mut cx)) {
            Ok(Poll::Ready(loaded)) => contain(|| read(loaded)),
            Ok(Poll::Pending) => {
                let (place, waker) = (landing.place(), cx.waker().clone());
                let load = finish(landing.kept(), load, read);
                return Step::Leads(self.go_on(place, load, Some(waker)));
            }
            Err(message) => Err(message),
        };
        Step::Over(landing.land_as(loaded))
    }

    /// Lets a load go on in a flight: one that others have made already, or a new one. The caller
    /// takes part. `waker` is the one that it has just polled the load with, if it did.
    pub(super) fn go_on(
        &self,
        place: Option<(u64, u64)>,
        load: impl Future<Output = Outcome<V>> + Send + 'static,
        waker: Option<Waker>,
    ) -> Waits<V> {
        let (spawner, polled) = (&self.loads.rules.spawner, waker.is_some());
        // Not moved into what makes a flight: that is dropped under the lock if there is one already.
        let (mut load, mut waker) = (Some(load), waker);
        let mut make = || {
            let load = load.take().expect("one flight is made, if any");
            match waker.take() {
                Some(waker) => Flight::polled(load, spawner.clone(), waker),
                None => {
                    let flight = self.loads.flight(load);
                    let join = flight.join();
                    (flight, join.expect("nobody has left it yet"))
                }
            }
        };
        let Some((hash, number)) = place else {
            let (_, join) = make();
            return Waits { join, polled };
        };
        let mut state = self.shard(hash).state.write();
        let gone = state.watches.loads.go_on(hash as u32, number, make);
        drop(state);
        drop(gone.outdated);
        let (join, mut polled) = (gone.join, polled);
        if let (Some(giver), Some(load)) = (gone.giver, load) {
            giver.give(Start::Goes(Box::pin(load)));
            // The others may poll it from now on, and their flight knows nothing of this caller's
            // waker before it looks.
            polled = false;
        }
        Waits { join, polled }
    }

    /// What a caller that waits for nothing is told.
    pub(super) fn without_waiting<E: Send + Sync + 'static>(
        &self,
        spared: Spared<V>,
    ) -> Result<V, LoadError<E>> {
        match spared {
            Spared::Found(value) => Ok(value),
            Spared::Kept(failure) => {
                self.loads.counters.served_failure();
                own(meaning(Ok(Outcome::Failed(failure))))
            }
            _ => Err(LoadError::Reentrant),
        }
    }
}
