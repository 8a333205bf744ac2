//! What lazy values promise, one module per topic.

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
