//! The limits every setting is held to.

use std::ops::RangeInclusive;

use crate::error::ConfigError;

/// How many items may be in flight when nothing was set.
pub(crate) const DEFAULT_MAX_CONCURRENT: usize = 5;

/// What any limit on concurrency may be. The upper bound keeps the bookkeeping of one run small.
pub(crate) const CONCURRENCY: RangeInclusive<usize> = 1..=1 << 20;

/// Checks a limit on concurrency; `field` is the name the caller knows it by.
pub(crate) fn checked_concurrency(field: &'static str, value: usize) -> Result<usize, ConfigError> {
    if CONCURRENCY.contains(&value) {
        return Ok(value);
    }
    Err(ConfigError::OutOfRange {
        field,
        value,
        min: *CONCURRENCY.start(),
        max: *CONCURRENCY.end(),
    })
}
