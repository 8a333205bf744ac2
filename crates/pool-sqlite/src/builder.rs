//! [`SqliteBuilder`]: which database, and how its connections are to be.

use std::fmt;
use std::path::{self, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use brolly_resource_pool::{Check, ConfigError, Pool, PoolBuilder};
use rusqlite::Connection;

use crate::error::OpenError;
use crate::manager::SqliteManager;
use crate::settings::{Place, Role, Settings, Synchronous};
use crate::sqlite::Sqlite;
use crate::threads::Threads;

type Adjust = Box<dyn FnOnce(PoolBuilder<SqliteManager>) -> PoolBuilder<SqliteManager> + Send>;

/// How a [`Sqlite`] is to be. Made by [`Sqlite::builder`] and [`Sqlite::in_memory`].
#[must_use = "nothing is opened yet"]
pub struct SqliteBuilder {
    settings: Settings,
    readers: usize,
    writer_pool: Vec<Adjust>,
    reader_pool: Vec<Adjust>,
}

impl SqliteBuilder {
    pub(crate) fn new(place: Place) -> Self {
        Self {
            settings: Settings::of(place),
            readers: 4,
            writer_pool: Vec::new(),
            reader_pool: Vec::new(),
        }
    }

    /// How many connections may read at once: 1 or more, by default 4. A database in memory has
    /// none of its own.
    pub fn readers(mut self, readers: usize) -> Self {
        self.readers = readers;
        self
    }

    /// Whether a file that is not there is made. By default it is.
    pub fn create(mut self, may_create: bool) -> Self {
        self.settings.may_create = may_create;
        self
    }

    /// Opens everything read-only, the writer's connection too: writing is
    /// [`SqliteError::ReadOnly`](crate::SqliteError::ReadOnly). By default off.
    pub fn read_only(mut self, is_read_only: bool) -> Self {
        self.settings.is_read_only = is_read_only;
        self
    }

    /// Whether the file is given a write-ahead log, with which readers and the writer do not wait
    /// for each other. By default yes. It stays with the file; no leaves the file as it is.
    pub fn wal(mut self, has_wal: bool) -> Self {
        self.settings.has_wal = has_wal;
        self
    }

    /// When SQLite waits for the disk. By default at checkpoints.
    pub fn synchronous(mut self, synchronous: Synchronous) -> Self {
        self.settings.synchronous = synchronous;
        self
    }

    /// How long a statement waits for a lock of another connection, of this process or another: by
    /// default 5 s. Zero does not wait; what is more than 24 days is 24 days.
    pub fn busy_timeout(mut self, limit: Duration) -> Self {
        self.settings.busy_timeout = limit;
        self
    }

    /// Whether foreign keys are kept. By default they are.
    pub fn foreign_keys(mut self, has_foreign_keys: bool) -> Self {
        self.settings.has_foreign_keys = has_foreign_keys;
        self
    }

    /// How many prepared statements each connection keeps for `prepare_cached`, up to 65536: by
    /// default 64.
    pub fn statement_cache(mut self, statements: usize) -> Self {
        self.settings.statement_cache = statements;
        self
    }

    /// Runs on each new connection, before a reader is forbidden to write. Functions, collations and
    /// pragmas go here. An error or a panic refuses the connection.
    pub fn on_connect(
        mut self,
        hook: impl Fn(&mut Connection, Role) -> rusqlite::Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.settings.on_connect = Some(Box::new(hook));
        self
    }

    /// Changes the settings of the writer's pool: limits, names, listeners. Its size stays one.
    ///
    /// A `before_acquire` of its own takes the place of the look at
    /// [`has_moved`](crate::SqliteConnection::has_moved) at each checkout, and has to do that too.
    pub fn writer_pool(
        mut self,
        adjust: impl FnOnce(PoolBuilder<SqliteManager>) -> PoolBuilder<SqliteManager> + Send + 'static,
    ) -> Self {
        self.writer_pool.push(Box::new(adjust));
        self
    }

    /// The same for the readers' pool. Its greatest size is [`readers`](Self::readers).
    pub fn reader_pool(
        mut self,
        adjust: impl FnOnce(PoolBuilder<SqliteManager>) -> PoolBuilder<SqliteManager> + Send + 'static,
    ) -> Self {
        self.reader_pool.push(Box::new(adjust));
        self
    }

    /// Opens the database with one connection, so that what is wrong with it is known now; the
    /// others are made when they are wanted.
    ///
    /// Blocks while the file is opened: milliseconds, and up to twice the busy timeout while another
    /// process keeps it locked.
    ///
    /// # Errors
    ///
    /// [`OpenError`]: a setting is out of its range, or the file is not to be had.
    pub fn open(mut self) -> Result<Sqlite, OpenError> {
        self.check()?;
        if let Place::File(path) = &mut self.settings.place
            && let Ok(full) = path::absolute(&*path)
        {
            // Of this directory, also for connections that are made after the process left it.
            *path = full;
        }
        let threads = Threads::new();
        let settings = Arc::new(self.settings);
        let is_memory = settings.is_memory();

        let manager = SqliteManager::new(&settings, Role::Writer, &threads);
        let builder = Pool::builder(manager).name("sqlite writer");
        let mut builder = builder.before_acquire(|it, _| !it.has_moved());
        for adjust in self.writer_pool {
            builder = adjust(builder);
        }
        builder = builder.max_size(1);
        if is_memory {
            builder = keep_for_ever(builder);
        }
        let writer = builder.build()?;

        let readers = if is_memory {
            writer.clone()
        } else {
            let manager = SqliteManager::new(&settings, Role::Reader, &threads);
            let builder = Pool::builder(manager).name("sqlite readers");
            let mut builder = builder.before_acquire(|it, _| !it.has_moved());
            for adjust in self.reader_pool {
                builder = adjust(builder);
            }
            builder.max_size(self.readers).build()?
        };

        let first = writer.manager().open();
        let first = first.map_err(|source| OpenError::Open {
            path: path_of(&settings.place),
            source,
        })?;
        // The pool is new and has a place for one; should a hook have closed it, nobody needs one.
        let _ = writer.add(first);
        Ok(Sqlite::new(writer, readers, threads, is_memory))
    }

    fn check(&self) -> Result<(), ConfigError> {
        if let Place::File(path) = &self.settings.place {
            // SQLite takes both for a database of the one connection that opens it.
            let is_private = path.as_os_str().is_empty() || path == Path::new(":memory:");
            if is_private {
                let allowed = "the path of a file; a database in memory is `Sqlite::in_memory`";
                return Err(ConfigError::new("path", path, allowed));
            }
        }
        if !(1..=MOST).contains(&self.readers) {
            return Err(ConfigError::new("readers", self.readers, "1 to 65536"));
        }
        let statements = self.settings.statement_cache;
        if statements > MOST {
            let allowed = "0 to 65536";
            return Err(ConfigError::new("statement_cache", statements, allowed));
        }
        Ok(())
    }
}

const MOST: usize = 65536;

/// The data lives as long as this one connection.
fn keep_for_ever(builder: PoolBuilder<SqliteManager>) -> PoolBuilder<SqliteManager> {
    builder
        .idle_timeout(None)
        .max_lifetime(None)
        .max_uses(None)
        .lease_timeout(None)
        .health_interval(None)
        .keep_after_panic(true)
        // A check that its runtime drops costs the resource. On return it was cleaned anyway.
        .check(Check::Never)
}

fn path_of(place: &Place) -> PathBuf {
    match place {
        Place::File(path) => path.clone(),
        Place::Memory => PathBuf::from(":memory:"),
    }
}

impl fmt::Debug for SqliteBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteBuilder")
            .field("settings", &self.settings)
            .field("readers", &self.readers)
            .finish_non_exhaustive()
    }
}
