//! What a user of the crate sees, one module per topic.

mod encode;
mod fixture;
mod generate;
#[cfg(feature = "serde")]
mod json;
mod merge;
mod parse_back;
mod parser;
mod prometheus;
mod quantile;
#[cfg(feature = "metrics")]
mod metrics_bridge;
