//! What was recorded, and futures that are driven by hand.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use brolly_metrics_core::Registry;

/// How many calls ended as success, error, panic and cancelled.
pub(crate) fn outcomes(registry: &Registry, name: &str) -> [u64; 4] {
    let snapshot = registry.snapshot();
    let family = snapshot.histogram(name);
    ["success", "error", "panic", "cancelled"].map(|outcome| {
        let series = family.and_then(|family| family.get(&[outcome]));
        series.map_or(0, |series| series.count())
    })
}

/// Pending once, then ready.
#[derive(Default)]
pub(crate) struct Once {
    is_ready: bool,
}

impl Future for Once {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        match std::mem::replace(&mut self.is_ready, true) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}

pub(crate) fn once() -> Once {
    Once::default()
}

/// Polls so many times at most, then drops what is left.
pub(crate) fn poll<F: Future>(future: F, times: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..times {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
    }
    None
}

/// Polls until it is ready.
pub(crate) fn finish<F: Future>(future: F) -> F::Output {
    poll(future, 1_000).expect("no future here is pending for long")
}
