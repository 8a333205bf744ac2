//! The interleavings of every hand-shake in this crate. A lost wake-up shows as a deadlock, which
//! loom reports; a future or a waker that is never dropped, as a wrong count.
//!
//! Run with `RUSTFLAGS="--cfg brolly_loom" cargo test -p brolly-sync --test loom --release`.
//!
//! Models with two threads are explored in full. Those with more are bounded to a number of
//! preemptions, so that all of them together stay within a minute.

#![cfg(brolly_loom)]
#![expect(
    clippy::unwrap_used,
    reason = "clippy knows tests by their attribute and not the helpers they call"
)]

mod flight;
mod timer;
mod wait_list;

/// Explores what happens with at most this many preemptions.
fn bounded(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}
