//! How a task can end badly, and the exit code each way has.

use std::io;
use std::process::ExitCode;

/// The reason a task did not succeed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The arguments make no sense; nothing was started.
    Usage(String),
    /// Something that was run did not succeed.
    Failed(String),
    /// A child has already said what is wrong; its exit code is passed on.
    Child(u8),
}

impl Failure {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage(message.into())
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::Failed(message.into())
    }

    /// What to tell the user, if it has not been said yet.
    pub(crate) fn message(&self) -> Option<&str> {
        match self {
            Self::Usage(message) | Self::Failed(message) => Some(message),
            Self::Child(_) => None,
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Failed(_) => ExitCode::FAILURE,
            Self::Child(code) => ExitCode::from(*code),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}
