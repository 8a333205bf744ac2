//! [`LimitSample`]: one item, from its start to its end, and the future that waits to start one.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::AdaptiveLimit;
use super::shared::Shared;
use super::stats::Verdict;
use crate::worker_pool::{Acquire, Permit};

/// One item whose latency and outcome an [`AdaptiveLimit`] learns from.
///
/// Ends with [`end`](Self::end). One that is dropped instead, by a panic or because its task was
/// cancelled, counts as [`Verdict::Ignored`]. The permit, if it holds one, is returned at the end.
#[must_use = "a sample that is dropped teaches nothing and returns its permit"]
pub struct LimitSample {
    shared: Arc<Shared>,
    started: Duration,
    epoch: u64,
    in_flight: usize,
    ended: bool,
    permit: Option<Permit>,
}

impl LimitSample {
    pub(super) fn new(shared: Arc<Shared>, permit: Option<Permit>) -> Self {
        let in_flight = shared.enter();
        let (started, epoch) = (shared.now(), shared.epoch());
        Self {
            shared,
            started,
            epoch,
            in_flight,
            ended: false,
            permit,
        }
    }

    /// Ends the item: the limit learns its latency until now and how it went.
    pub fn end(mut self, outcome: Verdict) {
        self.finish(outcome);
    }

    fn finish(&mut self, outcome: Verdict) {
        self.ended = true;
        self.shared
            .leave(outcome, self.started, self.epoch, self.in_flight);
    }

    /// The permit of the limit's pool that this holds, unless it came from
    /// [`AdaptiveLimit::measure`].
    #[must_use]
    pub fn permit(&self) -> Option<&Permit> {
        self.permit.as_ref()
    }
}

impl Drop for LimitSample {
    fn drop(&mut self) {
        if !self.ended {
            self.finish(Verdict::Ignored);
        }
    }
}

impl fmt::Debug for LimitSample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LimitSample")
            .field("started", &self.started)
            .field("in_flight", &self.in_flight)
            .finish_non_exhaustive()
    }
}

/// The future of [`AdaptiveLimit::acquire`].
///
/// It borrows nothing. As with any `async fn`, polling it again after its end panics.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct AcquireSample {
    acquire: Acquire,
    limit: AdaptiveLimit,
}

impl AcquireSample {
    pub(super) fn new(limit: AdaptiveLimit) -> Self {
        Self {
            acquire: limit.shared.pool().acquire(),
            limit,
        }
    }
}

impl Future for AcquireSample {
    type Output = LimitSample;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<LimitSample> {
        let acquired = Pin::new(&mut self.acquire).poll(cx);
        acquired.map(|permit| LimitSample::new(Arc::clone(&self.limit.shared), Some(permit)))
    }
}
