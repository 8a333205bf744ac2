//! [`CancelToken`]: ends runs from outside, at once or after what already runs.

/// What ended a run before all of it was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stopped {
    /// Its token was cancelled or drained.
    Cancelled,
    /// Its deadline has passed.
    DeadlineExceeded,
    /// Another item failed, and the run ends at the first failure.
    Failed,
}
