//! What can go wrong, by what can be done about it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use brolly_resource_pool::{AcquireError, ConfigError};
use rusqlite::ErrorCode;
use thiserror::Error;

/// What SQLite, or the file under it, has refused.
///
/// [`is_fatal`](Self::is_fatal) says which of these cost the connection.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SqliteError {
    /// Another connection holds a lock, and held it for the whole busy timeout.
    #[error("the database is locked by another connection")]
    Busy(#[source] rusqlite::Error),
    /// A constraint of the schema: unique, foreign key, not null, check.
    #[error("a constraint does not hold")]
    Constraint(#[source] rusqlite::Error),
    /// The disk, or the limit of pages, is full.
    #[error("the database or its disk is full")]
    Full(#[source] rusqlite::Error),
    /// The file, the directory or the connection must not be written.
    #[error("the database is read-only")]
    ReadOnly(#[source] rusqlite::Error),
    /// The statement was stopped.
    #[error("the statement was interrupted")]
    Interrupted(#[source] rusqlite::Error),
    /// The file's content is damaged.
    #[error("the database file is damaged")]
    Corrupt(#[source] rusqlite::Error),
    /// The file is no database.
    #[error("the file is not a database")]
    NotADatabase(#[source] rusqlite::Error),
    /// The system could not read or write the file.
    #[error("the database file cannot be read or written")]
    Io(#[source] rusqlite::Error),
    /// The file, or one beside it, cannot be opened.
    #[error("the database file cannot be opened")]
    CannotOpen(#[source] rusqlite::Error),
    /// The file that the connection has open is not the one at its path any more.
    #[error("{path} was removed or replaced while it was open")]
    Moved {
        /// Where it was.
        path: PathBuf,
    },
    /// A transaction was left open that cannot be rolled back, or a statement that was never ended.
    #[error("the connection came back in the middle of its work")]
    Unfinished(#[source] Option<rusqlite::Error>),
    /// The file system cannot hold a write-ahead log.
    #[error("the journal mode stays `{mode}`, a write-ahead log is not to be had")]
    NoWal {
        /// What SQLite uses in its place.
        mode: String,
    },
    /// The connection that held a database in memory is gone, and the data with it.
    #[error("the database in memory is gone with its connection")]
    MemoryLost,
    /// The hook for new connections panicked.
    #[error("the hook for new connections panicked: {message}")]
    HookPanicked {
        /// What it panicked with, if that was text.
        message: Arc<str>,
    },
    /// There is no thread to work on.
    #[error("no thread could be started")]
    NoThread(#[source] io::Error),
    /// Anything else: a statement that cannot be parsed, a type that does not fit, no row.
    #[error("the statement failed")]
    Other(#[source] rusqlite::Error),
}

impl SqliteError {
    /// Whether a connection is of no more use after this.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        matches!(
            self,
            Self::Corrupt(_)
                | Self::NotADatabase(_)
                | Self::Io(_)
                | Self::CannotOpen(_)
                | Self::Moved { .. }
                | Self::Unfinished(_)
                | Self::MemoryLost
        )
    }

    /// Whether another attempt to open may succeed although nobody changes the file.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        !matches!(
            self,
            Self::Corrupt(_)
                | Self::NotADatabase(_)
                | Self::ReadOnly(_)
                | Self::NoWal { .. }
                | Self::MemoryLost
        )
    }

    /// What SQLite itself has said, if it was SQLite.
    #[must_use]
    pub fn sqlite(&self) -> Option<&rusqlite::Error> {
        match self {
            Self::Busy(error)
            | Self::Constraint(error)
            | Self::Full(error)
            | Self::ReadOnly(error)
            | Self::Interrupted(error)
            | Self::Corrupt(error)
            | Self::NotADatabase(error)
            | Self::Io(error)
            | Self::CannotOpen(error)
            | Self::Other(error) => Some(error),
            Self::Unfinished(error) => error.as_ref(),
            _ => None,
        }
    }
}

impl From<rusqlite::Error> for SqliteError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy(error),
            Some(ErrorCode::ConstraintViolation) => Self::Constraint(error),
            Some(ErrorCode::DiskFull) => Self::Full(error),
            Some(ErrorCode::ReadOnly) => Self::ReadOnly(error),
            Some(ErrorCode::OperationInterrupted) => Self::Interrupted(error),
            Some(ErrorCode::DatabaseCorrupt) => Self::Corrupt(error),
            Some(ErrorCode::NotADatabase) => Self::NotADatabase(error),
            Some(ErrorCode::SystemIoFailure) => Self::Io(error),
            Some(ErrorCode::CannotOpen) => Self::CannotOpen(error),
            _ => Self::Other(error),
        }
    }
}

/// Why a database was not opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A setting is out of its range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The first connection could not be made.
    #[error("{path} could not be opened")]
    Open {
        /// The path that was given; `:memory:` for a database in memory.
        path: PathBuf,
        /// What was refused.
        #[source]
        source: SqliteError,
    },
}

/// Why work with a connection has no result.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WorkError {
    /// There was no connection to be had. A timeout says who holds them.
    #[error(transparent)]
    Acquire(#[from] AcquireError<SqliteError>),
    /// The work failed.
    #[error("the work with the connection failed")]
    Failed(#[source] SqliteError),
    /// The work panicked.
    #[error("the work with the connection panicked: {message}")]
    Panicked {
        /// What it panicked with, if that was text.
        message: Arc<str>,
    },
}

impl WorkError {
    /// What SQLite refused, if that is what happened.
    #[must_use]
    pub fn failure(&self) -> Option<&SqliteError> {
        match self {
            Self::Failed(error) => Some(error),
            _ => None,
        }
    }
}
