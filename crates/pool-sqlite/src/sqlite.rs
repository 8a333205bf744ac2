//! [`Sqlite`]: one database, a pool of one connection that writes and a pool of those that read.

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use brolly_resource_pool::{DrainReport, Guard, Manager, Pool};
use rusqlite::{Transaction, TransactionBehavior};

use crate::builder::SqliteBuilder;
use crate::connection::SqliteConnection;
use crate::error::{SqliteError, WorkError};
use crate::manager::SqliteManager;
use crate::settings::Place;
use crate::threads::Threads;
use crate::work::on_a_thread;

/// One database: a writer and its readers. Clones are handles to the same one.
///
/// The functions that are given a closure run it on a thread and may be awaited in any runtime, or
/// outside of one. Those that end in `_blocking` run it on the thread they are called from.
/// [`writer`](Self::writer) and [`readers`](Self::readers) are the pools themselves.
///
/// Who holds a connection is named by the line that called these.
#[derive(Clone)]
pub struct Sqlite {
    // Dropped before the writer: a reader that is the last to close cannot write the log back.
    readers: Pool<SqliteManager>,
    writer: Pool<SqliteManager>,
    threads: Threads,
    is_memory: bool,
}

impl Sqlite {
    /// Settings for the database in a file.
    ///
    /// The path is taken as it is: what SQLite reads as a URI or as a database in memory is not.
    pub fn builder(path: impl Into<PathBuf>) -> SqliteBuilder {
        SqliteBuilder::new(Place::File(path.into()))
    }

    /// Settings for a database in memory. It has one connection, which reads and writes, and lives as
    /// long as that: nothing expires, and no error costs it, but whoever detaches or discards the
    /// connection, resets the pool or has a hook of its own refuse it takes the data along. After that
    /// every acquire is [`SqliteError::MemoryLost`].
    pub fn in_memory() -> SqliteBuilder {
        SqliteBuilder::new(Place::Memory)
    }

    /// Opens the database in a file with the settings as they are by default, and makes the file if
    /// it is not there. Blocks for milliseconds.
    ///
    /// # Errors
    ///
    /// As [`SqliteBuilder::open`].
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, crate::OpenError> {
        Self::builder(path).open()
    }

    pub(crate) fn new(
        writer: Pool<SqliteManager>,
        readers: Pool<SqliteManager>,
        threads: Threads,
        is_memory: bool,
    ) -> Self {
        Self {
            writer,
            readers,
            threads,
            is_memory,
        }
    }

    /// The pool of the one connection that writes.
    #[must_use]
    pub fn writer(&self) -> &Pool<SqliteManager> {
        &self.writer
    }

    /// The pool of those that read. For a database in memory it is the writer's, and what is acquired
    /// from it may write.
    #[must_use]
    pub fn readers(&self) -> &Pool<SqliteManager> {
        &self.readers
    }

