//! The handle that ends running commands from another thread.

use std::io::{self, PipeReader, PipeWriter, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

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

    #[cfg(unix)]
    pub(crate) fn reader(&self) -> &PipeReader {
        &self.inner.reader
    }
}
