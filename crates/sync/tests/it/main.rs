//! What the crate promises, one module per topic.

mod cancel;
mod clock;
mod model;
mod send_sync;
mod support;
mod wait_list;
