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

impl<K, V, S> Inner<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// A value for somebody who found no fresh one.
    pub(crate) async fn load<E, F, Fut>(
        self: &Arc<Self>,
        hash: u64,
        key: K,
        found: Found<V>,
        loader: F,
    ) -> Result<V, LoadError<E>>
    where
        E: Send + Sync + 'static,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        let (wish, spare) = (Wish::of::<E>(hash), self.spare(&key));
        let result = match self.older(found) {
            None => self.load_as(wish, key, loader).await,
            Some((older, reason)) => {
                let wish = wish.behind(reason);
                self.load_behind(wish, key, older, loader).await
            }
        };
        self.or_instead(hash, spare, result)
    }

    /// Serves an older value, and sees to it that somebody loads a new one.
    async fn load_behind<E, F, Fut>(
        self: &Arc<Self>,
        wish: Wish,
        key: K,
        older: V,
        loader: F,
    ) -> Result<V, LoadError<E>>
    where
        E: Send + Sync + 'static,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        let behind = self.loads.rules.spawner.is_some();
        let wish = Wish {
            at_once: !behind,
            ..wish
        };
        match self.begin(key, wish) {
            Ok(landing) if behind => {
                // Nobody is held up by the loader, not even for as long as it takes to wait for
                // something. The last one to leave hands the load to the spawner.
                let place = landing.place();
                let called = contain(loader);
                drop(self.go_on(place, run(landing.kept(), called), None));
                Ok(self.serve(older, wish.reason))
            }
            Ok(landing) => own(meaning(self.lead(landing, loader).await)),
            Err((Spared::Found(value), _)) => Ok(value),
            Err(_) => Ok(self.serve(older, wish.reason)),
        }
    }

    /// Takes part in a load until there is a result this caller can be told.
    pub(super) async fn load_as<E, F, Fut>(
        self: &Arc<Self>,
        mut wish: Wish,
        mut key: K,
        loader: F,
    ) -> Result<V, LoadError<E>>
    where
        E: Send + Sync + 'static,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        loop {
            let spared;
            (spared, key) = match self.begin(key, wish) {
                Ok(landing) => return own(meaning(self.lead(landing, loader).await)),
                Err(spared) => spared,
            };
            let Spared::Aboard(join) = spared else {
                return self.without_waiting(spared);
            };
            self.loads.counters.joined();
            match meaning(join.await) {
                Meaning::Over(result) => return result,
                Meaning::Foreign => wish.joins = Joins::Alike,
            }
        }
    }

    /// Runs a loader whose load is listed. It is polled once on behalf of this caller alone, as a
    /// part of it; if it has to wait, it goes on in a flight.
    async fn lead<E, F, Fut>(
        &self,
        landing: Landing<'_, K, V, S>,
        loader: F,
    ) -> Result<Outcome<V>, FlightError>
    where
        E: Send + Sync + 'static,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        let called = contain(|| Box::pin(loader()));
        if !self.loads.are_free() {
            let place = landing.place();
            return self.go_on(place, run(landing.kept(), called), None).await;
        }
        let mut begun = Some((landing, called));
        let mut join = None;
        poll_fn(|cx| match (&mut join, begun.take()) {
            (None, Some((landing, called))) => match self.first_poll(landing, called, cx) {
                Ok(outcome) => Poll::Ready(outcome),
                Err(waits) => {
                    // Its waker is with the loader, and with the flight.
                    join = Some(waits);
                    Poll::Pending
                }
            },
            (Some(join), _) => Pin::new(join).poll(cx),
            (None, None) => unreachable!("it is not polled again after its end"),
        })
        .await
    }

    /// Polls a loader for the first time. `Err` if it has to wait, in a flight.
    fn first_poll<E, Fut>(
        &self,
        mut landing: Landing<'_, K, V, S>,
        called: Result<Pin<Box<Fut>>, Arc<str>>,
        cx: &mut Context<'_>,
    ) -> Result<Result<Outcome<V>, FlightError>, Join<Outcome<V>>>
    where
        E: Send + Sync + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        landing.start();
        let loaded = match called {
            Err(message) => Err(message),
            Ok(mut load) => match contain(|| load.as_mut().poll(cx)) {
                Ok(Poll::Ready(loaded)) => Ok(loaded),
                Ok(Poll::Pending) => {
                    let place = landing.place();
                    let waker = Some(cx.waker().clone());
                    return Err(self.go_on(place, finish(landing.kept(), load), waker));
                }
                Err(message) => Err(message),
            },
        };
        Ok(landing.land_as(loaded))
    }

    /// Lets a load go on in a flight: one that others have made already, or a new one. The caller
    /// takes part. Given the waker that the load was polled with last, it need not look before it
    /// is woken.
    pub(super) fn go_on(
        &self,
        place: Option<(u64, u64)>,
        load: impl Future<Output = Outcome<V>> + Send + 'static,
        waker: Option<Waker>,
    ) -> Join<Outcome<V>> {
        let mut load = Some(load);
        let make = || {
            let load = load.take().expect("one flight is made, if any");
            match waker {
                Some(waker) => Flight::polled(load, self.loads.rules.spawner.clone(), waker),
                None => {
                    let flight = self.loads.flight(load);
                    let join = flight.join();
                    (flight, join.expect("nobody has left it yet"))
                }
            }
        };
        let Some((hash, number)) = place else {
            return make().1;
        };
        let mut state = self.shard(hash).state.write();
        let loads = &mut state.watches.loads;
        let (join, giver, outdated) = loads.go_on(hash as u32, number, make);
        drop(state);
        drop(outdated);
        if let (Some(giver), Some(load)) = (giver, load) {
            giver.give(Start::Goes(Box::pin(load)));
        }
        join
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
