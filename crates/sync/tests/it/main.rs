//! What the crate promises, one module per topic.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows tests by their attribute and not the helpers they call"
)]

mod cancel;
mod clock;
mod flight;
mod model;
mod send_sync;
mod support;
mod thread_timer;
mod timer;
mod wait_list;
