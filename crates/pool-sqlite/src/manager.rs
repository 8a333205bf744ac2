//! [`SqliteManager`]: makes, cleans and ends the connections of one role.

use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::AcqRel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use brolly_resource_pool::{CloseReason, Manager, Usage};
use brolly_sync::{ThreadTimer, TimerExt, WaitList};

use crate::connection::SqliteConnection;
use crate::error::SqliteError;
use crate::settings::{Role, Settings};
use crate::threads::Threads;

/// What the pools of a [`Sqlite`](crate::Sqlite) ask about connections.
///
/// Opening and closing wait for the disk, on a thread. What is asked when a connection comes back
/// costs well under a microsecond unless there is a transaction to roll back.
pub struct SqliteManager {
    settings: Arc<Settings>,
    role: Role,
    threads: Threads,
    /// A database in memory has been made: another connection would be another database.
    has_made_memory: AtomicBool,
    /// What the closing of the last writer puts something into when it is done.
    leaving: Mutex<Option<Arc<WaitList<()>>>>,
}

impl SqliteManager {
    pub(crate) fn new(settings: &Arc<Settings>, role: Role, threads: &Threads) -> Self {
        Self {
            settings: Arc::clone(settings),
            role,
            threads: threads.clone(),
            has_made_memory: AtomicBool::new(false),
            leaving: Mutex::new(None),
        }
    }

    /// What the connections are for.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// Opens one on this thread.
    pub(crate) fn open(&self) -> Result<SqliteConnection, SqliteError> {
        if self.settings.is_memory() && self.has_made_memory.swap(true, AcqRel) {
            return Err(SqliteError::MemoryLost);
        }
        SqliteConnection::open(&self.settings, self.role)
    }
}

impl SqliteManager {
    /// Waits until what is being closed is closed, for so long at most.
    pub(crate) async fn closed(&self, limit: Duration) {
        let _ = ThreadTimer::new().timeout(limit, self.left()).await;
    }

    async fn left(&self) {
        let leaving = self.lock_leaving().clone();
        if let Some(door) = leaving {
            door.take().await;
            door.put(()); // for others who wait as well
        }
    }

    fn lock_leaving(&self) -> MutexGuard<'_, Option<Arc<WaitList<()>>>> {
        self.leaving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Manager for SqliteManager {
    type Resource = SqliteConnection;
    type Error = SqliteError;

    async fn create(&self) -> Result<SqliteConnection, SqliteError> {
        if self.settings.is_memory() {
            return self.open();
        }
        // What closes may have the file locked, and the pool has not waited for it.
        self.left().await;
        let (settings, role) = (Arc::clone(&self.settings), self.role);
        let opened = self
            .threads
            .run(move || SqliteConnection::open(&settings, role));
        match opened.await {
            Ok(Ok(opened)) => opened,
            Ok(Err(message)) => Err(SqliteError::HookPanicked { message }),
            Err(error) => Err(SqliteError::NoThread(error)),
        }
    }

    async fn recycle(
        &self,
        connection: &mut SqliteConnection,
        _: &Usage,
    ) -> Result<(), SqliteError> {
        connection.clean()?;
        connection.stay()
    }

    fn is_broken(&self, connection: &mut SqliteConnection) -> bool {
        connection.clean().is_err()
    }

    fn is_fatal(&self, error: &SqliteError) -> bool {
        // With a connection to memory the data would go too, for an attached file it may be.
        error.is_fatal() && !self.settings.is_memory()
    }

    fn is_transient(&self, error: &SqliteError) -> bool {
        error.is_transient()
    }

    async fn close(&self, connection: SqliteConnection, _: CloseReason) {
        if self.role == Role::Reader {
            // Nothing is written for one that may not write.
            drop(connection);
            return;
        }
        // The last one of a file writes the log back, which may take a while.
        let door = Arc::new(WaitList::new(Vec::new()));
        *self.lock_leaving() = Some(Arc::clone(&door));
        let leaving = Leaving(door);
        let closed = self.threads.run(move || {
            drop(connection);
            drop(leaving);
        });
        // Where there is no thread, it was closed on this one.
        let _ = closed.await;
    }
}

/// Tells those who wait, also if closing panics, as it does where statements were leaked.
struct Leaving(Arc<WaitList<()>>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.put(());
    }
}

impl fmt::Debug for SqliteManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteManager")
            .field("role", &self.role)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
