//! The interleavings of a pool: giving back against beginning to wait, callers that leave, changes
//! of size, resets and the end.
//!
//! Run with `RUSTFLAGS="--cfg brolly_loom" cargo test -p brolly-resource-pool --test loom --release`.
//!
//! The words, locks and cells are loom's, so a model fails if two touch a cell at a time; what is only
//! counted is invisible to loom. Models are bounded to a number of preemptions.

#![cfg(brolly_loom)]
#![expect(
    clippy::unwrap_used,
    reason = "clippy knows tests by their attribute and not the helpers they call"
)]

mod ends;
mod routes;
mod scopes;
mod waits;
mod works;

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};

use brolly_resource_pool::{Check, Manager, Pool};
use loom::sync::{Condvar, Mutex};

/// Explores what happens with at most this many preemptions.
fn bounded(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 50_000;
    builder.check(model);
}

/// Numbers, counted while they live.
struct Numbers {
    made: AtomicUsize,
    live: Arc<AtomicUsize>,
    gate: Option<Arc<Event>>,
}

struct Number {
    value: usize,
    live: Arc<AtomicUsize>,
}

impl Drop for Number {
    fn drop(&mut self) {
        self.live.fetch_sub(1, SeqCst);
    }
}

impl Manager for Numbers {
    type Resource = Number;
    type Error = Infallible;

    async fn create(&self) -> Result<Number, Infallible> {
        if let Some(gate) = &self.gate {
            gate.wait().await;
        }
        self.live.fetch_add(1, SeqCst);
        Ok(Number {
            value: self.made.fetch_add(1, SeqCst),
            live: Arc::clone(&self.live),
        })
    }
}

/// A pool without time limits and without a spawner.
fn pool(max: usize, gate: Option<Arc<Event>>) -> (Pool<Numbers>, Arc<AtomicUsize>) {
    let live = Arc::new(AtomicUsize::new(0));
    let numbers = Numbers {
        made: AtomicUsize::new(0),
        live: Arc::clone(&live),
        gate,
    };
    let builder = Pool::builder(numbers).max_size(max).min_size(0).shards(1);
    let builder = builder.acquire_timeout(None).check(Check::Never);
    let builder = builder.max_lifetime(None).idle_timeout(None);
    (builder.health_interval(None).build().unwrap(), live)
}

/// The sizes add up, whoever is at work.
fn assert_conserved(pool: &Pool<Numbers>) {
    let stats = pool.stats();
    let sum = stats.idle + stats.in_use + stats.creating + stats.reserved;
    assert_eq!(sum, stats.size, "{stats:?}");
    assert!(stats.size <= stats.max, "{stats:?}");
}

/// Something that a creation waits for.
#[derive(Default)]
struct Event(Mutex<(bool, Option<Waker>)>);

impl Event {
    fn happen(&self) {
        let waker = {
            let mut state = self.0.lock().unwrap();
            state.0 = true;
            state.1.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    async fn wait(&self) {
        std::future::poll_fn(|cx| {
            let mut state = self.0.lock().unwrap();
            if state.0 {
                return Poll::Ready(());
            }
            state.1 = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// Looks at a future once and drops it.
fn look_and_leave<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[derive(Default)]
struct Signal {
    is_raised: Mutex<bool>,
    raised: Condvar,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        *self.is_raised.lock().unwrap() = true;
        self.raised.notify_one();
    }
}

/// Waits for a future; a wake-up that is lost is a deadlock that loom finds.
fn wait_for<F: Future>(future: F) -> F::Output {
    let signal = Arc::new(Signal::default());
    let waker = Waker::from(Arc::clone(&signal));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        let mut is_raised = signal.is_raised.lock().unwrap();
        while !*is_raised {
            is_raised = signal.raised.wait(is_raised).unwrap();
        }
        *is_raised = false;
    }
}
