//! [`ThrottledRun`]: how a run obeys a throttle.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use brolly_sync::Clock;

use super::sampler::Sampler;
use super::wait::{Ended, Waiting};
use crate::control::{Gate, Pass};

/// One run's view of a throttle.
///
/// While the throttle is open, everything may start. From when it is closed nothing may, for up to
/// its longest wait; after that one item at a time, until it opens. So the waits of one run end even
/// where the pressure never does.
pub(crate) struct ThrottledRun {
    waiting: Waiting,
    /// Since when this run is held back, and in which phase of the throttle that began.
    held: Option<(u64, Duration)>,
}

impl ThrottledRun {
    pub(super) fn new(sampler: Arc<Sampler>) -> Self {
        Self {
            waiting: Waiting::new(sampler),
            held: None,
        }
    }
}

impl Gate for ThrottledRun {
    /// A throttle issues no passes: what runs is not its concern, only what starts.
    fn poll_admit(&mut self, in_flight: usize, cx: &mut Context<'_>) -> Poll<Pass> {
        let sampler = self.waiting.sampler();
        if sampler.is_open() {
            if self.held.take().is_some() {
                self.waiting.leave();
            }
            return Poll::Ready(None);
        }
        let phase = sampler.phase();
        let since = match self.held {
            // In another phase it has opened meanwhile, and the wait begins anew.
            Some((held, since)) if held == phase => since,
            _ => sampler.timer().now(),
        };
        let until = if in_flight == 0 {
            since.saturating_add(sampler.max_wait())
        } else {
            Duration::MAX // the run asks again when an item has ended
        };
        self.held = Some((phase, since));
        self.waiting.poll(until, cx).map(|ended| {
            if ended == Ended::Open {
                self.held = None;
            }
            None
        })
    }
}

#[cfg(all(test, not(brolly_loom)))]
mod tests;
