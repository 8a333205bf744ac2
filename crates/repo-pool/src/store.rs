//! The pools' database: the only authority on who holds which slot.
//!
//! What must stay true:
//! 1. Every change of a slot's state is one `UPDATE` that names the states it may come from
//!    ([`SlotState::predecessors`]); who loses a race changes no row.
//! 2. A slot is in the hands of the lease whose token stands in its row, and of nobody else. Tokens
//!    grow and are never used twice (`AUTOINCREMENT`), so an older token is known to be stale.
//! 3. A slot in a state that somebody works in has an owner or, for a durable lease, an end. Once the
//!    owner is dead or the end is past, the slot becomes dirty, never available.

mod cleaning;
mod leases;
mod pools;
mod rows;
mod step;
mod tables;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::error::{DatabaseError, Error};
use crate::lock::FileLock;
use tables::{APPLICATION, SCHEMA, TABLES};

pub(crate) use rows::{Claim, Grant, LeaseRow, PoolRow, SlotRow, Tenant};

#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    /// Writers queue here before they begin a transaction: SQLite itself makes them sleep and try
    /// again, which is neither fair nor quick under contention.
    turnstile: PathBuf,
    timeout: Duration,
    connection: Mutex<Connection>,
}

impl Store {
    pub(crate) fn open(root: &Path, timeout: Duration) -> Result<Self, Error> {
        let path = root.join("pool.db");
        let turnstile = root.join("write.lock");
        let connection = Connection::open(&path).map_err(|error| database_error(&path, error))?;
        let store = Self {
            path,
            turnstile,
            timeout,
            connection: Mutex::new(connection),
        };
        store.prepare()?;
        Ok(store)
    }

    fn prepare(&self) -> Result<(), Error> {
        let _turn = FileLock::acquire(&self.turnstile, self.timeout, None)?;
        let connection = self.connection();
        let run = || {
            connection.busy_timeout(self.timeout)?;
            connection.pragma_update(None, "foreign_keys", true)?;
            let version: i64 =
                connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
            let application: i64 =
                connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
            if (version, application) == (0, 0) {
                // NORMAL loses at most the last commits when the machine loses power, and leases of a
                // machine that went down are void anyway.
                connection.pragma_update(None, "journal_mode", "WAL")?;
                connection.execute_batch(&format!(
                    "BEGIN IMMEDIATE; {TABLES} PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {SCHEMA}; COMMIT;"
                ))?;
                return Ok((SCHEMA, APPLICATION));
            }
            Ok((version, application))
        };
        let (version, application) = run().map_err(|error| self.error(error))?;
        connection
            .pragma_update(None, "synchronous", "NORMAL")
            .map_err(|error| self.error(error))?;
        let reason = if application != APPLICATION {
            "it belongs to another program; choose another root".to_owned()
        } else if version > SCHEMA {
            format!(
                "it has schema version {version} and this program knows up to {SCHEMA}; use a newer version of the program"
            )
        } else {
            return Ok(());
        };
        Err(Error::Database {
            path: self.path.clone(),
            reason,
            source: None,
        })
    }

    fn pool_name(&self, pool: i64) -> Result<String, Error> {
        Ok(self.pool_by_id(pool)?.name)
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A panic inside a transaction rolls it back, so the connection is whole.
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(&self, query: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, Error> {
        query(&self.connection()).map_err(|error| self.error(error))
    }

    fn write<T>(
        &self,
        change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        let mut connection = self.connection();
        let _turn = FileLock::acquire(&self.turnstile, self.timeout, None)?;
        let run = || {
            let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = change(&tx)?;
            tx.commit()?;
            Ok(value)
        };
        run().map_err(|error| self.error(error))
    }

    fn error(&self, error: rusqlite::Error) -> Error {
        database_error(&self.path, error)
    }
}

fn database_error(path: &Path, error: rusqlite::Error) -> Error {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseCorrupt, NotADatabase};
    let reason = match error.sqlite_error_code() {
        Some(DatabaseCorrupt | NotADatabase) => {
            "it is damaged; move it away together with the folder \"pools\" and create the pools anew, nothing is lost \
             but what tenants left in slots"
        }
        Some(DatabaseBusy) => "another program holds it",
        _ => "SQLite refused",
    };
    Error::Database {
        path: path.to_owned(),
        reason: reason.to_owned(),
        source: Some(DatabaseError(error)),
    }
}
