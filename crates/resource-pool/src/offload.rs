//! [`Offloaded`]: a manager whose functions block, run on threads that may, so that nobody who polls
//! is held up.
//!
//! A resource travels to the thread and back by value; meanwhile its [`Away`] is empty. If nobody
//! waits for the answer any more, the thread closes what it has.

mod answer;
mod threads;

use std::any::Any;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

pub use threads::Threads;

use crate::manager::{Blocking, BlockingManager, CloseReason, Manager, Usage};
use crate::panics::{contain, discard};
use answer::{Told, answer};

/// Something to do that blocks its thread.
pub type BlockingJob = Box<dyn FnOnce() + Send>;

/// Runs jobs on threads that may block: [`Threads`], the handle of a tokio runtime with feature
/// `tokio`, or a closure.
///
/// A job that is dropped instead of run never answers: the pool's time limits end the wait.
pub trait RunBlocking: Send + Sync {
    /// Has the job run elsewhere, and returns at once.
    fn run(&self, job: BlockingJob);
}

impl<F: Fn(BlockingJob) + Send + Sync> RunBlocking for F {
    fn run(&self, job: BlockingJob) {
        self(job);
    }
}

impl<T: RunBlocking + ?Sized> RunBlocking for Arc<T> {
    fn run(&self, job: BlockingJob) {
        (**self).run(job);
    }
}

#[cfg(feature = "tokio")]
#[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
impl RunBlocking for tokio::runtime::Handle {
    fn run(&self, job: BlockingJob) {
        drop(self.spawn_blocking(job));
    }
}

impl<M: BlockingManager> Blocking<M> {
    /// The same, with creating, checking and closing done on these threads. A pool's time limits then
    /// end the wait for a function that hangs, though not the function.
    ///
    /// ```
    /// # use std::convert::Infallible;
    /// use brolly_resource_pool::{Blocking, BlockingManager, Pool, Threads};
    ///
    /// struct Slow;
    ///
    /// impl BlockingManager for Slow {
    ///     type Resource = String;
    ///     type Error = Infallible;
    ///
    ///     fn create(&self) -> Result<String, Infallible> {
    ///         std::thread::sleep(std::time::Duration::from_millis(5));
    ///         Ok(String::from("a connection"))
    ///     }
    /// }
    ///
    /// let manager = Blocking(Slow).on(Threads::new(4));
    /// let pool = Pool::builder(manager).max_size(2).build()?;
    /// assert_eq!(pool.acquire_blocking().unwrap().len(), 12);
    /// # Ok::<(), brolly_resource_pool::ConfigError>(())
    /// ```
    pub fn on(self, threads: impl RunBlocking + 'static) -> Offloaded<M> {
        Offloaded {
            manager: Arc::new(self.0),
            threads: Arc::new(threads),
        }
    }
}

/// A [`BlockingManager`] whose work is done on other threads. Made by [`Blocking::on`].
///
/// [`is_broken`](BlockingManager::is_broken), [`is_fatal`](BlockingManager::is_fatal) and
/// [`is_transient`](BlockingManager::is_transient) are asked where they are needed: they must not
/// wait.
pub struct Offloaded<M> {
    manager: Arc<M>,
    threads: Arc<dyn RunBlocking>,
}

impl<M> Offloaded<M> {
    /// What does the work.
    #[must_use]
    pub fn manager(&self) -> &M {
        &self.manager
    }
}

type Ran<T> = Result<T, Box<dyn Any + Send>>;

impl<M: BlockingManager> Offloaded<M> {
    /// Runs a function elsewhere and waits for what it returns. If nobody waits any more, `clean_up`
    /// gets that, there.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&M) -> T + Send + 'static,
        clean_up: fn(&M, T),
    ) -> T {
        let (teller, told) = answer::<Ran<T>>();
        let mut asked = Asked {
            by: self,
            told,
            clean_up,
        };
        let manager = Arc::clone(&self.manager);
        self.threads.run(Box::new(move || {
            let ran = catch_unwind(AssertUnwindSafe(|| work(&manager)));
            match teller.tell(ran) {
                None => {}
                Some(Ok(output)) => {
                    let _ = contain(|| clean_up(&manager, output));
                }
                Some(Err(panic)) => discard(panic),
            }
        }));
        match (&mut asked.told).await {
            Ok(output) => output,
            // The pool makes an error of it, as of a panic on its own thread.
            Err(panic) => resume_unwind(panic),
        }
    }
}

