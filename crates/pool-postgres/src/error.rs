//! What can be wrong with the settings, and what an error of the driver says about a connection.

use std::error::Error as _;
use std::io;

use thiserror::Error;
use tokio_postgres::Error as PgError;
use tokio_postgres::error::{DbError, Severity, SqlState};

/// A setting of [`PostgresManagerBuilder`](crate::PostgresManagerBuilder) that is out of its range.
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

impl ConfigError {
    pub(crate) fn new(field: &'static str, value: impl ToString, allowed: &'static str) -> Self {
        Self {
            field,
            value: value.to_string(),
            allowed,
        }
    }
}

/// Whether an error means that the connection it came from is of no more use.
///
/// That is so when the connection is closed or cannot be read, when the server says what the driver
/// cannot follow (it wants the data of a `COPY`), when it ends the connection (severity `FATAL` or
/// `PANIC`), and for the classes of `SQLSTATE` that speak of the connection or of the
/// server and not of the statement: 08, 57P01 to 57P05, 58, XX.
pub fn is_fatal(error: &PgError) -> bool {
    if error.is_closed() {
        return true;
    }
    match error.as_db_error() {
        Some(error) => ends_the_connection(error),
        // What could not be read or written. Text that cannot be encoded looks the same.
        None => is_out_of_step(error) || error.source().is_some_and(|it| it.is::<io::Error>()),
    }
}

/// Whether the driver gave up in the middle of an answer, and the server may wait for what never
/// comes. It says so by its text alone.
pub(crate) fn is_out_of_step(error: &PgError) -> bool {
    is_of_the_driver(error) && error.to_string() == "unexpected message from server"
}

/// Whether the driver found fault with an answer, or a parameter, by itself.
pub(crate) fn is_of_the_driver(error: &PgError) -> bool {
    error.source().is_none() && !error.is_closed()
}

/// Whether prepared statements are not there any more, or return other columns than they did.
pub(crate) fn wants_new_statements(error: &DbError) -> bool {
    let is_stale = || error.routine() == Some("RevalidateCachedQuery");
    *error.code() == SqlState::INVALID_SQL_STATEMENT_NAME
        || (*error.code() == SqlState::FEATURE_NOT_SUPPORTED && is_stale())
}

fn ends_the_connection(error: &DbError) -> bool {
    if matches!(
        error.parsed_severity(),
        Some(Severity::Fatal | Severity::Panic)
    ) {
        return true;
    }
    let code = error.code().code();
    let class = code.get(..2).unwrap_or_default();
    matches!(class, "08" | "58" | "XX") || code.starts_with("57P0")
}

/// Whether another attempt to connect may succeed.
///
/// It will not where the server knows neither user, password nor database (class 28, 3D000), or
/// does not let them in (42501), nor where settings are missing or do not fit the server, as a
/// password or TLS. Servers that are starting, full, or not there are worth a wait.
pub fn is_transient(error: &PgError) -> bool {
    let Some(code) = error.code() else {
        return error.source().is_none() || is_of_the_wire(error);
    };
    let is_refused = code.code().starts_with("28")
        || *code == SqlState::INVALID_CATALOG_NAME
        || *code == SqlState::INSUFFICIENT_PRIVILEGE;
    !is_refused
}

fn is_of_the_wire(error: &PgError) -> bool {
    let mut source = error.source();
    while let Some(error) = source {
        if error.is::<io::Error>() {
            return true;
        }
        source = error.source();
    }
    false
}
