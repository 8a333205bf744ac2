//! What lazy values promise, one module per topic.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows tests by their attribute and not the helpers they call"
)]

#[cfg(feature = "macros")]
mod attribute;
mod cancel;
mod clocks;
mod config;
mod errors;
mod expiry;
mod get;
mod map;
mod model;
mod once;
mod once_cancel;
mod panic;
mod peers;
mod reader;
mod recursion;
mod refresh;
mod reset;
mod send_sync;
mod sizes;
mod stats;
mod support;
mod with_lazy;
