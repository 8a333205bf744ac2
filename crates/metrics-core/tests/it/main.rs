//! What a user of the crate sees, one module per topic.

mod counter;
#[cfg(feature = "serde")]
mod dashboard;
mod encode;
mod family;
mod fixture;
mod gauge;
mod generate;
mod histogram;
#[cfg(feature = "serde")]
mod json;
mod merge;
#[cfg(feature = "metrics")]
mod metrics_bridge;
mod parse_back;
mod parser;
#[cfg(feature = "process")]
mod process;
#[cfg(feature = "process")]
mod profiler;
mod prometheus;
mod quantile;
mod registry;
mod send_sync;
mod snapshot;
mod summary;
mod timer;
#[cfg(feature = "tracing")]
mod tracing_layer;
mod typed;
mod window;
