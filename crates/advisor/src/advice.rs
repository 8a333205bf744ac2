//! What to change about a cache or a pool, with the figures that say so.

mod cache;
mod pool;

pub use cache::{CacheAdvice, CacheThresholds};
pub use pool::{PoolAdvice, PoolThresholds};

/// A fraction for people to read.
fn percent(ratio: f64) -> String {
    format!("{:.1} %", ratio * 100.0)
}

/// Bytes for people to read.
fn megabytes(bytes: f64) -> String {
    format!("{:.1} MB", bytes / crate::score::MEGABYTE)
}

/// Seconds for people to read.
fn milliseconds(seconds: f64) -> String {
    format!("{:.1} ms", seconds * 1000.0)
}
