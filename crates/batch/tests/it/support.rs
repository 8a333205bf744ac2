//! Futures, gauges and wakers that tests steer by hand.

use std::cell::Cell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use brolly_batch::BatchProcessor;
use brolly_sync::ManualClock;

pub(crate) fn processor(max_concurrent: usize) -> BatchProcessor {
    BatchProcessor::builder()
        .max_concurrent(max_concurrent)
        .build()
        .expect("tests use limits within range")
}

/// Counts how often it was called.
#[derive(Debug, Default)]
pub(crate) struct Wakes(AtomicUsize);

impl Wakes {
    pub(crate) fn new() -> (Arc<Self>, Waker) {
        let wakes = Arc::new(Self::default());
        let waker = Waker::from(Arc::clone(&wakes));
        (wakes, waker)
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

pub(crate) fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

/// Polls a future as an executor would, only when it was woken; panics if it is stuck.
pub(crate) fn run<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let (wakes, waker) = Wakes::new();
    loop {
        let before = wakes.count();
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        assert_ne!(before, wakes.count(), "pending, and nobody will wake it");
    }
}

/// Runs a test that would hang if its promise were broken, and fails it instead.
pub(crate) fn within_a_minute<T: Send + 'static>(test: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    let runner = thread::spawn(move || {
        let output = test();
        let _ = sender.send(()); // nobody listens if it took too long
        output
    });
    if let Err(mpsc::RecvTimeoutError::Timeout) = receiver.recv_timeout(Duration::from_secs(60)) {
        panic!("still not over after a minute");
    }
    match runner.join() {
        Ok(output) => output,
        Err(payload) => std::panic::resume_unwind(payload),
    }
}

/// Is pending as often as it is told to, waking itself each time.
pub(crate) async fn yield_times(mut times: usize) {
    std::future::poll_fn(|cx| {
        if times == 0 {
            return Poll::Ready(());
        }
        times -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Counts how many of its guards are alive, and the most that ever were.
#[derive(Debug, Default)]
pub(crate) struct Gauge {
    now: Cell<usize>,
    peak: Cell<usize>,
}

impl Gauge {
    pub(crate) fn enter(&self) -> GaugeGuard<'_> {
        self.now.set(self.now.get() + 1);
        self.peak.set(self.peak.get().max(self.now.get()));
        GaugeGuard(self)
    }

    pub(crate) fn now(&self) -> usize {
        self.now.get()
    }

    pub(crate) fn peak(&self) -> usize {
        self.peak.get()
    }
}

pub(crate) struct GaugeGuard<'a>(&'a Gauge);

impl Drop for GaugeGuard<'_> {
    fn drop(&mut self) {
        self.0.now.set(self.0.now.get() - 1);
    }
}

/// Polls a future as an executor would, and moves the clock to the next sleeper's deadline whenever
/// nothing else goes on; panics if nobody sleeps either.
pub(crate) fn run_with<F: Future>(clock: &ManualClock, future: F) -> F::Output {
    let mut future = pin!(future);
    let (wakes, waker) = Wakes::new();
    loop {
        let before = wakes.count();
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        if before == wakes.count() {
            let next = clock.next_deadline();
            clock.set(next.expect("pending, and nobody will wake it"));
        }
    }
}

/// Polls at most `times`, moving the clock when nothing else goes on, then drops. Says whether it
/// ended before.
pub(crate) fn drop_after(clock: &ManualClock, future: impl Future, times: usize) -> bool {
    let mut future = pin!(future);
    let (wakes, waker) = Wakes::new();
    let mut context = Context::from_waker(&waker);
    for _ in 0..times {
        let before = wakes.count();
        if future.as_mut().poll(&mut context).is_ready() {
            return true;
        }
        if before == wakes.count()
            && let Some(next) = clock.next_deadline()
        {
            clock.set(next);
        }
    }
    false
}
