//! What the connections promise, against servers that the tests start.

#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    reason = "clippy knows tests by their attribute and not the helpers they call"
)]

mod cancel;
mod config;
mod failures;
mod restart;
mod send_sync;
mod server;
mod state;
mod support;
