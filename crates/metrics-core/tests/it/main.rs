//! What a user of the crate sees, one module per topic.

mod encode;
mod fixture;
mod merge;
mod quantile;
