//! [`Drive`]: the asynchronous engine, which runs a bounded number of futures within one task.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::cancel::Stopped;
use crate::control::{Control, Order};
use crate::panic::contained;
use crate::slots::Slots;
use crate::work::Work;

/// How many items one poll starts before it lets the runtime's other tasks have a turn.
const STARTS_PER_POLL: usize = 256;

/// Runs some [`Work`] to its end, at most `limit` items at a time, and returns it.
///
/// It may be polled at any time, not only when it was woken.
pub(crate) struct Drive<W: Work, F, Fut> {
    work: Option<W>,
    begin: F,
    slots: Slots<Fut>,
    control: Control,
    /// The next item, which waits to be admitted by the control.
    staged: Option<(usize, W::Item)>,
    stopped: Option<Stopped>,
}

impl<W: Work, F, Fut> Drive<W, F, Fut> {
    pub(crate) fn new(work: W, limit: usize, control: Control, begin: F) -> Self {
        let limit = limit.min(work.most_in_flight()).max(1);
        Self {
            work: Some(work),
            begin,
            slots: match control.is_free() {
                true => Slots::new(limit),
                false => Slots::with_signal(limit),
            },
            control,
            staged: None,
            stopped: None,
        }
    }

    /// The work, unless it was returned.
    pub(crate) fn work(&self) -> Option<&W> {
        self.work.as_ref()
    }
}

#[expect(
    dead_code,
    reason = "for works whose items or results pass through while they run"
)]
impl<W: Work, F, Fut> Drive<W, F, Fut> {
    /// The work, unless it was returned. Whoever changes it polls the drive afterwards.
    pub(crate) fn work_mut(&mut self) -> Option<&mut W> {
        self.work.as_mut()
    }

    /// Why the run was ended early, if it was.
    pub(crate) fn stopped(&self) -> Option<Stopped> {
        self.stopped
    }

    /// How many items are in flight.
    pub(crate) fn in_flight(&self) -> usize {
        self.slots.in_flight()
    }

    /// Drops what runs, without a word to the work, and returns it, unless it was returned.
    pub(crate) fn abandon(&mut self) -> Option<W> {
        self.slots.drop_running(|_| {});
        self.staged = None;
        self.work.take()
    }
}

/// Nothing but the futures is ever pinned, and those are boxed.
impl<W: Work, F, Fut> Unpin for Drive<W, F, Fut> {}

impl<W, F, Fut, R, E> Future for Drive<W, F, Fut>
where
    W: Work<Output = R, Error = E>,
    F: FnMut(W::Item) -> Fut,
    Fut: Future<Output = Result<R, E>>,
{
    type Output = W;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<W> {
        let this = &mut *self;
        let more = if this.control.is_free() {
            let running = this.work.as_mut().expect(UNFINISHED);
            this.slots.begin_poll(cx.waker());
            this.slots.poll_woken(running);
            this.slots.start(running, &mut this.begin, STARTS_PER_POLL)
        } else {
            this.poll_controlled(cx.waker())
        };
        let running = this.work.as_ref().expect(UNFINISHED);
        let waits = this.staged.is_some() || (running.is_paused() && this.stopped.is_none());
        if !more && this.slots.is_empty() && !waits {
            return Poll::Ready(this.work.take().expect("present until this line"));
        }
        this.slots.end_poll(cx.waker(), more);
        Poll::Pending
    }
}

const UNFINISHED: &str = "not polled after completion";

impl<W, F, Fut, R, E> Drive<W, F, Fut>
where
    W: Work<Output = R, Error = E>,
    F: FnMut(W::Item) -> Fut,
    Fut: Future<Output = Result<R, E>>,
{
    /// A poll that obeys the control. Returns whether there is more to do at once.
    #[inline(never)]
    fn poll_controlled(&mut self, waker: &Waker) -> bool {
        let signalled = self.slots.begin_poll(waker);
        if signalled {
            self.obey();
        }
        let work = self.work.as_mut().expect(UNFINISHED);
        self.slots.poll_woken(work);
        for _ in 0..STARTS_PER_POLL {
            if self.control.is_stopping() {
                self.obey(); // the call may have come from an item of this poll
            }
            let work = self.work.as_mut().expect(UNFINISHED);
            if let Some(why) = work.closed() {
                self.close(why);
            }
            let work = self.work.as_mut().expect(UNFINISHED);
            if let Some(why) = self.stopped {
                return work.stop(why);
            }
            if !self.slots.has_room() {
                return false;
            }
            if self.staged.is_none() {
                self.staged = work.next();
            }
            if self.staged.is_none() {
                return false;
            }
            let in_flight = self.slots.in_flight();
            let mut cx = Context::from_waker(self.slots.signal());
            let Poll::Ready(pass) = self.control.poll_admit(in_flight, &mut cx) else {
                return false;
            };
            let (tag, item) = self.staged.take().expect("looked at above");
            self.slots.start_one(work, &mut self.begin, tag, item, pass);
        }
        true
    }

    /// Does what the token and the deadline say, and has the signal raised when they say something
    /// new.
    fn obey(&mut self) {
        let mut cx = Context::from_waker(self.slots.signal());
        let (why, drops) = match self.control.poll_order(&mut cx) {
            Order::GoOn => return,
            Order::Drain(why) => (why, false),
            Order::Drop(why) => (why, true),
        };
        if drops {
            let work = self.work.as_mut().expect(UNFINISHED);
            self.slots
                .drop_running(|tag| work.finish(tag, Err(why.into())));
        }
        self.close(why);
    }

    /// Lets nothing more start.
    fn close(&mut self, why: Stopped) {
        self.control.leave_gates();
        if let Some((tag, item)) = self.staged.take() {
            let work = self.work.as_mut().expect(UNFINISHED);
            work.turned_back(tag, why);
            contained(|| drop(item));
        }
        self.stopped.get_or_insert(why);
    }
}

#[cfg(all(test, not(brolly_loom)))]
mod tests;
