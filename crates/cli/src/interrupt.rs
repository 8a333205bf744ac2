//! Ctrl-C and SIGTERM: what runs is ended, what is leased is given back, then the command ends by itself.

use brolly_repo_pool::process::Cancel;

use crate::failure::Failure;

/// A handle that the next interruption cancels. One per process.
pub(crate) fn cancel_on_interrupt() -> Result<Cancel, Failure> {
    let cancel = Cancel::new().map_err(Failure::io("cannot listen for interruptions"))?;
    let handle = cancel.clone();
    ctrlc::set_handler(move || handle.cancel()).map_err(|error| {
        Failure::failed("io", format!("cannot listen for interruptions: {error}"))
    })?;
    Ok(cancel)
}
