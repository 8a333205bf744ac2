//! [`Throttled`]: the pressure was high, and stayed so for as long as was waited.

use std::time::Duration;

/// The pressure was high, and stayed so for as long as was waited.
///
/// The figures are those of the fullest source at the last reading.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("throttled for {waited:?}: {source_name} is at {percent:.1} per cent ({used} of {limit})")]
#[non_exhaustive]
pub struct Throttled {
    /// The name of the source.
    pub source_name: &'static str,
    /// How much was used, in the source's unit: bytes for memory.
    pub used: u64,
    /// How much there is.
    pub limit: u64,
    /// The share that was used, in per cent. With a threshold of 0 it may be anything.
    pub percent: f64,
    /// How long was waited.
    pub waited: Duration,
}
