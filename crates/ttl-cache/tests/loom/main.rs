//! The interleavings of the hand-shakes in this crate: reads without a lock against a writer, readers
//! that leave against memory that is freed, room that is taken against room that is given back, and
//! the callers of one load.
//!
//! Run with `RUSTFLAGS="--cfg brolly_loom" cargo test -p brolly-ttl-cache --test loom --release`.
//!
//! The index, the published addresses and the budget are the real sources, included by path. The
//! slab is a stand-in, since real nodes lie in memory that loom does not know; so is the counting of
//! readers, which goes by threads of the system.

#![cfg(brolly_loom)]
#![allow(
    dead_code,
    unreachable_pub,
    reason = "the included sources have more than the models need"
)]

#[path = "../../src/budget.rs"]
mod budget;
mod load;
mod primitive;
mod readers;
mod reads;
mod room;
mod store;

/// Explores what happens with at most this many preemptions.
fn bounded(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    builder.check(model);
}
