//! [`RetryPolicy`]: whether and when a failed item is tried again.

use std::time::Duration;

/// Decides whether something that failed is tried again, and after what wait.
///
/// Any `Fn(u32, &E) -> Option<Duration>` is one.
pub trait RetryPolicy<E>: Send + Sync {
    /// How long to wait before the next attempt, or `None` to give up. `failures` counts the
    /// attempts so far, from 1.
    fn delay(&self, failures: u32, error: &E) -> Option<Duration>;
}

impl<E, F> RetryPolicy<E> for F
where
    F: Fn(u32, &E) -> Option<Duration> + Send + Sync,
{
    fn delay(&self, failures: u32, error: &E) -> Option<Duration> {
        self(failures, error)
    }
}
