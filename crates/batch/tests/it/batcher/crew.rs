//! A spawner whose tasks run when the test says so, and shorthands for calls.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use brolly_batch::{BatchError, BatcherBuilder, Submit};
use brolly_sync::{ManualClock, Task};

use crate::support::poll;

pub(crate) type Outcome<V = u32> = Result<V, BatchError<&'static str>>;

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().expect("no test panics while it holds a lock")
}

/// Tasks that were spawned and are run by [`run`](Self::run) only.
#[derive(Clone, Default)]
pub(crate) struct Crew {
    jobs: Arc<Mutex<VecDeque<Arc<Job>>>>,
}

struct Job {
    task: Mutex<Option<Task>>,
    is_woken: AtomicBool,
}

impl Wake for Job {
    fn wake(self: Arc<Self>) {
        self.is_woken.store(true, Ordering::SeqCst);
    }
}

impl Crew {
    pub(crate) fn spawner(&self) -> impl Fn(Task) + Send + Sync + use<> {
        let jobs = Arc::clone(&self.jobs);
        move |task| {
            let job = Job {
                task: Mutex::new(Some(task)),
                is_woken: AtomicBool::new(true),
            };
            locked(&jobs).push_back(Arc::new(job));
        }
    }

    /// Polls woken tasks, in the order of their spawning, until none is woken.
    pub(crate) fn run(&self) {
        loop {
            let jobs: Vec<_> = locked(&self.jobs).iter().cloned().collect();
            let mut is_quiet = true;
            for job in jobs {
                if !job.is_woken.swap(false, Ordering::SeqCst) {
                    continue;
                }
                is_quiet = false;
                let task = locked(&job.task).take();
                if let Some(mut task) = task {
                    let waker = Waker::from(Arc::clone(&job));
                    let mut cx = Context::from_waker(&waker);
                    if task.as_mut().poll(&mut cx).is_pending() {
                        *locked(&job.task) = Some(task);
                    }
                }
            }
            let is_alive = |job: &Arc<Job>| locked(&job.task).is_some();
            locked(&self.jobs).retain(is_alive);
            if is_quiet {
                return;
            }
        }
    }

    pub(crate) fn tasks(&self) -> usize {
        locked(&self.jobs).len()
    }

    /// Drops all tasks, as a runtime does that shuts down.
    pub(crate) fn shut_down(&self) {
        let jobs = std::mem::take(&mut *locked(&self.jobs));
        for job in jobs {
            let task = locked(&job.task).take();
            drop(task);
        }
    }
}

/// A gate that bulk functions wait at.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<Mutex<(bool, Vec<Waker>)>>);

impl Gate {
    pub(crate) fn open(&self) {
        let wakers = {
            let mut gate = locked(&self.0);
            gate.0 = true;
            std::mem::take(&mut gate.1)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    pub(crate) async fn pass(&self) {
        std::future::poll_fn(|cx| {
            let mut gate = locked(&self.0);
            if gate.0 {
                return Poll::Ready(());
            }
            gate.1.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// What the bulk function was given, batch by batch.
#[derive(Clone, Default)]
pub(crate) struct Seen<K = u32>(Arc<Mutex<Vec<Vec<K>>>>);

impl<K: Clone> Seen<K> {
    pub(crate) fn note(&self, keys: &[K]) {
        locked(&self.0).push(keys.to_vec());
    }

    pub(crate) fn take(&self) -> Vec<Vec<K>> {
        std::mem::take(&mut *locked(&self.0))
    }
}

pub(crate) const LINGER: Duration = Duration::from_millis(20);

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A builder that lingers [`LINGER`] of this clock.
pub(crate) fn lingering<V>(clock: &ManualClock) -> BatcherBuilder<u32, V, &'static str> {
    brolly_batch::Batcher::builder()
        .linger(LINGER)
        .timer(clock.clone())
}

/// A call that was polled once.
pub(crate) fn begun<K, V, E, P: std::hash::Hash + Eq>(
    mut call: Submit<K, V, E, P>,
) -> Submit<K, V, E, P> {
    assert!(poll(&mut call, Waker::noop()).is_pending());
    call
}

/// The outcome of a call that has one by now.
pub(crate) fn outcome<K, V, E, P: std::hash::Hash + Eq>(
    mut call: Submit<K, V, E, P>,
) -> Result<V, BatchError<E>> {
    match poll(&mut call, Waker::noop()) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => panic!("no outcome yet"),
    }
}
