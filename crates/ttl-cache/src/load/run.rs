//! How a loader is run: with a permit, against time, and into the cache.

use std::future::{Future, poll_fn};
use std::hash::{BuildHasher, Hash};
use std::pin::pin;
use std::sync::Arc;

use brolly_sync::{Elapsed, TimerExt, WaitList};

use super::landing::Landing;
use super::outcome::Outcome;
use super::rules::LoadRules;
use super::thread::Running;

/// The right to run a loader. First come, first served, across all keys.
pub(crate) struct Permit(Arc<WaitList<()>>);

impl Permit {
    /// Waits for a permit, if they are counted. Dropping the future leaves the line.
    pub(crate) async fn wait(permits: Option<&Arc<WaitList<()>>>) -> Option<Self> {
        let permits = permits?;
        permits.take().await;
        Some(Self(Arc::clone(permits)))
    }

    /// Puts the thread to sleep until there is a permit, if they are counted.
    pub(crate) fn wait_blocking(permits: Option<&Arc<WaitList<()>>>) -> Option<Self> {
        let permits = permits?;
        permits.take_blocking();
        Some(Self(Arc::clone(permits)))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.put(());
    }
}

/// The load of one key, as a flight runs it.
pub(crate) async fn run<K, V, S, E, Fut>(mut landing: Landing<K, V, S>, loader: Fut) -> Outcome<V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
    E: Send + Sync + 'static,
    Fut: Future<Output = Result<V, E>> + Send + 'static,
{
    let loads = &landing.inner().loads;
    let number = loads.number();
    let permit = if landing.covered() {
        None
    } else {
        Permit::wait(loads.permits.as_ref()).await
    };
    landing.start();
    let loaded = drive(&landing.inner().loads.rules, number, loader).await;
    drop(permit);
    match loaded {
        Ok(Ok(value)) => landing.land(value),
        Ok(Err(failure)) => landing.fail(failure),
        Err(Elapsed { after, .. }) => landing.time_out(after),
    }
}

/// Runs a loader for as long as the rules allow, and drops it then.
pub(crate) async fn drive<Fut: Future>(
    rules: &LoadRules,
    number: usize,
    loader: Fut,
) -> Result<Fut::Output, Elapsed> {
    let mut loader = pin!(loader);
    let counted = rules.max_concurrent_loads.is_some();
    let loader = poll_fn(|cx| {
        let _running = counted.then(|| Running::of(number));
        loader.as_mut().poll(cx)
    });
    match (rules.load_timeout, &rules.timer) {
        (Some(after), Some(timer)) => timer.timeout(after, loader).await,
        _ => Ok(loader.await),
    }
}
