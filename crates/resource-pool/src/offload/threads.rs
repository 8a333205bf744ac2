//! [`Threads`]: a few threads that may block, started when there is something to do.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::{BlockingJob, RunBlocking};
use crate::panics::contain;

/// A thread that has nothing to do for so long ends.
const IDLE: Duration = Duration::from_secs(10);

/// Up to so many threads for work that blocks. They start when there is something to do, and end
/// after ten seconds without. What is more waits its turn; that is no more than a
/// pool has resources, and what it has given up since on threads that hang.
///
/// Dropped, the threads end when they have done what was given to them.
pub struct Threads {
    crew: Arc<Crew>,
}

struct Crew {
    most: usize,
    state: Mutex<State>,
    has_news: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<BlockingJob>,
    threads: usize,
    /// Of these, how many wait for a job.
    idle: usize,
    is_over: bool,
}

impl Threads {
    /// Up to so many, and at least one.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            crew: Arc::new(Crew {
                most: most.max(1),
                state: Mutex::default(),
                has_news: Condvar::new(),
            }),
        }
    }
}

impl RunBlocking for Threads {
    fn run(&self, job: BlockingJob) {
        let needs_thread = {
            let mut state = self.crew.lock();
            state.jobs.push_back(job);
            let needs_thread = state.jobs.len() > state.idle && state.threads < self.crew.most;
            state.threads += usize::from(needs_thread);
            needs_thread
        };
        if !needs_thread {
            self.crew.has_news.notify_one();
            return;
        }
        let crew = Arc::clone(&self.crew);
        let started = thread::Builder::new()
            .name(String::from("pool-blocking"))
            .spawn(move || crew.work());
        if started.is_err() {
            // The system has no thread to spare: as good a moment to do it here as any.
            self.crew.work_off();
        }
    }
}

impl Crew {
    /// No foreign code runs while this is locked, so poison means nothing.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A thread's life. It is counted already.
    fn work(&self) {
        while let Some(job) = self.next() {
            let _ = contain(job);
        }
    }

    fn next(&self) -> Option<BlockingJob> {
        let mut state = self.lock();
        let mut has_waited = false;
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if has_waited || state.is_over {
                state.threads -= 1;
                return None;
            }
            state.idle += 1;
            let waited = self.has_news.wait_timeout(state, IDLE);
            let timeout;
            (state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
            has_waited = timeout.timed_out();
        }
    }

    /// What was to be a thread's life, on this one and without waiting.
    fn work_off(&self) {
        loop {
            let job = {
                let mut state = self.lock();
                match state.jobs.pop_front() {
                    Some(job) => job,
                    None => {
                        state.threads -= 1;
                        return;
                    }
                }
            };
            let _ = contain(job);
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.crew.lock().is_over = true;
        self.crew.has_news.notify_all();
    }
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.crew.lock();
        f.debug_struct("Threads")
            .field("most", &self.crew.most)
            .field("threads", &state.threads)
            .field("idle", &state.idle)
            .field("jobs", &state.jobs.len())
            .finish_non_exhaustive()
    }
}
