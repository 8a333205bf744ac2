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
mod opening;
mod pools;
mod rows;
mod step;
mod tables;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::error::{DatabaseError, Error};
use crate::lock::FileLock;
use opening::{check_owner, close_to_others, create_empty};
use tables::{CREATE, Marks};

pub(crate) use rows::{Claim, Grant, LeaseRow, PoolRow, SlotRow, Tenant};

/// SQLite counts the milliseconds of a wait in an `int`: 24 days.
const LONGEST_WAIT: Duration = Duration::from_millis(i32::MAX as u64);

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
        check_owner(root)?;
        let path = root.join("pool.db");
        create_empty(&path)?;
        let connection = Connection::open(&path).map_err(|error| database_error(&path, error))?;
        let store = Self {
            path,
            turnstile: root.join("write.lock"),
            timeout,
            connection: Mutex::new(connection),
        };
        store.prepare()?;
        close_to_others(root, 0o700)?;
        for file in ["pool.db", "pool.db-wal", "pool.db-shm"] {
            close_to_others(&root.join(file), 0o600)?;
        }
        Ok(store)
    }

    /// Makes the tables in a database without content and refuses one that is not ours. Until it is
    /// known to be ours, nothing is written to it.
    fn prepare(&self) -> Result<(), Error> {
        let run = |work: &dyn Fn(&Connection) -> rusqlite::Result<Marks>| self.read(work);
        let mut marks = run(&|connection| {
            connection.busy_timeout(self.timeout.min(LONGEST_WAIT))?;
            // Closing would copy the write-ahead log into the file of whomever it belongs to.
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
            Marks::read(connection)
        })?;
        if marks.is_blank() || (marks.objection().is_none() && !marks.has_log) {
            let _turn = FileLock::acquire(&self.turnstile, self.timeout, None)?;
            marks = run(&|connection| {
                if Marks::read(connection)?.is_blank() {
                    connection.execute_batch(CREATE)?;
                }
                // After the tables, so that a crash leaves either no content or ours.
                if Marks::read(connection)?.objection().is_none() {
                    connection.pragma_update(None, "journal_mode", "WAL")?;
                }
                Marks::read(connection)
            })?;
        }
        if let Some(reason) = marks.objection() {
            return Err(Error::Database {
                path: self.path.clone(),
                reason,
                source: None,
            });
        }
        self.read(|connection| {
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
            connection.pragma_update(None, "foreign_keys", true)?;
            // NORMAL loses at most the last commits when the machine loses power, and leases of a
            // machine that went down are void anyway.
            connection.pragma_update(None, "synchronous", "NORMAL")
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
