//! [`Slots`]: reusable places in which futures run, each with a waker that is made once.
//!
//! A place is made only when no other is free, so a run has as many as it had futures pending
//! together, never more than its limit. A future that is ready at its first poll leaves its place
//! free, and the next one starts in the same place.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::panic::Payload;
use crate::woken::{SlotWaker, Woken};

pub(crate) struct Slots<Fut> {
    slots: Vec<Slot<Fut>>,
    free: Vec<usize>,
    limit: usize,
    woken: Arc<Woken>,
}

struct Slot<Fut> {
    /// Boxed, because a future must not move while the vector grows.
    future: Pin<Box<Option<Fut>>>,
    waker: Waker,
    tag: usize,
}

impl<Fut: Future> Slots<Fut> {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            limit,
            woken: Arc::new(Woken::new(limit)),
        }
    }

    pub(crate) fn has_room(&self) -> bool {
        !self.free.is_empty() || self.slots.len() < self.limit
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.free.len() == self.slots.len()
    }

    /// Starts a future and polls it once. `None` means it is pending and will come out of
    /// [`poll_woken`](Self::poll_woken) under its tag. There must be room.
    pub(crate) fn start(
        &mut self,
        tag: usize,
        make: impl FnOnce() -> Fut,
    ) -> Option<Result<Fut::Output, Payload>> {
        if self.free.is_empty() {
            self.add_slot();
        }
        let index = *self.free.last().expect("a slot was added if none was free");
        let slot = &mut self.slots[index];
        let polled = catch_unwind(AssertUnwindSafe(|| {
            slot.future.as_mut().set(Some(make()));
            slot.poll_and_clear()
        }));
        match polled {
            Ok(Poll::Ready(output)) => Some(Ok(output)),
            Ok(Poll::Pending) => {
                slot.tag = tag;
                self.free.pop();
                None
            }
            Err(payload) => {
                slot.clear();
                Some(Err(payload))
            }
        }
    }

    /// Polls each future that was woken since the last call, once, and hands out those that ended.
    /// From now on `waker` is woken when another one asks for a poll.
    pub(crate) fn poll_woken(
        &mut self,
        waker: &Waker,
        mut ended: impl FnMut(usize, Result<Fut::Output, Payload>),
    ) {
        let Self {
            slots, free, woken, ..
        } = self;
        woken.set_parent(waker);
        woken.drain(|index| {
            let slot = &mut slots[index];
            if slot.future.is_none() {
                return; // woken late, by a waker of an earlier future of this slot
            }
            let result = match catch_unwind(AssertUnwindSafe(|| slot.poll_and_clear())) {
                Ok(Poll::Pending) => return,
                Ok(Poll::Ready(output)) => Ok(output),
                Err(payload) => {
                    slot.clear();
                    Err(payload)
                }
            };
            free.push(index);
            ended(slot.tag, result);
        });
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

impl<Fut> Drop for Slots<Fut> {
    fn drop(&mut self) {
        self.woken.clear_parent();
    }
}

impl<Fut: Future> Slot<Fut> {
    fn poll_and_clear(&mut self) -> Poll<Fut::Output> {
        let mut context = Context::from_waker(&self.waker);
        match self.future.as_mut().as_pin_mut() {
            Some(future) => {
                let polled = future.poll(&mut context);
                if polled.is_ready() {
                    self.future.as_mut().set(None);
                }
                polled
            }
            None => Poll::Pending,
        }
    }

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
