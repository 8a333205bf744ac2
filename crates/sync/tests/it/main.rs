//! What the crate promises, one module per topic.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows tests by their attribute and not the helpers they call"
)]

mod allocations;
mod backoff;
mod cancel;
mod clock;
mod flight;
mod flight_model;
mod model;
mod panic;
mod send_sync;
mod support;
mod thread_timer;
mod timer;
mod timer_model;
#[cfg(feature = "tokio")]
mod tokio_timer;
mod wait_list;
