//! The interleavings of lazy values: loads against resets, replacements and readers, callers that
//! leave, cells, and keys that leave a map.
//!
//! Run with `RUSTFLAGS="--cfg brolly_loom" cargo test -p brolly-lazy --test loom --release`.
//!
//! The published pointer is a stand-in with the orderings of the real one, since loom knows no
//! `ArcSwap`; everything else is the real source. Models are bounded to a number of preemptions, so
//! that all of them together stay within a minute.

#![cfg(brolly_loom)]
#![expect(
    clippy::unwrap_used,
    reason = "clippy knows tests by their attribute and not the helpers they call"
)]

mod map;
mod once;
mod reader;
mod value;

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use loom::sync::Mutex;

/// Explores what happens with at most this many preemptions.
fn bounded(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    builder.check(model);
}

/// Something a load waits for.
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
