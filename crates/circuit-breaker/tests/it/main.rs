//! What the crate promises, one module per topic.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows tests by their attribute and not the helpers they call"
)]

mod allocations;
mod behaviour;
mod cancel;
mod config;
mod defects;
mod events;
mod model;
mod panic;
mod registry;
mod retry;
mod saved;
mod sizes;
mod support;
mod threads;
#[cfg(feature = "tower")]
mod tower;
