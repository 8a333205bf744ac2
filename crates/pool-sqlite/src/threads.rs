//! [`Threads`]: threads that wait for SQLite, so that no task has to.

use std::any::Any;
use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use brolly_sync::WaitList;

/// How long a thread waits for more work before it ends.
const KEEP: Duration = Duration::from_secs(5);

type Job = Box<dyn FnOnce() + Send>;

/// Threads that are started when there is work for them and end when there is none.
///
/// There are never more than jobs that run at once, and each job has a connection, is making one or
/// is closing one: the sizes of the pools are their limit.
#[derive(Clone)]
pub(crate) struct Threads(Arc<Handle>);

/// Lets the threads go when the last of the handles does.
struct Handle(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    /// Rung for each job that an idle thread is to take.
    bell: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// Threads that wait at the bell, those included that were called and have not come yet.
    idle: usize,
    is_over: bool,
}

/// What a job came to: its value, or the message of its panic.
pub(crate) type Ended<T> = Result<T, Arc<str>>;

impl Threads {
    pub(crate) fn new() -> Self {
        let inner = Inner {
            state: Mutex::default(),
            bell: Condvar::new(),
        };
        Self(Arc::new(Handle(Arc::new(inner))))
    }

    /// Starts a job. Returns once it is certain that a thread will run it, not waiting for that.
    pub(crate) fn start(&self, job: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let inner = &self.0.0;
        {
            let mut state = inner.lock();
            if state.idle > state.jobs.len() {
                state.jobs.push_back(Box::new(job));
                drop(state);
                inner.bell.notify_one();
                return Ok(());
            }
        }
        let inner = Arc::clone(inner);
        let worker = thread::Builder::new().name("pool-sqlite".to_owned());
        worker.spawn(move || {
            let _ = contain(job);
            inner.work();
        })?;
        Ok(())
    }

    /// Runs a job and waits for what it comes to.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does not end the job, which runs on once it was started; its value is
    /// dropped on its thread.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<Ended<T>> {
        let answer = Arc::new(WaitList::new(Vec::new()));
        let answers = Arc::clone(&answer);
        self.start(move || {
            let ended = contain(job);
            answers.put(ended);
        })?;
        Ok(answer.take().await)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.lock().is_over = true;
        self.0.bell.notify_all();
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes jobs until there are none for a while.
    fn work(&self) {
        while let Some(job) = self.next() {
            let _ = contain(job);
        }
    }

    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        if let Some(job) = state.jobs.pop_front() {
            return Some(job);
        }
        if state.is_over {
            return None;
        }
        state.idle += 1;
        let waiting = self
            .bell
            .wait_timeout_while(state, KEEP, |it| it.jobs.is_empty() && !it.is_over);
        let (mut state, _) = waiting.unwrap_or_else(PoisonError::into_inner);
        state.idle -= 1;
        state.jobs.pop_front()
    }
}

/// Runs foreign code; a panic comes back as its message.
pub(crate) fn contain<T>(code: impl FnOnce() -> T) -> Ended<T> {
    catch_unwind(AssertUnwindSafe(code)).map_err(message)
}

fn message(payload: Box<dyn Any + Send>) -> Arc<str> {
    let text = match payload.downcast_ref::<&'static str>() {
        Some(text) => Arc::from(*text),
        None => match payload.downcast_ref::<String>() {
            Some(text) => Arc::from(text.as_str()),
            None => Arc::from("a panic without a message"),
        },
    };
    // A payload of a foreign type may panic when it is dropped; what that panic carries is leaked.
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(second);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use brolly_sync::block_on;

    use super::*;

    #[test]
    fn a_panic_ends_the_job_and_not_the_thread() {
        let threads = Threads::new();
        let first = block_on(threads.run(|| panic!("no"))).unwrap();
        assert_eq!(first, Err::<(), _>(Arc::from("no")));
        let second = block_on(threads.run(|| 7)).unwrap();
        assert_eq!(second, Ok(7));
    }

    #[test]
    fn an_idle_thread_is_used_before_another_is_started() {
        let threads = Threads::new();
        let first = block_on(threads.run(|| thread::current().id())).unwrap();
        for _ in 0..100 {
            while threads.0.0.lock().idle == 0 {
                thread::yield_now();
            }
            let next = block_on(threads.run(|| thread::current().id())).unwrap();
            assert_eq!(next, first);
        }
    }

    #[test]
    fn no_job_waits_for_another() {
        let threads = Threads::new();
        let barrier = Arc::new(std::sync::Barrier::new(8));
        let (done, all) = mpsc::channel();
        for round in 0..50 {
            for _ in 0..8 {
                let (barrier, done) = (Arc::clone(&barrier), done.clone());
                let meet = move || {
                    barrier.wait();
                    done.send(round).unwrap();
                };
                threads.start(meet).unwrap();
            }
            for _ in 0..8 {
                assert_eq!(all.recv_timeout(Duration::from_secs(10)), Ok(round));
            }
        }
    }

    #[test]
    fn one_idle_thread_is_not_promised_to_two_jobs() {
        for _ in 0..50 {
            let threads = Threads::new();
            block_on(threads.run(|| ())).unwrap().unwrap();
            while threads.0.0.lock().idle == 0 {
                thread::yield_now();
            }
            let barrier = Arc::new(std::sync::Barrier::new(2));
            let (done, all) = mpsc::channel();
            for _ in 0..2 {
                let (barrier, done) = (Arc::clone(&barrier), done.clone());
                let meet = move || {
                    barrier.wait();
                    done.send(()).unwrap();
                };
                threads.start(meet).unwrap();
            }
            for _ in 0..2 {
                all.recv_timeout(Duration::from_secs(10)).unwrap();
            }
        }
    }

    #[test]
    fn jobs_that_were_started_run_although_all_handles_are_gone() {
        let (done, all) = mpsc::channel();
        for _ in 0..100 {
            let threads = Threads::new();
            for _ in 0..3 {
                let done = done.clone();
                threads.start(move || done.send(()).unwrap()).unwrap();
            }
        }
        for _ in 0..300 {
            all.recv_timeout(Duration::from_secs(10)).unwrap();
        }
    }

    #[test]
    fn threads_end_with_their_handles() {
        let threads = Threads::new();
        block_on(threads.run(|| ())).unwrap().unwrap();
        let inner = Arc::downgrade(&threads.0.0);
        drop(threads);
        let began = std::time::Instant::now();
        while inner.strong_count() > 0 {
            assert!(began.elapsed() < KEEP, "they wait for work");
            thread::yield_now();
        }
    }
}