/// Somebody waits for what a function returns. Dropped between the answer and the look at it, this
/// has the answer cleaned up elsewhere.
struct Asked<'a, M: BlockingManager, T: Send + 'static> {
    by: &'a Offloaded<M>,
    told: Told<Ran<T>>,
    clean_up: fn(&M, T),
}

impl<M: BlockingManager, T: Send + 'static> Drop for Asked<'_, M, T> {
    fn drop(&mut self) {
        match self.told.end() {
            None => {}
            Some(Ok(output)) => {
                let manager = Arc::clone(&self.by.manager);
                let clean_up = self.clean_up;
                let _ = contain(|| {
                    self.by.threads.run(Box::new(move || {
                        let _ = contain(|| clean_up(&manager, output));
                    }));
                });
            }
            Some(Err(panic)) => discard(panic),
        }
    }
}

impl<M: BlockingManager> Manager for Offloaded<M> {
    type Resource = Away<M::Resource>;
    type Error = M::Error;

    async fn create(&self) -> Result<Self::Resource, Self::Error> {
        let late = |manager: &M, made: Result<M::Resource, M::Error>| {
            if let Ok(resource) = made {
                manager.close(resource, CloseReason::Surplus);
            }
        };
        let made = self.run(|manager| manager.create(), late).await;
        Ok(Away(Some(made?)))
    }

    async fn recycle(
        &self,
        resource: &mut Self::Resource,
        usage: &Usage,
    ) -> Result<(), Self::Error> {
        let Some(mut inner) = resource.0.take() else {
            // One whose check was given up is closed: it is checked no more.
            return std::future::pending().await;
        };
        let usage = *usage;
        let check = move |manager: &M| {
            let result = manager.recycle(&mut inner, &usage);
            (inner, result)
        };
        let late = |manager: &M, (inner, _): (M::Resource, Result<(), M::Error>)| {
            manager.close(inner, CloseReason::Unhealthy);
        };
        let (inner, result) = self.run(check, late).await;
        resource.0 = Some(inner);
        result
    }

    fn is_broken(&self, resource: &mut Self::Resource) -> bool {
        match &mut resource.0 {
            Some(inner) => self.manager.is_broken(inner),
            None => true,
        }
    }

    fn is_fatal(&self, error: &Self::Error) -> bool {
        self.manager.is_fatal(error)
    }

    fn is_transient(&self, error: &Self::Error) -> bool {
        self.manager.is_transient(error)
    }

    async fn close(&self, resource: Self::Resource, reason: CloseReason) {
        if let Some(inner) = resource.0 {
            let close = move |manager: &M| manager.close(inner, reason);
            self.run(close, |_, ()| {}).await;
        }
    }
}

impl<M: fmt::Debug> fmt::Debug for Offloaded<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Offloaded").field(&self.manager).finish()
    }
}

/// A resource that may be away on another thread while it is checked. It is never handed out empty,
/// so whoever holds a guard has it.
pub struct Away<R>(Option<R>);

const THERE: &str = "a resource that is handed out is not away";

impl<R> Away<R> {
    /// The resource, once it has been detached from its pool.
    ///
    /// `None` only where a check of it was given up, which the pool never hands out.
    #[must_use]
    pub fn into_inner(self) -> Option<R> {
        self.0
    }
}

impl<R> From<R> for Away<R> {
    fn from(resource: R) -> Self {
        Self(Some(resource))
    }
}

impl<R> Deref for Away<R> {
    type Target = R;

    fn deref(&self) -> &R {
        self.0.as_ref().expect(THERE)
    }
}

impl<R> DerefMut for Away<R> {
    fn deref_mut(&mut self) -> &mut R {
        self.0.as_mut().expect(THERE)
    }
}

impl<R: fmt::Debug> fmt::Debug for Away<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(resource) => resource.fmt(f),
            None => f.write_str("away"),
        }
    }
}
