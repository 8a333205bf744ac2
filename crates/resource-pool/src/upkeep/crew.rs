//! [`Crew`]: the work of a pool that has no spawner, done by those who wait for it.
//!
//! Every job can go on whenever somebody who waits looks. When what a job waits for happens,
//! everybody who waits is woken: somebody who is kept but not polled holds up nobody.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};

use brolly_sync::Task;

use crate::panics::{contain, discard};
use crate::primitive::{AtomicBool, Mutex, lock};

/// Who wakes those who wait.
pub(crate) trait Alarm: Send + Sync {
    fn wake_everybody(&self);
}

#[derive(Default)]
pub(crate) struct Crew {
    jobs: Mutex<Vec<Arc<Job>>>,
}

struct Job {
    /// Out while somebody polls it.
    task: Mutex<Option<Task>>,
    is_ready: AtomicBool,
    /// It was dropped from the list while somebody polled it, who drops it.
    is_dismissed: AtomicBool,
    alarm: Weak<dyn Alarm>,
}

impl Crew {
    pub(crate) fn add(&self, task: Task, alarm: Weak<dyn Alarm>) {
        let job = Job {
            task: Mutex::new(Some(task)),
            is_ready: AtomicBool::new(true),
            is_dismissed: AtomicBool::new(false),
            alarm,
        };
        lock(&self.jobs).push(Arc::new(job));
    }

    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.jobs).is_empty()
    }

    /// Does what can be done now. False if there was nothing to do.
    pub(crate) fn work(&self) -> bool {
        let ready: Vec<_> = {
            let jobs = lock(&self.jobs);
            if jobs.is_empty() {
                return false;
            }
            let ready = jobs.iter().filter(|it| it.is_ready.load(SeqCst));
            ready.cloned().collect()
        };
        let mut has_worked = false;
        for job in ready {
            has_worked |= self.work_on(&job);
        }
        has_worked
    }

    fn work_on(&self, job: &Arc<Job>) -> bool {
        let waker = Waker::from(Arc::clone(job));
        let mut has_worked = false;
        while job.is_ready.load(SeqCst) {
            // Whoever polls it now looks again at whether it is ready when it puts it back.
            let Some(mut task) = lock(&job.task).take() else {
                break;
            };
            job.is_ready.store(false, SeqCst);
            has_worked = true;
            match contain(|| task.as_mut().poll(&mut Context::from_waker(&waker))) {
                Ok(Poll::Pending) => {
                    *lock(&job.task) = Some(task);
                    if job.is_dismissed.load(SeqCst) {
                        job.drop_task();
                    }
                }
                Ok(Poll::Ready(())) | Err(_) => {
                    lock(&self.jobs).retain(|it| !Arc::ptr_eq(it, job));
                    discard(task);
                    break;
                }
            }
        }
        has_worked
    }

    /// Drops all jobs: nobody is left to do them.
    pub(crate) fn dismiss(&self) {
        let jobs = std::mem::take(&mut *lock(&self.jobs));
        for job in jobs {
            job.is_dismissed.store(true, SeqCst);
            job.drop_task();
        }
    }
}

impl Job {
    fn drop_task(&self) {
        let task = lock(&self.task).take();
        discard(task);
    }
}

impl Wake for Job {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_ready.store(true, SeqCst);
        if let Some(alarm) = self.alarm.upgrade() {
            alarm.wake_everybody();
        }
    }
}
