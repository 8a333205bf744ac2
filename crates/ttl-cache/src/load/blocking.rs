//! Loads whose callers are threads.

use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use super::begin::{Spared, Wish};
use super::error::LoadError;
use super::handed::contain;
use super::landing::Landing;
use super::listing::Joins;
use super::outcome::{Meaning, meaning};
use super::run::Permit;
use super::thread::Running;
use crate::inner::{Found, Inner};

impl<K, V, S> Inner<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// A value for a thread that found no fresh one.
    pub(crate) fn load_here<E: Send + Sync + 'static>(
        self: &Arc<Self>,
        hash: u64,
        key: K,
        found: Found<V>,
        loader: impl FnOnce() -> Result<V, E>,
    ) -> Result<V, LoadError<E>> {
        let wish = Wish {
            stays: true,
            ..Wish::of::<E>(hash)
        };
        let spare = self.serves_instead(wish).then(|| key.clone());
        let result = match self.older(found) {
            None => self.load_here_as(wish, key, loader),
            Some((older, reason)) => {
                let wish = wish.behind(reason);
                match self.begin(&key, wish) {
                    Ok(listed) => lead_here(Landing::new(self, key, wish, listed), loader),
                    Err(Spared::Found(value)) => Ok(value),
                    Err(_) => Ok(self.serve(older, reason)),
                }
            }
        };
        match spare {
            None => result,
            Some(key) => self.or_instead(hash, &key, result),
        }
    }

    /// Waits for somebody else's load, or runs its own on this thread.
    fn load_here_as<E: Send + Sync + 'static>(
        self: &Arc<Self>,
        mut wish: Wish,
        key: K,
        loader: impl FnOnce() -> Result<V, E>,
    ) -> Result<V, LoadError<E>> {
        loop {
            let mut join = match self.begin(&key, wish) {
                Ok(listed) => return lead_here(Landing::new(self, key, wish, listed), loader),
                Err(Spared::Aboard(join)) => join,
                Err(spared) => return self.without_waiting(spared),
            };
            self.loads.counters.joined();
            match meaning(join.wait()) {
                Meaning::Over(result) => return result,
                Meaning::Foreign => wish.joins = Joins::Alike,
            }
        }
    }
}

/// Runs a loader on this thread.
fn lead_here<K, V, S, E>(
    mut landing: Landing<'_, K, V, S>,
    loader: impl FnOnce() -> Result<V, E>,
) -> Result<V, LoadError<E>>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    let permit = landing.permits().map(Permit::wait_blocking);
    landing.start();
    let loaded = {
        let loads = &landing.cache().loads;
        let _running = (loads.permits.as_ref()).map(|_| Running::of(loads.number()));
        contain(loader)
    };
    drop(permit);
    landing.land_as(loaded)
}
