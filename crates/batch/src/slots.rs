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

use crate::control::{Pass, under};
use crate::error::ItemError;
use crate::herd::Herd;
use crate::panic::{Panic, contained};
use crate::woken::{SlotWaker, Woken};
use crate::work::Work;

/// What a slot is trusted with at most: so many of its polls may find a future of the herd pending
/// before the next ones wait for its own waker.
const MOST_TRUST: u8 = 4;

/// What a slot earns by a poll that was worth it.
const REWARD: u8 = 2;

/// The greatest limit of a run whose futures may share a waker, so that one wake-up stays short.
const MOST_IN_HERD: usize = 32;

pub(crate) struct Slots<Fut> {
    slots: Vec<Slot<Fut>>,
    /// The last one is used next. It leaves the list only when its future turns out pending.
    free: Vec<usize>,
    limit: usize,
    herd: Herd,
    /// A bit for each slot whose pending future has the waker of the herd: those with trust left.
    members: u64,
    /// Those of them that are to be polled.
    herd_due: u64,
    /// The other slots that were woken. Made with the first waker of its own that a slot needs.
    woken: Option<Arc<Woken>>,
    /// Wakes the run itself, as the future of a slot of its own would, behind those of the limit.
    signal: Option<Waker>,
    /// Scratch space of one poll: the other slots that are to be polled.
    due: Vec<usize>,
    /// Whether these are at least half of the slots that wait alone, in a run that may have a herd.
    dense: bool,
}

