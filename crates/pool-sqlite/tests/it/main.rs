//! What the pools of a database promise, one module per topic.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows tests by their attribute and not the helpers they call"
)]

mod cancel;
mod clean;
mod errors;
mod file;
mod locked;
mod memory;
mod model;
mod open;
mod origin;
mod peers;
mod runtime;
mod send_sync;
mod support;
mod work;
