//! [`Limits`]: one sleep for everybody in line whose time is limited.
//!
//! A sleep for each caller would be listed and taken off the list again for almost every wait,
//! since few run out of time. The pool sleeps until the first deadline in line instead; when it is
//! over, those who are out of time are woken, and the pool sleeps until the next. A caller whose
//! deadline is no earlier than that costs nothing, and one that leaves the line does not touch the
//! sleep: it ends, finds less to do, and the next begins.
//!
//! Invariant, whenever the lock of the pool is free: a sleep until [`Limits::until`] or before is
//! kept, or somebody is about to keep it and gives the announcement up if it cannot. Who waits looks
//! at the clock and at this at each of its polls, so who gives an announcement up wakes everybody in
//! line, and the first that looks renews it.

use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake};

use brolly_sync::{NEVER, Sleep};

use crate::manager::Manager;
use crate::panics::{contain, discard, wake};
use crate::primitive::lock;
use crate::shared::Shared;
use crate::time::moment;
use crate::upkeep::crew::Alarm;

/// The part that lies under the lock of the pool. Times are nanoseconds of the timer's clock.
#[derive(Default)]
pub(crate) struct Limits {
    /// The announcement that counts; an older one is void.
    current: Option<Announced>,
    announced: u64,
    sleep: Option<Sleep>,
}

/// Somebody will see to it that the pool sleeps until then.
#[derive(Clone, Copy)]
#[must_use = "the pool must sleep until then"]
pub(crate) struct Announced {
    number: u64,
    until: u64,
}

impl Limits {
    fn until(&self) -> u64 {
        self.current.map_or(NEVER, |it| it.until)
    }

    /// Somebody in line has this deadline: whether a sleep has to begin for it.
    pub(crate) fn announce(&mut self, until: u64) -> Option<Announced> {
        if until >= self.until() {
            return None;
        }
        self.announced += 1;
        self.current = Some(Announced {
            number: self.announced,
            until,
        });
        self.current
    }

    /// Keeps a sleep that has begun, unless its announcement is void. What is not needed comes back.
    fn keep(&mut self, announced: Announced, sleep: Sleep) -> Option<Sleep> {
        match self.is_current(announced) {
            true => self.sleep.replace(sleep),
            false => Some(sleep),
        }
    }

    /// The sleep that was kept, and no announcement any more.
    fn end(&mut self) -> Option<Sleep> {
        self.current = None;
        self.sleep.take()
    }

    fn is_current(&self, announced: Announced) -> bool {
        self.current.is_some_and(|it| it.number == announced.number)
    }
}

/// What the timer wakes.
pub(crate) struct Ringer<M: Manager>(pub(crate) Weak<Shared<M>>);

impl<M: Manager> Wake for Ringer<M> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let Some(shared) = self.0.upgrade() else {
            return;
        };
        // This is a thread of the timer's: a timer that panics is the concern of those who wait, who
        // find that out when they look.
        if contain(|| shared.ring()).is_err() {
            shared.wake_everybody();
        }
        // Possibly the last reference.
        discard(shared);
    }
}

impl<M: Manager> Shared<M> {
    /// Sleeps as announced. Outside of the lock.
    pub(crate) fn keep_limit(&self, announced: Option<Announced>) {
        let mut announced = announced;
        while let Some(current) = announced {
            let given_up = GivesUp(self, current);
            let mut sleep = self.timer.sleep_until(moment(current.until));
            let polled = Pin::new(&mut sleep).poll(&mut Context::from_waker(&self.ringer));
            announced = match polled {
                Poll::Pending => {
                    let unneeded = lock(&self.core).limits.keep(current, sleep);
                    discard(unneeded);
                    None
                }
                Poll::Ready(()) => self.wake_due(current.until),
            };
            std::mem::forget(given_up);
        }
    }

    /// The timer has woken the pool.
    fn ring(&self) {
        let now = self.timer_clock.now();
        let until = lock(&self.core).limits.until();
        if until <= now {
            let next = self.wake_due(now);
            self.keep_limit(next);
        } else if until != NEVER {
            // A timer that asks to be polled again, which it may do while it is polled. So it is
            // those who wait who do that, at their next poll.
            let unneeded = lock(&self.core).limits.end();
            discard(unneeded);
            self.wake_everybody();
        }
    }

    /// Wakes those whose deadline has come, and announces the next sleep.
    fn wake_due(&self, now: u64) -> Option<Announced> {
        let mut due = Vec::new();
        let (over, next) = {
            let mut core = lock(&self.core);
            let over = core.limits.end();
            let next = core.line.take_due(now, &mut due);
            (over, core.limits.announce(next))
        };
        discard(over);
        for waker in due {
            wake(waker);
        }
        next
    }
}

/// Gives an announcement up when the timer panics: everybody in line is woken, and the first that
/// looks makes another. Those who wait already have relied on it, or on the sleep that it replaced.
struct GivesUp<'a, M: Manager>(&'a Shared<M>, Announced);

impl<M: Manager> Drop for GivesUp<'_, M> {
    fn drop(&mut self) {
        let unneeded = {
            let mut core = lock(&self.0.core);
            if !core.limits.is_current(self.1) {
                return;
            }
            core.limits.end()
        };
        discard(unneeded);
        self.0.wake_everybody();
    }
}
