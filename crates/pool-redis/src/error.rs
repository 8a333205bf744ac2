//! What can be wrong with the settings, and what an error of the driver says about a connection.

use redis::{ErrorKind, RedisError, ServerErrorKind};
use thiserror::Error;

/// A setting of [`RedisManagerBuilder`](crate::RedisManagerBuilder) that is out of its range.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{field} is {value}, allowed is {allowed}")]
#[non_exhaustive]
pub struct ConfigError {
    /// The setting, by the name of its builder method.
    pub field: &'static str,
    /// The value that was given.
    pub value: String,
    /// What is allowed.
    pub allowed: &'static str,
}

/// Whether an error means that the connection it came from is of no more use.
///
/// That is so when the connection failed or its answers cannot be read, when no answer came in time
/// (it may still come, to somebody else's question), and when the server has forgotten who we are
/// (`NOAUTH`) or takes no more writes (`READONLY`: it was made a replica).
pub fn is_fatal(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_unrecoverable_error()
        || error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
        || error.code() == Some("NOAUTH")
}

/// Whether another attempt to connect may succeed.
///
/// It will not with a wrong password, without permission, with settings the driver refuses, or with
/// a protocol the server does not know. Servers that are loading, full, or not there are worth a
/// wait.
pub fn is_transient(error: &RedisError) -> bool {
    let is_refused = matches!(
        error.kind(),
        ErrorKind::AuthenticationFailed
            | ErrorKind::InvalidClientConfig
            | ErrorKind::RESP3NotSupported
            | ErrorKind::Server(ServerErrorKind::NoPerm)
    ) || matches!(error.code(), Some("WRONGPASS" | "NOAUTH"));
    !is_refused
}
