//! [`ThrottledRun`]: how a run obeys a throttle.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use brolly_sync::Clock;

use super::sampler::Sampler;
use super::wait::{Ended, Waiting};

/// One run's view of a throttle.
///
/// While the throttle is open, everything may start. From when it is closed nothing may, for up to
/// its longest wait; after that one item at a time, until it opens.
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

    /// Ready: one more item may start beside the `in_flight` that run. Pending: not now; the waker
    /// is woken when asking again may help, except for an item that ends: then the run is polled
    /// anyway.
    pub(crate) fn poll_start(&mut self, in_flight: usize, cx: &mut Context<'_>) -> Poll<()> {
        let sampler = self.waiting.sampler();
        if sampler.is_open() {
            if self.held.take().is_some() {
                self.waiting.leave();
            }
            return Poll::Ready(());
        }
        let phase = sampler.phase();
        let since = match self.held {
            // In another phase it has opened meanwhile, and the wait begins anew.
            Some((held, since)) if held == phase => since,
            _ => sampler.timer().now(),
        };
        self.held = Some((phase, since));
        let until = if in_flight == 0 {
            since.saturating_add(sampler.max_wait())
        } else {
            Duration::MAX
        };
        match self.waiting.poll(until, cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(ended) => {
                match ended {
                    Ended::Open => self.held = None,
                    Ended::Overdue => self.waiting.sampler().count_admitted(),
                }
                Poll::Ready(())
            }
        }
    }
}
