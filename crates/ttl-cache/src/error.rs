//! What can be refused, and why.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

/// A setting that is out of its range.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("{field} is {value}, allowed is {allowed}")]
#[non_exhaustive]
pub struct ConfigError {
    /// The setting, by the name of its builder method.
    pub field: &'static str,
    /// The value that was given.
    pub value: String,
    /// What is allowed.
    pub allowed: &'static str,
}

impl ConfigError {
    pub(crate) fn new(
        field: &'static str,
        value: impl fmt::Display,
        allowed: &'static str,
    ) -> Self {
        Self {
            field,
            value: value.to_string(),
            allowed,
        }
    }
}

/// An entry that was refused. The cache is unchanged, and the entry is given back.
#[derive(Error)]
#[error("{reason}")]
pub struct InsertError<K, V> {
    /// The key that was to be inserted.
    pub key: K,
    /// Its value.
    pub value: V,
    /// Why not.
    pub reason: Refusal,
}

impl<K, V> fmt::Debug for InsertError<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InsertError")
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

/// Why an entry was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It alone is heavier than all entries together may be.
    #[error("the entry weighs {weight}, the cache holds {max_weight} at most")]
    TooHeavy {
        /// What the weigher said.
        weight: u64,
        /// The bound of the cache.
        max_weight: u64,
    },
    /// Its time to live is zero.
    #[error("time_to_live is {value:?}, allowed is more than zero")]
    TimeToLive {
        /// What was given.
        value: Duration,
    },
    /// The weigher, or the function that tells the time to live, panicked.
    #[error("the {callback} panicked")]
    CallbackPanicked {
        /// Which callback it was, by the name of its builder method.
        callback: &'static str,
    },
    /// It has too many tags.
    #[error("the entry has {tags} tags or more, allowed are {allowed}")]
    TooManyTags {
        /// How many there are at least.
        tags: usize,
        /// How many there may be.
        allowed: usize,
    },
    /// A tag is too long.
    #[error("a tag is {bytes} bytes long, allowed are {allowed}")]
    TagTooLong {
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        allowed: usize,
    },
}
