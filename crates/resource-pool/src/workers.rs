//! [`Workers`]: a set of workers whose number can be changed, and a line of jobs for them.

mod builder;
mod core;
mod error;
mod job;
mod stats;
mod worker;

use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use brolly_sync::{TimerExt, WaitList};

use crate::panics::{contain, discard, wake};
use crate::primitive::{Mutex, lock};

pub use builder::WorkersBuilder;
pub use error::{JobError, ScaleError, SubmitError, SubmitRefused};
pub use job::Job;
pub use stats::{StopReport, WorkerState, WorkerStats};

use self::core::{Core, Phase};
use builder::World;

/// A set of workers, each of which does one job at a time, first come, first served.
///
/// A worker is a task of the spawner's, by default a thread. A job that panics costs a failure and no
/// worker. Cheap to clone; when the last clone is dropped, the jobs in line are done and the workers
/// end.
///
/// ```
/// use std::convert::Infallible;
/// use std::time::Duration;
///
/// use brolly_resource_pool::{WorkerState, Workers};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let workers = Workers::builder().max_workers(4).build()?;
/// workers.start();
/// workers.scale(2)?;
/// let job = workers.try_submit(async { Ok::<_, Infallible>(6 * 7) })?;
/// assert_eq!(job.wait()?, 42);
///
/// assert!(workers.scale(5).is_err()); // four at most
/// let report = workers.stop_blocking(Duration::from_secs(5));
/// assert!(report.is_clean());
/// assert_eq!(workers.stats().state, WorkerState::Stopped);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Workers {
    handle: Arc<Handle>,
}

/// Ends the workers when the last of their users has gone.
struct Handle {
    shared: Arc<Shared>,
}

/// What workers and their users share.
struct Shared {
    core: Mutex<Core>,
    /// Room in line, a unit for each job that may wait.
    room: WaitList<()>,
    name: Arc<str>,
    min_workers: usize,
    max_workers: usize,
    queue: usize,
    world: World,
}

impl Workers {
    /// A set of workers is built from its settings.
    pub fn builder() -> WorkersBuilder {
        WorkersBuilder::default()
    }

    fn new(builder: WorkersBuilder, world: World) -> Self {
        let shared = Shared {
            core: Mutex::new(Core::pending(builder.min_workers)),
            room: WaitList::new(vec![(); builder.queue]),
            name: builder.name,
            min_workers: builder.min_workers,
            max_workers: builder.max_workers,
            queue: builder.queue,
            world,
        };
        let shared = Arc::new(shared);
        Self {
            handle: Arc::new(Handle { shared }),
        }
    }

    /// Starts as many workers as are asked for. Started already or stopped, nothing happens.
    pub fn start(&self) {
        let shared = &self.handle.shared;
        {
            let mut core = lock(&shared.core);
            if core.phase != Phase::Pending {
                return;
            }
            core.phase = Phase::Started;
        }
        shared.fill();
    }

    /// Changes the number of workers. New ones begin at once, and lost ones are replaced; of those
    /// that are too many the idle ones end now, the others after their jobs.
    ///
    /// # Errors
    ///
    /// [`ScaleError`] when the number is out of the set's range, or the set is stopped.
    pub fn scale(&self, workers: usize) -> Result<(), ScaleError> {
        let shared = &self.handle.shared;
        let (min, max) = (shared.min_workers, shared.max_workers);
        if !(min..=max).contains(&workers) {
            let asked = workers;
            return Err(ScaleError::OutOfRange { asked, min, max });
        }
        let surplus = {
            let mut core = lock(&shared.core);
            if core.is_ending() {
                return Err(ScaleError::Stopped);
            }
            core.asked = workers;
            core.surplus()
        };
        surplus.into_iter().for_each(wake);
        shared.fill();
        Ok(())
    }

    /// Puts a job in line, if there is room.
    ///
    /// # Errors
    ///
    /// [`SubmitError`] with the job, when the line is full or the set is stopped.
    pub fn try_submit<T, E, F>(&self, job: F) -> Result<Job<T, E>, SubmitError<F>>
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: Error + Send + 'static,
    {
        let shared = &self.handle.shared;
        if lock(&shared.core).is_ending() {
            let reason = SubmitRefused::Stopped;
            return Err(SubmitError { job, reason });
        }
        match shared.room.try_take() {
            Some(()) => shared.add(job),
            None => {
                let queue = shared.queue;
                let reason = SubmitRefused::Full { queue };
                Err(SubmitError { job, reason })
            }
        }
    }