    /// Reads, with one of the readers. What would write is [`SqliteError::ReadOnly`].
    ///
    /// # Errors
    ///
    /// [`WorkError`]: no connection, or what the work came to.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future while it waits leaves the line. Dropped later, it interrupts the
    /// statement that runs and those that follow, and the connection goes back when the work has
    /// ended, never before: nobody gets a connection on which something still runs.
    #[track_caller]
    pub fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&SqliteConnection) -> rusqlite::Result<T> + Send + 'static,
    ) -> impl Future<Output = Result<T, WorkError>> + Send {
        let acquired = self.readers.acquire_owned();
        let is_memory = self.is_memory;
        async move {
            let connection = acquired.await?;
            let work = move |it: &mut SqliteConnection| read_with(it, is_memory, work);
            on_a_thread(&self.threads, is_memory, connection, work).await
        }
    }

    /// Works with the connection that writes. A transaction that the work leaves open is rolled back.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    ///
    /// # Cancel safety
    ///
    /// As [`read`](Self::read). What was committed stays; what was not is rolled back, and nothing is
    /// committed after that.
    #[track_caller]
    pub fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut SqliteConnection) -> rusqlite::Result<T> + Send + 'static,
    ) -> impl Future<Output = Result<T, WorkError>> + Send {
        let acquired = self.writer.acquire_owned();
        async move {
            let connection = acquired.await?;
            let work = move |it: &mut SqliteConnection| Ok(work(it)?);
            on_a_thread(&self.threads, self.is_memory, connection, work).await
        }
    }

    /// Works in a transaction of the writer that has the lock from its beginning, so that it cannot
    /// fail half way for want of one. Committed if the work succeeds, rolled back if not.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    ///
    /// # Cancel safety
    ///
    /// As [`read`](Self::read): all of it has happened, or nothing. Whoever leaves during the commit
    /// does not learn which.
    #[track_caller]
    pub fn transaction<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> impl Future<Output = Result<T, WorkError>> + Send {
        self.write(move |connection| in_transaction(connection, work))
    }

    /// The same as [`read`](Self::read) on this thread. Must not be called from a task.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read); a panic of the work is the caller's.
    #[track_caller]
    pub fn read_blocking<T>(
        &self,
        work: impl FnOnce(&SqliteConnection) -> rusqlite::Result<T>,
    ) -> Result<T, WorkError> {
        let connection = self.readers.acquire_blocking()?;
        self.ended(connection, |it| read_with(it, self.is_memory, work))
    }

    /// The same as [`write`](Self::write) on this thread. Must not be called from a task.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read); a panic of the work is the caller's.
    #[track_caller]
    pub fn write_blocking<T>(
        &self,
        work: impl FnOnce(&mut SqliteConnection) -> rusqlite::Result<T>,
    ) -> Result<T, WorkError> {
        let connection = self.writer.acquire_blocking()?;
        self.ended(connection, |it| Ok(work(it)?))
    }

    /// The same as [`transaction`](Self::transaction) on this thread. Must not be called from a task.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read); a panic of the work is the caller's.
    #[track_caller]
    pub fn transaction_blocking<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, WorkError> {
        self.write_blocking(|connection| in_transaction(connection, work))
    }

    /// Ends both pools: whoever waits or comes later is told so, what is idle is closed, and the rest
    /// when it comes back. Only [`drain`](Self::drain) makes sure that the writer is the last.
    pub fn close(&self) {
        self.readers.close();
        self.writer.close();
    }

    /// Closes the readers, waits until all have come back, and then the same with the writer, for so
    /// long at most in all. So the writer is the last, and writes the log back into the file. Until
    /// its turn comes it may be used. Returns the readers' report and the writer's.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops waiting; both pools are closed all the same.
    pub async fn drain(&self, limit: Duration) -> (DrainReport, DrainReport) {
        let _closing = Closing(self);
        let readers = self.readers.drain(limit).await;
        let left = limit.saturating_sub(readers.took);
        let writer = self.writer.drain(left).await;
        let left = left.saturating_sub(writer.took);
        // Without a spawner the pool does not wait for what its manager does at the end.
        self.writer.manager().closed(left).await;
        (readers, writer)
    }
}

impl Sqlite {
    /// Works, and gives the connection back by what the work came to.
    fn ended<T>(
        &self,
        mut connection: Guard<'_, SqliteManager>,
        work: impl FnOnce(&mut SqliteConnection) -> Result<T, SqliteError>,
    ) -> Result<T, WorkError> {
        match work(&mut connection) {
            Ok(value) => Ok(value),
            Err(error) => {
                if self.writer.manager().is_fatal(&error) {
                    Guard::discard(connection);
                }
                Err(WorkError::Failed(error))
            }
        }
    }
}

/// Closes both pools in any case.
struct Closing<'a>(&'a Sqlite);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

fn read_with<T>(
    connection: &mut SqliteConnection,
    is_memory: bool,
    work: impl FnOnce(&SqliteConnection) -> rusqlite::Result<T>,
) -> Result<T, SqliteError> {
    if !is_memory {
        return Ok(work(connection)?);
    }
    connection.pragma_update(None, "query_only", true)?;
    let writable = Writable(connection);
    Ok(work(writable.0)?)
}

/// Lets a connection write again that has lent itself to a reader.
struct Writable<'a>(&'a SqliteConnection);

impl Drop for Writable<'_> {
    fn drop(&mut self) {
        // Should the reader's caller leave at this moment, the connection is asked again on return.
        let _ = self.0.pragma_update(None, "query_only", false);
    }
}

fn in_transaction<T>(
    connection: &mut SqliteConnection,
    work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let value = work(&transaction)?;
    transaction.commit()?;
    Ok(value)
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sqlite")
            .field("writer", &self.writer)
            .field("readers", &self.readers)
            .finish_non_exhaustive()
    }
}
