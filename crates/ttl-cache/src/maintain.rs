//! Taking out what has expired without waiting for traffic: on request, or by a [`Maintainer`].

use std::hash::{BuildHasher, Hash};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::Duration;

use brolly_sync::NEVER;
use thiserror::Error;

use crate::cache::Cache;
use crate::error::ConfigError;
use crate::hasher::RandomState;
use crate::inner::{Inner, MAINTAIN_STEPS};

/// What a round of maintenance did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Progress {
    /// Entries that went, as they had expired.
    pub removed: u64,
    /// Whether the budget ended before the work did.
    pub more: bool,
    /// How long until the next entry may expire; zero if there is more to do now, `None` if nothing
    /// in the cache ever expires. It may be too short, never too long.
    pub next_due: Option<Duration>,
}

/// Why there is no maintainer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MaintainerError {
    /// The interval is zero.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is no further thread.
    #[error("the maintainer's thread does not start")]
    Thread(#[source] std::io::Error),
}

/// So many intervals are slept through at most.
const INTERVALS: u32 = 16;

impl<K, V, S> Cache<K, V, S>
where
    K: Hash + Eq,
    S: BuildHasher,
{
    /// Takes out everything that has expired, in steps that each hold a lock for a short time only.
    ///
    /// Nobody has to call this: expired entries are never seen, and every write takes a few of them
    /// out. It frees their memory earlier. Costs what has expired, not what the cache holds.
    #[doc(alias = "cleanup_now")]
    pub fn run_pending_tasks(&self) -> Progress {
        self.maintain(usize::MAX)
    }

    /// As [`run_pending_tasks`](Self::run_pending_tasks), in `budget` units of work at most, each
    /// of which takes out an entry or moves one nearer to its time.
    pub fn maintain(&self, budget: usize) -> Progress {
        let (removed, more) = self.inner.maintain(budget);
        Progress {
            removed,
            more,
            next_due: self.inner.until_due(),
        }
    }

    /// Starts a thread that takes out what has expired, until the [`Maintainer`] or the last handle
    /// to the cache is dropped.
    ///
    /// After each round it sleeps for `interval`, or longer if nothing can have expired by then:
    /// until the first entry does, a time to live has passed, or sixteen intervals have. So memory
    /// of an entry is freed an interval after the entry has expired, or sixteen if it was given a
    /// shorter time to live than the cache's own. It sleeps by the system's clock, also if the cache
    /// was given another one.
    ///
    /// # Errors
    ///
    /// An interval of zero; no thread to be had.
    #[doc(alias = "spawn_cleaner")]
    pub fn spawn_maintainer(&self, interval: Duration) -> Result<Maintainer, MaintainerError>
    where
        K: Send + Sync + 'static,
        V: Send + Sync + 'static,
        S: Send + Sync + 'static,
    {
        let interval = checked(interval)?;
        let bell = Arc::new(Bell::default());
        let weak = Arc::downgrade(&self.inner);
        let (own, finish) = (Arc::clone(&bell), Finish(Arc::clone(&bell)));
        std::thread::Builder::new()
            .name("brolly-maintain".to_owned())
            .spawn(move || {
                let _finish = finish;
                while let Some(rest) = round(&weak, interval, || !own.has_rung()) {
                    if own.wait(rest) {
                        return;
                    }
                }
            })
            .map_err(MaintainerError::Thread)?;
        Ok(self.inner.maintainers.list(bell))
    }

    /// As [`spawn_maintainer`](Self::spawn_maintainer), as a task of a tokio runtime, which must
    /// have its timer enabled. The task yields after every short step.
    ///
    /// # Errors
    ///
    /// An interval of zero.
    #[cfg(feature = "tokio")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
    pub fn spawn_maintainer_on(
        &self,
        runtime: &tokio::runtime::Handle,
        interval: Duration,
    ) -> Result<Maintainer, MaintainerError>
    where
        K: Send + Sync + 'static,
        V: Send + Sync + 'static,
        S: Send + Sync + 'static,
    {
        let interval = checked(interval)?;
        let bell = Arc::new(Bell::default());
        let weak = Arc::downgrade(&self.inner);
        let finish = Finish(Arc::clone(&bell));
        let task = runtime.spawn(async move {
            let _finish = finish;
            loop {
                let rest = loop {
                    let mut steps = 0;
                    match round(&weak, interval, || std::mem::replace(&mut steps, 1) == 0) {
                        Some(Duration::ZERO) => tokio::task::yield_now().await,
                        Some(rest) => break rest,
                        None => return,
                    }
                };
                tokio::time::sleep(rest).await;
            }
        });
        bell.set_task(task.abort_handle());
        Ok(self.inner.maintainers.list(bell))
    }
}

fn checked(interval: Duration) -> Result<Duration, ConfigError> {
    if interval.is_zero() {
        return Err(ConfigError::new("interval", "0s", "more than zero"));
    }
    Ok(interval)
}