    /// Puts a job in line as soon as there is room. Those who wait for room get it in the order in
    /// which they came.
    ///
    /// # Errors
    ///
    /// [`SubmitError`] with the job, when the set is stopped.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, the job is dropped and not done.
    pub async fn submit<T, E, F>(&self, job: F) -> Result<Job<T, E>, SubmitError<F>>
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: Error + Send + 'static,
    {
        let shared = &self.handle.shared;
        shared.room.take().await;
        shared.add(job)
    }

    /// Takes no more jobs, and waits for those that were taken; what is not done when the time is over
    /// is dropped, and the report says how much that was.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, the set goes on stopping, without a time limit.
    pub async fn stop(&self, limit: Duration) -> StopReport {
        let shared = &self.handle.shared;
        let begun = shared.world.clock.now();
        shared.begin_stop();
        let over = pin!(shared.all_left());
        let _ = shared.world.timer.timeout(limit, over).await;
        let (queue, unstarted, running, wakers) = {
            let mut core = lock(&shared.core);
            let (queue, wakers) = core.end();
            (queue, core.unstarted, core.active, wakers)
        };
        wakers.into_iter().for_each(wake);
        queue.into_iter().for_each(discard);
        let waited = shared.world.clock.now().saturating_sub(begun);
        StopReport {
            waited: Duration::from_nanos(waited),
            unstarted,
            running,
        }
    }

    /// [`stop`](Self::stop) for threads. Must not be called from a task: it would block the executor's
    /// thread.
    pub fn stop_blocking(&self, limit: Duration) -> StopReport {
        brolly_sync::block_on(self.stop(limit))
    }

    /// How the workers do.
    #[must_use]
    pub fn stats(&self) -> WorkerStats {
        lock(&self.handle.shared.core).stats()
    }
}

impl Shared {
    /// Finds workers for the seats that are free.
    fn fill(self: &Arc<Self>) {
        let missing = lock(&self.core).missing();
        for seat in missing {
            let task = worker::task(Arc::clone(self), seat);
            // If the spawner panics it has dropped the task, and the worker is lost.
            let _ = contain(|| self.world.spawner.spawn(task));
        }
    }

    /// Adds a job for which room was taken.
    fn add<T, E, F>(&self, job: F) -> Result<Job<T, E>, SubmitError<F>>
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: Error + Send + 'static,
    {
        // It can only come back before it is boxed.
        if lock(&self.core).is_ending() {
            self.make_room();
            let reason = SubmitRefused::Stopped;
            return Err(SubmitError { job, reason });
        }
        let (work, job) = job::part(job);
        let added = lock(&self.core).add(work);
        match added {
            Ok(waker) => waker.into_iter().for_each(wake),
            // Its reply says that it was dropped.
            Err(work) => {
                self.make_room();
                discard(work);
            }
        }
        Ok(job)
    }

    fn begin_stop(&self) {
        let wakers = lock(&self.core).begin_stop();
        wakers.into_iter().for_each(wake);
        // Whoever waits for room is told, and tells the next one.
        self.make_room();
    }

    /// One more may be in line. Whoever waits for that is woken; if its waker panics, nobody but that
    /// task is concerned.
    fn make_room(&self) {
        let _ = contain(|| self.room.put(()));
    }

    /// Ready when no worker is left.
    async fn all_left(&self) {
        let watch = Watch {
            shared: self,
            number: lock(&self.core).watcher(),
        };
        poll_fn(|cx| {
            let mut waker = Some(cx.waker().clone());
            let is_over = lock(&self.core).watch(watch.number, &mut waker);
            discard(waker);
            if is_over {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}

/// Somebody who waits for the end; leaves no waker behind.
struct Watch<'a> {
    shared: &'a Shared,
    number: u64,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let waker: Option<Waker> = lock(&self.shared.core).unwatch(self.number);
        discard(waker);
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.begin_stop();
        // Where nobody has ever worked nobody will.
        let (queue, wakers) = {
            let mut core = lock(&self.shared.core);
            if core.stats().total > 0 {
                return;
            }
            core.end()
        };
        wakers.into_iter().for_each(wake);
        queue.into_iter().for_each(discard);
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers")
            .field("name", &self.handle.shared.name)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
