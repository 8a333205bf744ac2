//! One worker: takes a job, does it, takes the next one, until there are too many or nothing to do.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use brolly_sync::Task;

use crate::panics::{contain, discard, wake};
use crate::primitive::lock;
use crate::workers::Shared;
use crate::workers::core::Next;
use crate::workers::job::Work;

/// The place of a worker. Lost if the worker is dropped before it has left by itself.
struct Seat {
    shared: Arc<Shared>,
    number: u64,
}

/// The task of the worker that has this seat.
pub(super) fn task(shared: Arc<Shared>, number: u64) -> Task {
    let seat = Seat { shared, number };
    Box::pin(async move {
        while let Some(work) = seat.next().await {
            seat.shared.make_room();
            seat.work(work).await;
        }
    })
}

impl Seat {
    async fn next(&self) -> Option<Work> {
        poll_fn(|cx| {
            let mut waker = Some(cx.waker().clone());
            let next = lock(&self.shared.core).next(self.number, &mut waker);
            discard(waker);
            match next {
                Next::Work(work) => Poll::Ready(Some(work)),
                Next::Leave(wakers) => {
                    wakers.into_iter().for_each(wake);
                    Poll::Ready(None)
                }
                Next::Wait => Poll::Pending,
            }
        })
        .await
    }

    /// Does a job; drops it once the set is stopped.
    async fn work(&self, work: Work) {
        let clock = &self.shared.world.clock;
        let begun = clock.now();
        let mut work = Some(work);
        let is_well = poll_fn(|cx| self.poll_work(&mut work, cx)).await;
        discard(work);
        let nanos = clock.now().saturating_sub(begun);
        lock(&self.shared.core).done(self.number, is_well, nanos);
    }

    fn poll_work(&self, work: &mut Option<Work>, cx: &mut Context<'_>) -> Poll<Option<bool>> {
        let mut waker = Some(cx.waker().clone());
        let may_go_on = lock(&self.shared.core).may_go_on(self.number, &mut waker);
        discard(waker);
        let Some(it) = work.as_mut().filter(|_| may_go_on) else {
            return Poll::Ready(None);
        };
        // The job's own panics are its result; what panics here is what it left behind.
        match contain(|| it.as_mut().poll(cx)) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(is_well)) => Poll::Ready(Some(is_well)),
            Err(_) => Poll::Ready(Some(false)),
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let (wakers, queue) = {
            let mut core = lock(&self.shared.core);
            let wakers = core.leave(self.number, true);
            (wakers, core.abandoned())
        };
        wakers.into_iter().for_each(wake);
        queue.into_iter().for_each(discard);
    }
}
