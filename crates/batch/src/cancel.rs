//! [`CancelToken`]: ends runs from outside, at once or after what already runs.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::cancel::listeners::{Listener, Signal};

pub(crate) mod listeners;
#[cfg(all(test, brolly_loom))]
mod models;

/// Ends any number of runs from anywhere. Clones are handles to the same token.
///
/// It moves in one direction: nothing, then draining, then cancelled.
///
/// | call | what has not started | what runs |
/// |---|---|---|
/// | [`drain`](Self::drain) | never starts | ends normally |
/// | [`cancel`](Self::cancel) | never starts | is dropped |
///
/// Functions on threads cannot be dropped from outside, so in blocking runs `cancel` does what
/// `drain` does; a long function may look at [`is_cancelled`](Self::is_cancelled) itself.
///
/// ```
/// use brolly_batch::CancelToken;
///
/// let token = CancelToken::new();
/// let handle = token.clone();
/// std::thread::scope(|scope| {
///     scope.spawn(move || handle.cancel());
///     token.cancelled_blocking();
/// });
/// assert!(token.is_cancelled());
/// ```
#[derive(Clone, Default)]
#[doc(alias = "abort")]
pub struct CancelToken {
    signal: Arc<Signal>,
}

impl CancelToken {
    /// A token that nobody has used yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets nothing more start and drops what runs. Whoever waits is woken at once, outside every
    /// lock, and a waker that panics harms nobody else. Calling it again changes nothing.
    pub fn cancel(&self) {
        self.signal.raise(Stage::Cancelled);
    }

    /// Lets nothing more start; what runs ends normally. Changes nothing after
    /// [`cancel`](Self::cancel).
    pub fn drain(&self) {
        self.signal.raise(Stage::Draining);
    }

    /// Whether [`cancel`](Self::cancel) was called. Costs one load.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.signal.stage() == Stage::Cancelled
    }

    /// Whether [`drain`](Self::drain) was called, and not [`cancel`](Self::cancel) since. Costs one
    /// load.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.signal.stage() == Stage::Draining
    }

    /// Waits until [`cancel`](Self::cancel) is called; ready at once if it was. The future owns its
    /// handle, so it may outlive this one.
    ///
    /// # Cancel safety
    ///
    /// Dropping it takes the waiter off the list, no more.
    #[must_use = "futures do nothing unless polled"]
    pub fn cancelled(&self) -> Cancelled {
        Cancelled(self.listen(Stage::Cancelled))
    }

    /// Waits until [`drain`](Self::drain) or [`cancel`](Self::cancel) is called.
    ///
    /// # Cancel safety
    ///
    /// Dropping it takes the waiter off the list, no more.
    #[must_use = "futures do nothing unless polled"]
    pub fn stopping(&self) -> Cancelled {
        Cancelled(self.listen(Stage::Draining))
    }

    /// Puts the thread to sleep until [`cancel`](Self::cancel) is called.
    ///
    /// Must not be called from a task: it would block the executor's thread.
    pub fn cancelled_blocking(&self) {
        brolly_sync::block_on(self.cancelled());
    }

    pub(crate) fn stage(&self) -> Stage {
        self.signal.stage()
    }

    pub(crate) fn listen(&self, from: Stage) -> Listener {
        Listener::new(Arc::clone(&self.signal), from)
    }
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelToken")
            .field("stage", &self.stage())
            .finish_non_exhaustive()
    }
}

/// How far a token has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Open,
    Draining,
    Cancelled,
}

/// The future of [`CancelToken::cancelled`] and [`CancelToken::stopping`].
///
/// Polled again after its end, it is ready again.
#[must_use = "futures do nothing unless polled"]
pub struct Cancelled(Listener);

impl Future for Cancelled {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll(cx)
    }
}

impl fmt::Debug for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancelled").finish_non_exhaustive()
    }
}

/// Why a run ended before all its items did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Stopped {
    /// Its [`CancelToken`] was drained or cancelled.
    #[error("the run was cancelled")]
    Cancelled,
    /// Its deadline has passed.
    #[error("the deadline of the run has passed")]
    DeadlineExceeded,
    /// Another item failed, and the run was to end at the first failure.
    #[error("the run ended at the failure of another item")]
    Failed,
}
