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

use crate::control::Pass;
use crate::error::ItemError;
use crate::panic::{Panic, contained};
use crate::woken::{SlotWaker, Woken};
use crate::work::Work;

pub(crate) struct Slots<Fut> {
    slots: Vec<Slot<Fut>>,
    /// The last one is used next. It leaves the list only when its future turns out pending.
    free: Vec<usize>,
    limit: usize,
    woken: Arc<Woken>,
    /// Wakes the run itself, as the future of a slot of its own would, behind those of the limit.
    signal: Option<Waker>,
    /// Scratch space of one poll: the slots that were woken.
    due: Vec<usize>,
}

struct Slot<Fut> {
    /// Boxed, because a future must not move while the vector grows.
    future: Pin<Box<Option<Fut>>>,
    waker: Waker,
    tag: usize,
    /// What the future holds while it runs; always none in a run without a signal.
    pass: Pass,
}

impl<Fut> Slots<Fut> {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            limit,
            woken: Arc::new(Woken::new(limit)),
            signal: None,
            due: Vec::new(),
        }
    }

    /// Slots whose run has a signal. It is raised to begin with.
    pub(crate) fn with_signal(limit: usize) -> Self {
        let mut slots = Self::new(limit);
        slots.woken = Arc::new(Woken::new(limit + 1));
        slots.woken.raise(limit);
        slots.signal = Some(SlotWaker::waker(&slots.woken, limit));
        slots
    }

    /// What to hand to those who may have something to tell the run.
    pub(crate) fn signal(&self) -> &Waker {
        self.signal.as_ref().unwrap_or(Waker::noop())
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

    pub(crate) fn has_room(&self) -> bool {
        !self.free.is_empty() || self.slots.len() < self.limit
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Begins a poll of the task: notes which slots were woken. Returns whether the signal was.
    pub(crate) fn begin_poll(&mut self) -> bool {
        let Self {
            woken, due, limit, ..
        } = self;
        let mut signalled = false;
        woken.begin_poll(|index| match index == *limit {
            true => signalled = true,
            false => due.push(index),
        });
        signalled
    }

    /// Drops all futures, telling each one's tag.
    pub(crate) fn drop_running(&mut self, mut tell: impl FnMut(usize)) {
        for (index, slot) in self.slots.iter_mut().enumerate() {
            if slot.future.is_some() {
                slot.clear();
                self.free.push(index);
                tell(slot.tag);
                slot.release();
            }
        }
    }

    #[cold]
    fn add_slot(&mut self) {
        let index = self.slots.len();
        self.slots.push(Slot {
            future: Box::pin(None),
            waker: SlotWaker::waker(&self.woken, index),
            tag: 0,
            pass: None,
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
    /// Polls each future that was woken before [`begin_poll`](Self::begin_poll), once, and files
    /// those that ended.
    pub(crate) fn poll_woken<W>(&mut self, work: &mut W)
    where
        W: Work<Output = R, Error = E>,
    {
        let Self {
            slots,
            free,
            due,
            signal,
            ..
        } = self;
        let already_free = free.len();
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
        if signal.is_some() {
            for &index in &free[already_free..] {
                slots[index].release();
            }
        }
        // The next items start in these slots from the first to the last, and when they wake
        // together they are polled, and their results filed, in that order.
        free[already_free..].reverse();
    }

    /// Starts one item, which there must be room for, and polls it once. It holds the pass until it
    /// has ended.
    pub(crate) fn start_one<W>(
        &mut self,
        work: &mut W,
        begin: &mut impl FnMut(W::Item) -> Fut,
        tag: usize,
        item: W::Item,
        pass: Pass,
    ) where
        W: Work<Output = R, Error = E>,
    {
        if self.free.is_empty() {
            self.add_slot();
        }
        let index = *self.free.last().expect("a slot was added if none was free");
        let slot = &mut self.slots[index];
        slot.pass = pass;
        let polled = catch_unwind(AssertUnwindSafe(|| {
            let mut place = slot.future.as_mut();
            place.set(Some(begin(item)));
            poll_and_clear(place, &slot.waker)
        }));
        match polled {
            Ok(Poll::Pending) => {
                slot.tag = tag;
                self.free.pop();
                return;
            }
            Ok(Poll::Ready(result)) => work.finish(tag, result.map_err(ItemError::Failed)),
            Err(payload) => {
                slot.clear();
                let panic = Panic::new(work.index(tag), payload);
                work.finish(tag, Err(ItemError::Panicked(panic)));
            }
        }
        slot.release();
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
    /// Drops a future that panicked, or that is not wanted any more. Its destructor may panic too;
    /// that is part of the same end and not reported again.
    #[cold]
    fn clear(&mut self) {
        contained(|| self.future.as_mut().set(None));
    }

    /// Returns the pass. That may wake others, whose wakers are foreign code.
    fn release(&mut self) {
        if let Some(pass) = self.pass.take() {
            contained(|| drop(pass));
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
