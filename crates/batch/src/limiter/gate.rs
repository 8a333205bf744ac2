//! [`LimiterGate`]: a limiter as a run asks it, one place in line at a time.

use std::pin::Pin;
use std::task::{Context, Poll};

use super::Limiter;
use super::acquire::AcquireLimiter;
use crate::control::{Gate, Pass};

/// Hands the permits of a limiter to the items of one run, in the order in which they start.
pub(crate) struct LimiterGate {
    limiter: Limiter,
    waiting: Option<AcquireLimiter>,
}

impl Limiter {
    /// A gate for one run. What it is nested under is settled here, where the run is made, and once
    /// more where it is polled: it may be made in an item and polled by a task of its own, or be
    /// handed to an item ready-made.
    pub(crate) fn gate(&self) -> LimiterGate {
        LimiterGate {
            limiter: self.here(),
            waiting: None,
        }
    }
}

impl Gate for LimiterGate {
    fn poll_admit(&mut self, _in_flight: usize, cx: &mut Context<'_>) -> Poll<Pass> {
        if self.waiting.is_none()
            && let Some(permit) = self.limiter.try_acquire()
        {
            return Poll::Ready(Some(Box::new(permit)));
        }
        let waiting = self.waiting.get_or_insert_with(|| self.limiter.acquire());
        Pin::new(waiting).poll(cx).map(|permit| {
            self.waiting = None;
            Some(Box::new(permit))
        })
    }

    fn stand_back(&mut self) {
        self.waiting = None; // what it was handed passes on
    }
}
