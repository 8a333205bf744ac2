//! The handle that ends running commands from another thread.

use std::io::{self, PipeReader, PipeWriter, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Cancels every command it was given to; clones share one state, and a cancelled handle stays cancelled.
#[derive(Clone, Debug)]
pub struct Cancel {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    cancelled: AtomicBool,
    /// Readable from the moment of cancellation on: nobody ever reads the byte, so every poller sees it.
    reader: PipeReader,
    writer: Mutex<PipeWriter>,
}

impl Cancel {
    /// A handle that is not cancelled.
    ///
    /// # Errors
    ///
    /// When the process has no file descriptors left: waiting children are woken through a pipe.
    pub fn new() -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        let inner = Inner {
            cancelled: AtomicBool::new(false),
            reader,
            writer: Mutex::new(writer),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Ends every command that runs with this handle, and every one that will. Idempotent, does not wait.
    pub fn cancel(&self) {
        // Release pairs with the Acquire in `is_cancelled`: who sees the flag sees what came before it.
        if !self.inner.cancelled.swap(true, Ordering::AcqRel) {
            let mut writer = self
                .inner
                .writer
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            // The reader lives as long as `self`, so the only write ever made to this pipe cannot fail.
            let _ = writer.write_all(&[1]);
        }
    }

    /// Whether [`Cancel::cancel`] was called.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.inner.cancelled.load(Ordering::Acquire)
    }

    /// Waits until the handle is cancelled, at most `timeout`; whether it is cancelled then.
    #[must_use]
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        let until = Instant::now().checked_add(timeout);
        while !self.is_cancelled() && until.is_none_or(|until| Instant::now() < until) {
            self.wait_until(until);
        }
        self.is_cancelled()
    }

    #[cfg(unix)]
    fn wait_until(&self, until: Option<Instant>) {
        use rustix::event::{PollFd, PollFlags};
        let mut fds = [PollFd::new(&self.inner.reader, PollFlags::IN)];
        // Waiting on a pipe that is open fails only if memory is short; then the caller looks again.
        let _ = super::unix::wait_for(&mut fds, until);
    }

    #[cfg(not(unix))]
    fn wait_until(&self, until: Option<Instant>) {
        let left = until.map_or(Duration::MAX, |until| {
            until.saturating_duration_since(Instant::now())
        });
        std::thread::sleep(left.min(Duration::from_millis(20)));
    }

    #[cfg(unix)]
    pub(crate) fn reader(&self) -> &PipeReader {
        &self.inner.reader
    }
}
