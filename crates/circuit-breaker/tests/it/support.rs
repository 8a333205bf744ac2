//! What several topics need.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use brolly_circuit_breaker::{CallError, CircuitBreaker, CircuitBreakerBuilder};
use brolly_sync::ManualClock;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) type Outcome = Result<(), CallError<&'static str>>;

/// A breaker whose time moves only when told to.
pub(crate) fn with_clock(builder: CircuitBreakerBuilder) -> (CircuitBreaker, ManualClock) {
    let clock = ManualClock::new();
    (builder.clock(clock.clone()).build().unwrap(), clock)
}

pub(crate) fn succeed<C>(breaker: &CircuitBreaker<C>) -> Outcome {
    breaker.try_acquire()?.success();
    Ok(())
}

pub(crate) fn fail<C>(breaker: &CircuitBreaker<C>) -> Outcome {
    breaker.try_acquire()?.failure();
    Ok(())
}

/// Polls once, without anybody to be woken.
pub(crate) fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// A future that is pending so many times, without asking to be woken.
pub(crate) async fn pending(times: usize) {
    for _ in 0..times {
        let mut is_first = true;
        std::future::poll_fn(|_| match std::mem::take(&mut is_first) {
            true => Poll::Pending,
            false => Poll::Ready(()),
        })
        .await;
    }
}
