//! The limits every setting is held to.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::error::ConfigError;

/// How many items may be in flight when nothing was set.
pub(crate) const DEFAULT_MAX_CONCURRENT: usize = 5;

/// What any limit on concurrency may be. The upper bound keeps the bookkeeping of one run small.
pub(crate) const CONCURRENCY: RangeInclusive<usize> = 1..=1 << 20;

/// How many items a batch has when nothing was set.
pub(crate) const DEFAULT_BATCH_SIZE: usize = 10;

/// How many items a batch may have.
pub(crate) const BATCH_SIZE: RangeInclusive<usize> = 1..=1 << 30;

/// Checks a limit on concurrency; `field` is the name the caller knows it by.
pub(crate) fn checked_concurrency(field: &'static str, value: usize) -> Result<usize, ConfigError> {
    checked_size(field, value, CONCURRENCY)
}

/// Checks a number; `field` is the name the caller knows it by.
pub(crate) fn checked_size(
    field: &'static str,
    value: usize,
    allowed: RangeInclusive<usize>,
) -> Result<usize, ConfigError> {
    if allowed.contains(&value) {
        return Ok(value);
    }
    Err(ConfigError::OutOfRange {
        field,
        value,
        min: *allowed.start(),
        max: *allowed.end(),
    })
}

/// Checks a length of time; `field` is the name the caller knows it by.
pub(crate) fn checked_duration(
    field: &'static str,
    value: Duration,
    allowed: RangeInclusive<Duration>,
) -> Result<Duration, ConfigError> {
    if allowed.contains(&value) {
        return Ok(value);
    }
    Err(ConfigError::DurationOutOfRange {
        field,
        value,
        min: *allowed.start(),
        max: *allowed.end(),
    })
}
