//! [`Waiting`]: one place in a throttle's line, and the sleep that goes with it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use brolly_sync::{Clock, Sleep, Timer};

use super::sampler::Sampler;

/// After how many intervals without a reading somebody else than the first in line reads. The
/// first may be a future that nobody polls any more, for which the others must not pay.
const PATIENCE: u32 = 8;

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The throttle is open.
    Open,
    /// The time is over, and the throttle is closed.
    Overdue,
}

/// One place in a throttle's line. It may be waited in again and again.
pub(super) struct Waiting {
    sampler: Arc<Sampler>,
    ticket: Option<u64>,
    joined: Duration,
    sleep: Option<Sleep>,
}

impl Waiting {
    pub(super) fn new(sampler: Arc<Sampler>) -> Self {
        Self {
            sampler,
            ticket: None,
            joined: Duration::ZERO,
            sleep: None,
        }
    }

    pub(super) fn sampler(&self) -> &Sampler {
        &self.sampler
    }

    /// Waits for the throttle to open, until `until` at most. Leaves the line when it is ready.
    pub(super) fn poll(&mut self, until: Duration, cx: &mut Context<'_>) -> Poll<Ended> {
        loop {
            let now = self.sampler.timer().now();
            let look = self.sampler.look(now);
            if look.is_open {
                self.leave();
                return Poll::Ready(Ended::Open);
            }
            if now >= until {
                self.leave();
                return Poll::Ready(Ended::Overdue);
            }
            // Cloned before the lock is taken: that is foreign code.
            let waker = cx.waker().clone();
            if self.ticket.is_none() {
                self.joined = now;
            }
            let next = match self.sampler.join(&mut self.ticket, waker) {
                None => continue, // it has opened meanwhile
                Some(true) => look.next,
                Some(false) => {
                    let patience = self.sampler.interval().saturating_mul(PATIENCE);
                    look.next.saturating_add(patience)
                }
            };
            if self.poll_sleep(next.min(until), cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Leaves the line, if it stands there.
    pub(super) fn leave(&mut self) {
        self.sleep = None;
        if let Some(ticket) = self.ticket.take() {
            let now = self.sampler.timer().now();
            let waited = now.saturating_sub(self.joined);
            self.sampler.leave(ticket, waited);
        }
    }

    fn poll_sleep(&mut self, until: Duration, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = match &mut self.sleep {
            Some(sleep) if sleep.deadline() == until => sleep,
            other => other.insert(self.sampler.timer().sleep_until(until)),
        };
        Pin::new(sleep).poll(cx)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.leave();
    }
}
