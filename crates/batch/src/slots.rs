//! [`Slots`]: reusable places in which futures run, each with a waker that is made once.
//!
//! A place is made only when no other is free, so a run has as many as it had futures pending
//! together, never more than its limit. A future that is ready at its first poll leaves its place
//! free, and the next one starts in the same place.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::error::ItemError;
use crate::panic::Panic;
use crate::woken::{SlotWaker, Woken};
use crate::work::Work;

pub(crate) struct Slots<Fut> {
    slots: Vec<Slot<Fut>>,
    /// The last one is used next. It leaves the list only when its future turns out pending.
    free: Vec<usize>,
    limit: usize,
    woken: Arc<Woken>,
    /// Scratch space of one poll: the slots that were woken.
    due: Vec<usize>,
}

struct Slot<Fut> {
    /// Boxed, because a future must not move while the vector grows.
    future: Pin<Box<Option<Fut>>>,
    waker: Waker,
    tag: usize,
}

impl<Fut> Slots<Fut> {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            limit,
            woken: Arc::new(Woken::new(limit)),
            due: Vec::new(),
        }
    }

    /// Whether no future is pending.
    pub(crate) fn is_empty(&self) -> bool {
        self.free.len() == self.slots.len()
    }

    /// Ends a poll of the task that is not over: `waker` is woken when a future asks for it, or at
    /// once if `again`.
    pub(crate) fn end_poll(&self, waker: &Waker, again: bool) {
        self.woken.end_poll(waker, again);
    }

    fn has_room(&self) -> bool {
        !self.free.is_empty() || self.slots.len() < self.limit
    }

    #[cold]
    fn add_slot(&mut self) {
        let index = self.slots.len();
        self.slots.push(Slot {
            future: Box::pin(None),
            waker: SlotWaker::waker(&self.woken, index),
            tag: 0,
        });
        self.free.push(index);
    }
}

// One `catch_unwind` spans many items, because entering it costs as much as a small item. What
// must survive a panic therefore lives outside the closure: which item is being run (`active`),
// and how far the loop has come.
impl<Fut, R, E> Slots<Fut>
where
    Fut: Future<Output = Result<R, E>>,
{
    /// Begins a poll of the task: polls each future that was woken since the last one, once, and
    /// files those that ended.
    pub(crate) fn poll_woken<W>(&mut self, work: &mut W)
    where
        W: Work<Output = R, Error = E>,
    {
        let Self {
            slots,
            free,
            woken,
            due,
            ..
        } = self;
        let already_free = free.len();
        woken.begin_poll(|index| due.push(index));
        let mut next = 0;
        while next < due.len() {
            let mut active = None;
            let polled = catch_unwind(AssertUnwindSafe(|| {
                while let Some(&index) = due.get(next) {
                    next += 1;
                    let slot = &mut slots[index];
                    active = Some(index);
                    if let Poll::Ready(result) = poll_and_clear(slot.future.as_mut(), &slot.waker) {
                        free.push(index);
                        work.finish(slot.tag, result.map_err(ItemError::Failed));
                    }
                }
            }));
            if let (Err(payload), Some(index)) = (polled, active) {
                let slot = &mut slots[index];
                slot.clear();
                free.push(index);
                let panic = Panic::new(work.index(slot.tag), payload);
                work.finish(slot.tag, Err(ItemError::Panicked(panic)));
            }
        }
        due.clear();
        // The next items start in these slots from the first to the last, and when they wake
        // together they are polled, and their results filed, in that order.
        free[already_free..].reverse();
    }

    /// Starts items, polling each once, while there is room and the budget lasts. Returns whether
    /// it stopped for the budget.
    pub(crate) fn start<W>(
        &mut self,
        work: &mut W,
        begin: &mut impl FnMut(W::Item) -> Fut,
        budget: usize,
    ) -> bool
    where
        W: Work<Output = R, Error = E>,
    {
        let mut left = budget;
        loop {
            let mut active = None;
            let started = catch_unwind(AssertUnwindSafe(|| {
                while left > 0 && self.has_room() {
                    if self.free.is_empty() {
                        self.add_slot();
                    }
                    let Some((tag, item)) = work.next() else {
                        return false;
                    };
                    left -= 1;
                    active = Some(tag);
                    let index = *self.free.last().expect("a slot was added if none was free");
                    let slot = &mut self.slots[index];
                    let mut place = slot.future.as_mut();
                    place.set(Some(begin(item)));
                    let polled = poll_and_clear(place, &slot.waker);
                    active = None;
                    match polled {
                        Poll::Ready(result) => {
                            work.finish(tag, result.map_err(ItemError::Failed));
                        }
                        Poll::Pending => {
                            slot.tag = tag;
                            self.free.pop();
                        }
                    }
                }
                left == 0
            }));
            match (started, active) {
                (Ok(out_of_budget), _) => return out_of_budget,
                (Err(payload), Some(tag)) => {
                    let index = *self.free.last().expect("the slot that was in use");
                    self.slots[index].clear();
                    let panic = Panic::new(work.index(tag), payload);
                    work.finish(tag, Err(ItemError::Panicked(panic)));
                }
                (Err(payload), None) => resume_unwind(payload), // the work's own
            }
        }
    }
}

impl<Fut> Drop for Slots<Fut> {
    fn drop(&mut self) {
        self.woken.clear_parent();
    }
}

impl<Fut> Slot<Fut> {
    /// Drops a future that panicked. Its destructor may panic too; that is part of the same
    /// failure and not reported again.
    #[cold]
    fn clear(&mut self) {
        let dropped = catch_unwind(AssertUnwindSafe(|| self.future.as_mut().set(None)));
        if let Err(payload) = dropped {
            std::mem::forget(payload);
        }
    }
}

/// Polls the future of a slot, if there is one: a waker of an earlier future may come late.
#[inline]
fn poll_and_clear<Fut: Future>(
    mut place: Pin<&mut Option<Fut>>,
    waker: &Waker,
) -> Poll<Fut::Output> {
    let Some(future) = place.as_mut().as_pin_mut() else {
        return Poll::Pending;
    };
    let polled = future.poll(&mut Context::from_waker(waker));
    if polled.is_ready() {
        place.set(None);
    }
    polled
}
