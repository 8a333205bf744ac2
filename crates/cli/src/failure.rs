//! What goes wrong, as an exit code, a stable word and a message.

use std::process::ExitCode;

use brolly_merge_plan::{PlanErrors, RunError};
use brolly_repo_pool::{Error, GitError};
use serde_json::{Map, Value, json};

use crate::interrupt;

/// A failure that ends the command.
#[derive(Debug)]
pub(crate) struct Failure {
    /// A word for programs, such as `pool_exists`.
    pub(crate) code: &'static str,
    /// A text for people, with its causes.
    pub(crate) message: String,
    /// Whether the input was at fault: exit code 2 instead of 1.
    pub(crate) bad_input: bool,
    /// The exit code where it is neither 1 nor 2.
    pub(crate) exit: Option<u8>,
    /// What the JSON answer says beside `ok` and `error`.
    pub(crate) details: Map<String, Value>,
}

impl Failure {
    pub(crate) fn bad_input(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            bad_input: true,
            exit: None,
            details: Map::new(),
        }
    }

    pub(crate) fn failed(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            bad_input: false,
            exit: None,
            details: Map::new(),
        }
    }

    /// The user wants the command to end.
    pub(crate) fn interrupted() -> Self {
        Self {
            exit: Some(interrupt::EXIT),
            ..Self::failed("interrupted", "interrupted")
        }
    }

    pub(crate) fn io(what: impl std::fmt::Display) -> impl FnOnce(std::io::Error) -> Self {
        move |error| Self::failed("io", format!("{what}: {error}"))
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.exit.unwrap_or(if self.bad_input { 2 } else { 1 }))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let message = chain(&error);
        let bad = |code| Self::bad_input(code, &message);
        let failed = |code| Self::failed(code, &message);
        match error {
            Error::InvalidName { .. } => bad("invalid_name"),
            Error::InvalidSlots { .. } => bad("invalid_slots"),
            Error::InvalidUrl { .. } => bad("invalid_url"),
            Error::InvalidRef { .. } => bad("invalid_ref"),
            Error::InvalidSetting { .. } => bad("invalid_setting"),
            Error::PoolExists { .. } => bad("pool_exists"),
            Error::PoolNotFound { .. } => bad("pool_not_found"),
            Error::SlotNotFound { .. } => bad("slot_not_found"),
            Error::UnknownRef { .. } => bad("unknown_ref"),
            Error::UnknownLease { .. } => bad("unknown_lease"),
            Error::EmptyRepository { .. } => failed("empty_repository"),
            Error::NoAvailableSlot { .. } => failed("no_available_slot"),
            Error::StaleLease { .. } => failed("stale_lease"),
            Error::AlreadyReleased { .. } => failed("already_released"),
            Error::InvalidState { .. } => failed("invalid_state"),
            Error::Cleanup { .. } => failed("cleanup"),
            Error::LockTimeout { .. } => failed("lock_timeout"),
            Error::Git(GitError::NotFound) => failed("git_not_found"),
            Error::Git(_) => failed("git"),
            Error::Database { .. } => failed("database"),
            _ => failed("io"),
        }
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        let message = chain(&error);
        match error {
            RunError::Pool { source, .. } => Self {
                message,
                ..Self::from(*source)
            },
            RunError::UnknownTarget { .. } => Self::bad_input("unknown_target", message),
            RunError::Logs { .. } => Self::bad_input("logs", message),
            _ => Self::failed("run", message),
        }
    }
}

impl From<PlanErrors> for Failure {
    fn from(errors: PlanErrors) -> Self {
        let details = match json!(errors) {
            Value::Object(details) => details,
            _ => Map::new(),
        };
        Self {
            details,
            ..Self::bad_input("invalid_plan", errors.to_string())
        }
    }
}

/// The error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
