//! How a loader is run: with a permit, against time, and into the cache.

use std::future::{Future, poll_fn};
use std::hash::{BuildHasher, Hash};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use brolly_sync::{Elapsed, TimerExt, WaitList};

use super::handed::contain;
use super::landing::Landing;
use super::outcome::Outcome;
use super::thread::Running;

/// The right to run a loader. First come, first served, across all keys.
pub(crate) struct Permit(Arc<WaitList<()>>);

impl Permit {
    /// Waits for a permit. Dropping the future leaves the line.
    pub(crate) async fn wait(permits: &Arc<WaitList<()>>) -> Self {
        permits.take().await;
        Self(Arc::clone(permits))
    }

    /// Puts the thread to sleep until there is a permit.
    pub(crate) fn wait_blocking(permits: &Arc<WaitList<()>>) -> Self {
        permits.take_blocking();
        Self(Arc::clone(permits))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.put(());
    }
}

/// What a loader's call brought: its future, or the message of its panic.
pub(crate) type Called<Fut> = Result<Fut, Arc<str>>;

/// The load of one key. `read` makes a result of what the loader returns.
pub(crate) async fn run<K, V, S, E, Fut>(
    mut landing: Landing<'static, K, V, S>,
    called: Called<Fut>,
    read: impl Fn(Fut::Output) -> Result<V, E>,
) -> Outcome<V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
    E: Send + Sync + 'static,
    Fut: Future + Send + 'static,
{
    match drive(&mut landing, called).await {
        Ok(loaded) => match read(loaded) {
            Ok(value) => Outcome::Loaded(landing.land(value)),
            Err(failure) => landing.fail(failure),
        },
        Err(Unready::Late(after)) => landing.time_out(after),
        Err(Unready::Panicked(message)) => landing.panic(message),
    }
}

/// The rest of a load that is neither in line nor held to time.
pub(crate) async fn finish<K, V, S, E, Fut>(
    landing: Landing<'static, K, V, S>,
    mut load: Pin<Box<Fut>>,
    read: impl Fn(Fut::Output) -> Result<V, E>,
) -> Outcome<V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
    E: Send + Sync + 'static,
    Fut: Future + Send + 'static,
{
    match contained(load.as_mut()).await {
        Ok(loaded) => match read(loaded) {
            Ok(value) => Outcome::Loaded(landing.land(value)),
            Err(failure) => landing.fail(failure),
        },
        Err(message) => landing.panic(message),
    }
}

/// Why a loader has returned nothing.
pub(crate) enum Unready {
    Late(Duration),
    Panicked(Arc<str>),
}

/// Runs a loader with a permit for as long as the rules allow, and drops it then.
pub(crate) async fn drive<K, V, S, Fut: Future>(
    landing: &mut Landing<'static, K, V, S>,
    called: Called<Fut>,
) -> Result<Fut::Output, Unready>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    // Declared first, so that the loader is gone when the permit is given back.
    let _permit = match landing.permits() {
        Some(permits) => Some(Permit::wait(permits).await),
        None => None,
    };
    landing.start();
    let loads = &landing.cache().loads;
    let counted = loads.permits.is_some().then(|| loads.number());
    let loader = pin!(called.map_err(Unready::Panicked)?);
    let mut loader = pin!(contained(loader));
    let loader = poll_fn(|cx| {
        let _running = counted.map(Running::of);
        loader.as_mut().poll(cx)
    });
    let loaded = match (loads.rules.load_timeout, &loads.rules.timer) {
        (Some(after), Some(timer)) => match timer.timeout(after, loader).await {
            Ok(loaded) => loaded,
            Err(Elapsed { after, .. }) => return Err(Unready::Late(after)),
        },
        _ => loader.await,
    };
    loaded.map_err(Unready::Panicked)
}

/// Polls a loader; a panic comes back as its message.
async fn contained<F: Future>(mut loader: Pin<&mut F>) -> Result<F::Output, Arc<str>> {
    poll_fn(|cx| match contain(|| loader.as_mut().poll(cx)) {
        Ok(polled) => polled.map(Ok),
        Err(message) => Poll::Ready(Err(message)),
    })
    .await
}