struct Slot<Fut> {
    /// Boxed, because a future must not move while the vector grows.
    future: Pin<Box<Option<Fut>>>,
    /// Made when it is needed for the first time.
    waker: Option<Waker>,
    trust: u8,
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
            herd: Herd::default(),
            members: 0,
            herd_due: 0,
            woken: None,
            signal: None,
            due: Vec::new(),
            dense: false,
        }
    }

    /// Slots whose run has a signal. It is raised to begin with.
    pub(crate) fn with_signal(limit: usize) -> Self {
        let mut slots = Self::new(limit);
        let signal = new_waker(&mut slots.woken, limit, limit);
        signal.wake_by_ref();
        slots.signal = Some(signal);
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
        match &self.woken {
            Some(woken) => woken.end_poll(waker, again),
            None if again => waker.wake_by_ref(),
            None => {}
        }
    }

    pub(crate) fn has_room(&self) -> bool {
        !self.free.is_empty() || self.slots.len() < self.limit
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Begins a poll of the task, whose waker this is: notes which slots are to be polled. Returns
    /// whether the signal was raised.
    pub(crate) fn begin_poll(&mut self, waker: &Waker) -> bool {
        let may_have_herd = self.limit <= MOST_IN_HERD;
        if may_have_herd && self.herd.begin_poll(waker) {
            self.herd_due = std::mem::take(&mut self.members);
        }
        let mut signalled = false;
        if let Some(woken) = &self.woken {
            let Self { due, limit, .. } = self;
            woken.begin_poll(|index| match index == *limit {
                true => signalled = true,
                false => due.push(index),
            });
            let of_herd = (self.members | self.herd_due).count_ones() as usize;
            let alone = self.slots.len() - self.free.len() - of_herd;
            self.dense = may_have_herd && self.due.len() * 2 >= alone;
        }
        signalled
    }

    /// Drops all futures, telling each one's tag.
    pub(crate) fn drop_running(&mut self, mut tell: impl FnMut(usize)) {
        self.members = 0;
        self.herd_due = 0; // there is nothing left to poll
        self.due.clear();
        for (index, slot) in self.slots.iter_mut().enumerate() {
            if slot.future.is_some() {
                slot.clear();
                self.free.push(index);
                tell(slot.tag);
                slot.release();
            }
        }
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
            limit,
            herd,
            members,
            woken,
            signal,
            due,
            herd_due,
            dense,
        } = self;
        let already_free = free.len();
        let shared = herd.waker();
        let mut next = 0;
        while *herd_due != 0 || next < due.len() {
            let mut active = None;
            let polled = catch_unwind(AssertUnwindSafe(|| {
                let mut bits = *herd_due;
                while bits != 0 {
                    let index = bits.trailing_zeros() as usize;
                    bits &= bits - 1;
                    *herd_due = bits;
                    active = Some(index);
                    let slot = &mut slots[index];
                    let waker = match slot.trust {
                        1 => own_waker(&mut slot.waker, woken, *limit, index),
                        _ => shared,
                    };
                    match poll_under(&mut slot.pass, slot.future.as_mut(), waker) {
                        Poll::Ready(result) => {
                            if slot.trust < MOST_TRUST {
                                slot.trust = MOST_TRUST.min(slot.trust + REWARD);
                            }
                            free.push(index);
                            work.finish(slot.tag, result.map_err(ItemError::Failed));
                        }
                        Poll::Pending => {
                            slot.trust -= 1;
                            if slot.trust > 0 {
                                *members |= 1 << index;
                            }
                        }
                    }
                }
                while let Some(&index) = due.get(next) {
                    next += 1;
                    let slot = &mut slots[index];
                    if slot.trust > 0 || slot.future.is_none() {
                        continue; // a late wake-up: the future is gone, or by now of the herd
                    }
                    active = Some(index);
                    if *dense {
                        slot.trust = REWARD;
                    }
                    let waker = match slot.trust {
                        0 => own_waker(&mut slot.waker, woken, *limit, index),
                        _ => shared,
                    };
                    match poll_under(&mut slot.pass, slot.future.as_mut(), waker) {
                        Poll::Ready(result) => {
                            free.push(index);
                            work.finish(slot.tag, result.map_err(ItemError::Failed));
                        }
                        Poll::Pending if slot.trust > 0 => *members |= 1 << index,
                        Poll::Pending => {}
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
            add_slot(&mut self.slots, &mut self.free, self.limit);
        }
        let index = *self.free.last().expect("a slot was added if none was free");
        let slot = &mut self.slots[index];
        slot.pass = pass;
        let waker = match slot.trust {
            0 => own_waker(&mut slot.waker, &mut self.woken, self.limit, index),
            _ => self.herd.waker(),
        };
        let mut place = slot.future.as_mut();
        let pass = &mut slot.pass;
        let polled = catch_unwind(AssertUnwindSafe(|| {
            under(pass, || {
                place.set(Some(begin(item)));
                poll_and_clear(place, waker)
            })
        }));
        match polled {
            Ok(Poll::Pending) => {
                slot.tag = tag;
                self.free.pop();
                if slot.trust > 0 {
                    self.members |= 1 << index;
                }
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
        let Self {
            slots,
            free,
            limit,
            herd,
            members,
            woken,
            ..
        } = self;
        let shared = herd.waker();
        let mut left = budget;
        loop {
            let mut active = None;
            let started = catch_unwind(AssertUnwindSafe(|| {
                while left > 0 {
                    if free.is_empty() {
                        if slots.len() == *limit {
                            return false;
                        }
                        add_slot(slots, free, *limit);
                    }
                    let index = *free.last().expect("a slot was added if none was free");
                    let slot = &mut slots[index];
                    let waker = match slot.trust {
                        0 => own_waker(&mut slot.waker, woken, *limit, index),
                        _ => shared,
                    };
                    let mut place = slot.future.as_mut();
                    // Items that never wait all run in this slot.
                    loop {
                        let Some((tag, item)) = work.next() else {
                            return false;
                        };
                        left -= 1;
                        active = Some(tag);
                        place.set(Some(begin(item)));
                        let polled = poll_and_clear(place.as_mut(), waker);
                        active = None;
                        let Poll::Ready(result) = polled else {
                            slot.tag = tag;
                            break;
                        };
                        work.finish(tag, result.map_err(ItemError::Failed));
                        if left == 0 {
                            return true;
                        }
                    }
                    free.pop();
                    if slot.trust > 0 {
                        *members |= 1 << index;
                    }
                }
                true
            }));
            match (started, active) {
                (Ok(out_of_budget), _) => return out_of_budget,
                (Err(payload), Some(tag)) => {
                    let index = *free.last().expect("the slot that was in use");
                    slots[index].clear();
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
        if let Some(woken) = &self.woken {
            woken.clear_parent();
        }
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

#[cold]
fn add_slot<Fut>(slots: &mut Vec<Slot<Fut>>, free: &mut Vec<usize>, limit: usize) {
    free.push(slots.len());
    slots.push(Slot {
        future: Box::pin(None),
        waker: None,
        trust: match limit {
            ..=MOST_IN_HERD => MOST_TRUST,
            _ => 0,
        },
        tag: 0,
        pass: None,
    });
}

/// The waker of one slot alone.
#[inline]
fn own_waker<'a>(
    waker: &'a mut Option<Waker>,
    woken: &mut Option<Arc<Woken>>,
    limit: usize,
    index: usize,
) -> &'a Waker {
    waker.get_or_insert_with(|| new_waker(woken, limit, index))
}

#[cold]
fn new_waker(woken: &mut Option<Arc<Woken>>, limit: usize, index: usize) -> Waker {
    let woken = woken.get_or_insert_with(|| Arc::new(Woken::new(limit + 1)));
    SlotWaker::waker(woken, index)
}

/// Polls the future of a slot under its pass, if it has one.
#[inline]
fn poll_under<Fut: Future>(
    pass: &mut Pass,
    place: Pin<&mut Option<Fut>>,
    waker: &Waker,
) -> Poll<Fut::Output> {
    /// Not inlined, so that the future's code stands only once where runs without passes poll it.
    #[cold]
    #[inline(never)]
    fn entered<Fut: Future>(
        pass: &mut Pass,
        place: Pin<&mut Option<Fut>>,
        waker: &Waker,
    ) -> Poll<Fut::Output> {
        under(pass, || poll_and_clear(place, waker))
    }

    match pass {
        None => poll_and_clear(place, waker),
        Some(_) => entered(pass, place, waker),
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
