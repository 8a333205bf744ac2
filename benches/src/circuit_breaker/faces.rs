//! What a breaker must offer to take part.

use std::fmt;

/// The error of every operation: some peers ask for one that is an error.
#[derive(Clone, Copy, Debug)]
pub struct Down;

impl fmt::Display for Down {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("down")
    }
}

impl std::error::Error for Down {}

/// How a call through a breaker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Done(u64),
    Failed,
    Rejected,
}

pub trait Breaker: Sync {
    const NAME: &'static str;

    /// One that opens at failures, which five in a row always are, and stays open for ten minutes.
    fn new() -> Self;

    fn call(&self, operation: impl FnOnce() -> Result<u64, Down>) -> Answer;
}
