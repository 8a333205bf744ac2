//! The futures that wait for permits: [`Acquire`], [`AcquireMany`], [`WaitForCapacity`].

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::Permit;
use super::error::WeightError;
use super::line::Wish;
use super::permits::{Permits, Refused, Stand};

/// A taker with its place in line and its own share of the pool.
#[derive(Debug)]
struct Taker {
    /// Leaves with the permit; `None` once the taker has been answered.
    permits: Option<Arc<Permits>>,
    wish: Wish,
    stand: Stand,
}

impl Taker {
    #[inline]
    fn new(permits: Arc<Permits>, needs: u32, takes: u32) -> Self {
        Self {
            permits: Some(permits),
            wish: Wish { needs, takes },
            stand: Stand::Outside,
        }
    }

    #[inline]
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Permit, Refused>> {
        let permits = self.permits.as_ref().expect("polled after completion");
        match permits.poll_take(self.wish, &mut self.stand, cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(answer) => {
                let permits = self.permits.take().expect("present a moment ago");
                let weight = self.wish.takes;
                Poll::Ready(answer.map(|()| Permit { permits, weight }))
            }
        }
    }
}

impl Drop for Taker {
    #[inline]
    fn drop(&mut self) {
        if let (Some(permits), Stand::InLine(ticket)) = (&self.permits, &self.stand) {
            permits.leave(*ticket);
        }
    }
}

/// The future of [`WorkerPool::acquire`](super::WorkerPool::acquire).
///
/// It borrows nothing. As with any `async fn`, polling it again after its end panics.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Acquire(Taker);

impl Acquire {
    #[inline]
    pub(super) fn new(permits: Arc<Permits>) -> Self {
        Self(Taker::new(permits, 1, 1))
    }
}

impl Future for Acquire {
    type Output = Permit;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Permit> {
        self.0
            .poll(cx)
            .map(|answer| answer.expect("a pool has one permit at least"))
    }
}

/// The future of [`WorkerPool::acquire_many`](super::WorkerPool::acquire_many).
///
/// It borrows nothing. As with any `async fn`, polling it again after its end panics.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct AcquireMany {
    taker: Taker,
    /// As it was asked for, which may be more than any pool can have.
    weight: usize,
}

impl AcquireMany {
    #[inline]
    pub(super) fn new(permits: Arc<Permits>, weight: usize) -> Self {
        let needs = super::saturating_weight(weight);
        Self {
            taker: Taker::new(permits, needs, needs),
            weight,
        }
    }
}

impl Future for AcquireMany {
    type Output = Result<Permit, WeightError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let weight = self.weight;
        if weight == 0 {
            let permits = self.taker.permits.take().expect("polled after completion");
            let max = permits.counts().max as usize;
            return Poll::Ready(Err(WeightError::OutOfRange { weight, max }));
        }
        self.taker.poll(cx).map_err(|refused| {
            let max = refused.max as usize;
            WeightError::OutOfRange { weight, max }
        })
    }
}

/// The future of [`WorkerPool::wait_for_capacity`](super::WorkerPool::wait_for_capacity).
///
/// It borrows nothing. As with any `async fn`, polling it again after its end panics.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct WaitForCapacity(Taker);

impl WaitForCapacity {
    pub(super) fn new(permits: Arc<Permits>) -> Self {
        Self(Taker::new(permits, 1, 0))
    }
}

impl Future for WaitForCapacity {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll(cx).map(drop) // a permit of no weight gives nothing back
    }
}
