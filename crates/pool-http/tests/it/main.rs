//! What a pool of HTTP connections promises, one module per topic.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows tests by their attribute and not the helpers they call"
)]

mod build;
mod cancel;
mod errors;
mod keep_alive;
mod peers;
mod request;
mod restart;
mod reuse;
mod send_sync;
mod support;
