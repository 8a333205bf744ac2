//! [`Job`]: what becomes of a job, for whoever submitted it; [`Reply`]: the other end.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use brolly_sync::block_on;

use crate::panics::{contained, discard, wake};
use crate::primitive::{Mutex, lock};
use crate::workers::error::JobError;

/// A job as the workers see it: it says whether it went well.
pub(super) type Work = Pin<Box<dyn Future<Output = bool> + Send>>;

/// What becomes of a job: a future of its result. Dropped, the job goes on without it.
///
/// # Cancel safety
///
/// A look at it changes nothing; the result stays until it is taken.
#[must_use = "it is how the result is had"]
pub struct Job<T, E: Error + 'static> {
    cell: Arc<Cell<T, E>>,
}

struct Cell<T, E: Error + 'static>(Mutex<Outcome<T, E>>);

enum Outcome<T, E: Error + 'static> {
    Pending(Option<Waker>),
    Ready(Result<T, JobError<E>>),
    Taken,
}

/// Answers once; if it is dropped before, the answer is that the job was dropped.
struct Reply<T, E: Error + 'static>(Arc<Cell<T, E>>);

/// Parts a job into what is worked on and what is waited for.
pub(super) fn part<T, E, F>(job: F) -> (Work, Job<T, E>)
where
    F: Future<Output = Result<T, E>> + Send + 'static,
    T: Send + 'static,
    E: Error + Send + 'static,
{
    let cell = Arc::new(Cell(Mutex::new(Outcome::Pending(None))));
    let reply = Reply(Arc::clone(&cell));
    let work = async move {
        let result = match contained(job).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(JobError::Failed(error)),
            Err(message) => Err(JobError::Panicked { message }),
        };
        let is_well = result.is_ok();
        reply.answer(result);
        is_well
    };
    (Box::pin(work), Job { cell })
}

impl<T, E: Error + 'static> Job<T, E> {
    /// Waits on this thread. Must not be called from a task: it would block the executor's thread.
    ///
    /// # Errors
    ///
    /// [`JobError`] when the job failed, panicked or was dropped.
    pub fn wait(self) -> Result<T, JobError<E>> {
        block_on(self)
    }
}

impl<T, E: Error + 'static> Future for Job<T, E> {
    type Output = Result<T, JobError<E>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let waker = cx.waker().clone();
        let before = {
            let mut outcome = lock(&self.cell.0);
            match std::mem::replace(&mut *outcome, Outcome::Taken) {
                Outcome::Ready(result) => return Poll::Ready(result),
                Outcome::Taken => return Poll::Ready(Err(JobError::Dropped)),
                Outcome::Pending(before) => {
                    *outcome = Outcome::Pending(Some(waker));
                    before
                }
            }
        };
        discard(before);
        Poll::Pending
    }
}

impl<T, E: Error + 'static> Reply<T, E> {
    fn answer(&self, result: Result<T, JobError<E>>) {
        let before = {
            let mut outcome = lock(&self.0.0);
            if !matches!(*outcome, Outcome::Pending(_)) {
                return;
            }
            std::mem::replace(&mut *outcome, Outcome::Ready(result))
        };
        if let Outcome::Pending(Some(waker)) = before {
            wake(waker);
        }
    }
}

impl<T, E: Error + 'static> Drop for Reply<T, E> {
    fn drop(&mut self) {
        self.answer(Err(JobError::Dropped));
    }
}

impl<T, E: Error + 'static> fmt::Debug for Job<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_ready = matches!(*lock(&self.cell.0), Outcome::Ready(_));
        f.debug_struct("Job")
            .field("is_ready", &is_ready)
            .finish_non_exhaustive()
    }
}
