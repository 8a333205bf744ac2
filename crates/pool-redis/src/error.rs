//! What can be wrong with the settings, and what an error of the driver says about a connection.

use std::sync::Arc;

use redis::{ErrorKind, RedisError, ServerError, ServerErrorKind};
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
/// (`NOAUTH`) or takes no more writes (`READONLY`: it was made a replica), also if it says so of one
/// command of many.
pub fn is_fatal(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_unrecoverable_error()
        || parts(error).iter().any(|(_, it)| is_fatal_refusal(it))
}

pub(crate) fn is_fatal_refusal(error: &ServerError) -> bool {
    error.kind() == Some(ServerErrorKind::ReadOnly) || error.code() == "NOAUTH"
}

/// What the server has refused, with the place of the command in its pipeline; nothing if the error
/// is none of the server's.
pub(crate) fn parts(error: &RedisError) -> Arc<[(usize, ServerError)]> {
    let parts = error.clone().into_server_errors();
    parts.unwrap_or_default()
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
    ) || parts(error)
        .iter()
        .any(|(_, it)| matches!(it.code(), "WRONGPASS" | "NOAUTH" | "NOPERM"));
    !is_refused
}