/// A round of maintenance, in steps for as long as `goes_on`. Returns how long to rest, zero if it
/// did not end; `None` if the cache has gone.
fn round<K, V, S>(
    cache: &Weak<Inner<K, V, S>>,
    interval: Duration,
    mut goes_on: impl FnMut() -> bool,
) -> Option<Duration>
where
    K: Hash + Eq,
    S: BuildHasher,
{
    while goes_on() {
        let inner = cache.upgrade()?;
        // A destructor that panics spoils its own entry only. It may be the cache's own end that
        // runs here, if its last handle was dropped meanwhile.
        let step = catch_unwind(AssertUnwindSafe(move || {
            let (_, more) = inner.maintain(MAINTAIN_STEPS);
            (!more).then(|| inner.rest(interval))
        }));
        if let Ok(Some(rest)) = step {
            return Some(rest);
        }
    }
    Some(Duration::ZERO)
}

impl<K, V, S> Inner<K, V, S>
where
    K: Hash + Eq,
    S: BuildHasher,
{
    /// How long until something may be due.
    fn until_due(&self) -> Option<Duration> {
        let due = self.next_due()?;
        Some(Duration::from_nanos(due.saturating_sub(self.clock.now())))
    }

    /// How long a maintainer may sleep.
    fn rest(&self, interval: Duration) -> Duration {
        let mut rest = interval.saturating_mul(INTERVALS);
        if let Some(due) = self.until_due() {
            rest = rest.min(due);
        }
        let shortest = self
            .rules
            .time_to_live
            .min(self.layout.idle.unwrap_or(NEVER));
        if shortest != NEVER {
            let jitter = 1.0 - self.rules.jitter;
            rest = rest.min(Duration::from_nanos((shortest as f64 * jitter) as u64));
        }
        rest.max(interval)
    }
}

/// Keeps a maintainer going; dropping it stops the maintainer.
///
/// A step that is being done when this is dropped is finished, in the background.
#[must_use = "the maintainer stops when this is dropped"]
#[derive(Debug)]
pub struct Maintainer {
    bell: Arc<Bell>,
}

impl Maintainer {
    /// Whether it still works. It does until it is stopped or the cache has gone.
    #[must_use]
    pub fn is_running(&self) -> bool {
        !self.bell.has_finished()
    }

    /// Stops it; the same as dropping.
    pub fn stop(self) {}
}

impl Drop for Maintainer {
    fn drop(&mut self) {
        self.bell.ring();
    }
}

/// Ends the sleep of a maintainer for good.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
    finished: AtomicBool,
    #[cfg(feature = "tokio")]
    task: Mutex<Option<tokio::task::AbortHandle>>,
}

impl Bell {
    fn has_rung(&self) -> bool {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_finished(&self) -> bool {
        self.finished.load(Relaxed)
    }

    fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
        #[cfg(feature = "tokio")]
        if let Some(task) = &*self.task.lock().unwrap_or_else(PoisonError::into_inner) {
            task.abort();
        }
    }

    #[cfg(feature = "tokio")]
    fn set_task(&self, task: tokio::task::AbortHandle) {
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
    }

    /// Sleeps. Returns whether the bell has rung.
    fn wait(&self, rest: Duration) -> bool {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(rung, rest, |rung| !*rung);
        let (rung, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *rung
    }
}

/// Notes that a maintainer has ended, however it did.
struct Finish(Arc<Bell>);

impl Drop for Finish {
    fn drop(&mut self) {
        self.0.finished.store(true, Relaxed);
    }
}

/// The maintainers of a cache. They are stopped when it goes.
#[derive(Debug, Default)]
pub(crate) struct Bells(Mutex<Vec<Weak<Bell>>>);

impl Bells {
    fn list(&self, bell: Arc<Bell>) -> Maintainer {
        let mut bells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bells.retain(|bell| bell.strong_count() > 0);
        bells.push(Arc::downgrade(&bell));
        Maintainer { bell }
    }

    /// Whether all maintainers that were not stopped work; `None` if there is none.
    pub(crate) fn work(&self) -> Option<bool> {
        let bells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let live = bells
            .iter()
            .filter_map(Weak::upgrade)
            .filter(|bell| !bell.has_rung());
        let mut states = live.map(|bell| !bell.has_finished()).peekable();
        states.peek()?;
        Some(states.all(|works| works))
    }
}

impl Drop for Bells {
    fn drop(&mut self) {
        let bells = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        for bell in bells.iter().filter_map(Weak::upgrade) {
            bell.ring();
        }
    }
}

const _: () = {
    fn is_send_sync<T: Send + Sync>() {}
    let _ = is_send_sync::<Maintainer>;
    let _ = is_send_sync::<Cache<u8, u8, RandomState>>;
};
