//! Ctrl-C, SIGTERM and SIGHUP: a command that holds something gives it back first, any other one ends at once; all end with 130.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use brolly_repo_pool::process::Cancel;

use crate::Done;
use crate::failure::Failure;
use crate::output::Output;

/// The exit code of an interrupted command, as shells have it.
pub(crate) const EXIT: u8 = 130;

/// A further interruption ends the command at once, unless it comes this soon: a wrapper that passes on what the terminal
/// sends to everybody makes two of one.
const ECHO: Duration = Duration::from_millis(500);

/// Tells whether the user wants this command to end. One per process.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt {
    cancel: Cancel,
    /// Whether the command gives back what it holds by itself once `cancel` is cancelled.
    heeded: Arc<AtomicBool>,
}

impl Interrupt {
    /// Listens from here on. Until [`Interrupt::heed`] an interruption ends the process at once.
    pub(crate) fn listen(output: &Output) -> Result<Self, Failure> {
        let this = Self {
            cancel: Cancel::new().map_err(Failure::io("cannot listen for interruptions"))?,
            heeded: Arc::default(),
        };
        let (interrupt, output) = (this.clone(), output.clone());
        let mut first: Option<Instant> = None;
        let listener = move || {
            let is_first = first.is_none();
            let since = first.get_or_insert_with(Instant::now).elapsed();
            if interrupt.heeded.load(Ordering::Acquire) && (is_first || since < ECHO) {
                interrupt.cancel.cancel();
                if is_first {
                    output.note("interrupted: giving back what is held; once more to end at once");
                }
            } else {
                // An answer that is being written already is not followed by a second one.
                output.failure(&Failure::interrupted());
                std::process::exit(EXIT.into());
            }
        };
        ctrlc::set_handler(listener).map_err(|error| {
            Failure::failed("io", format!("cannot listen for interruptions: {error}"))
        })?;
        Ok(this)
    }

    /// From here on the first interruption only cancels the handle, and the caller ends in good order.
    pub(crate) fn heed(&self) -> &Cancel {
        self.heeded.store(true, Ordering::Release);
        &self.cancel
    }

    /// Fails once the command is interrupted.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if self.came() {
            Err(Failure::interrupted())
        } else {
            Ok(())
        }
    }

    pub(crate) fn came(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// What the end of a verb is worth: after an interruption neither its success nor its failure counts.
    pub(crate) fn judge(&self, done: Done, output: &Output) -> Done {
        match done {
            _ if !self.came() => done,
            Ok(_) => {
                output.complain("interrupted");
                Ok(EXIT.into())
            }
            Err(_) => Err(Failure::interrupted()),
        }
    }
}
