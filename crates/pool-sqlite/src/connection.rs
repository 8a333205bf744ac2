//! [`SqliteConnection`]: a connection as it is opened, and as it has to be when it comes back.

use std::borrow::Cow;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use crate::error::SqliteError;
use crate::settings::{Place, Role, Settings};
use crate::stamp::Stamp;
use crate::threads::contain;

/// How many instructions of SQLite's machine pass before it asks whether it is to stop. About ten
/// microseconds of work.
const STEPS: std::ffi::c_int = 1000;

/// How long a change of the journal mode that somebody hinders is put off.
const PAUSE: Duration = Duration::from_millis(10);

/// A connection of the pool: a [`rusqlite::Connection`] that knows which file it has open.
///
/// SQLite blocks. In a task, use [`Sqlite::read`](crate::Sqlite::read) and
/// [`Sqlite::write`](crate::Sqlite::write), which work on a thread.
///
/// The pool has a progress handler and a commit hook of its own on each. Another progress handler in
/// its place delays the end of work whose caller has left, another commit hook lets it commit.
pub struct SqliteConnection {
    connection: Connection,
    role: Role,
    /// The file and its identity; none for a database in memory.
    file: Option<(PathBuf, Stamp)>,
    stop: Arc<AtomicBool>,
}

impl SqliteConnection {
    /// What it is for.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// Whether the file it has open was removed, or another has taken its place. One look at the
    /// directory entry; where files in use cannot be replaced, whether it is there.
    #[must_use]
    pub fn has_moved(&self) -> bool {
        match &self.file {
            Some((path, stamp)) => Stamp::of(path) != Some(*stamp),
            None => false,
        }
    }

    /// Opens a connection and makes it what the settings say. Blocks.
    pub(crate) fn open(settings: &Settings, role: Role) -> Result<Self, SqliteError> {
        let (mut connection, file) = match &settings.place {
            Place::Memory => (Connection::open_in_memory()?, None),
            Place::File(path) => open_file(settings, role, path)?,
        };
        connection.busy_timeout(settings.busy_timeout())?;
        if !settings.is_memory() {
            set_journal(&connection, settings, role)?;
        }
        connection.pragma_update(None, "synchronous", settings.synchronous.word())?;
        connection.pragma_update(None, "foreign_keys", settings.has_foreign_keys)?;
        connection.set_prepared_statement_cache_capacity(settings.statement_cache);
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stop);
        let _ = connection.progress_handler(STEPS, Some(move || asked.load(Relaxed)));
        let asked = Arc::clone(&stop);
        let _ = connection.commit_hook(Some(move || asked.load(Relaxed)));
        if let Some(hook) = &settings.on_connect {
            match contain(|| hook(&mut connection, role)) {
                Ok(outcome) => outcome?,
                Err(message) => return Err(SqliteError::HookPanicked { message }),
            }
        }
        if role == Role::Reader {
            connection.pragma_update(None, "query_only", true)?;
        }
        let file = match file {
            Some((path, before)) => Some(identify(path, before)?),
            None => None,
        };
        let mut opened = Self {
            connection,
            role,
            file,
            stop,
        };
        // The hook may have left a transaction open.
        opened.clean()?;
        Ok(opened)
    }

    /// While this is true, whatever runs on it is stopped.
    pub(crate) fn stop(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }

    /// Ends what its holder has left open: rolls a transaction back.
    ///
    /// Costs two questions to the connection where there is nothing to do.
    pub(crate) fn clean(&mut self) -> Result<(), SqliteError> {
        if !self.connection.is_autocommit() {
            let rolled_back = self.connection.execute_batch("ROLLBACK");
            if rolled_back.is_err() || !self.connection.is_autocommit() {
                return Err(SqliteError::Unfinished(rolled_back.err()));
            }
        }
        if self.connection.is_busy() {
            // A statement that was leaked keeps its snapshot, and the log grows.
            return Err(SqliteError::Unfinished(None));
        }
        if self.file.is_none() {
            // The one connection there is may have been lent to a reader.
            self.connection.pragma_update(None, "query_only", false)?;
        }
        Ok(())
    }

    /// Refuses a connection whose file is not at its path any more.
    pub(crate) fn stay(&self) -> Result<(), SqliteError> {
        match &self.file {
            Some((path, _)) if self.has_moved() => Err(SqliteError::Moved { path: path.clone() }),
            _ => Ok(()),
        }
    }
}

type Opened = (Connection, Option<(PathBuf, Option<Stamp>)>);

fn open_file(settings: &Settings, role: Role, path: &Path) -> Result<Opened, SqliteError> {
    let before = Stamp::of(path);
    let mut flags = OpenFlags::SQLITE_OPEN_NO_MUTEX;
    flags |= match role {
        Role::Writer if !settings.is_read_only => OpenFlags::SQLITE_OPEN_READ_WRITE,
        _ => OpenFlags::SQLITE_OPEN_READ_ONLY,
    };
    if settings.may_create && flags.contains(OpenFlags::SQLITE_OPEN_READ_WRITE) {
        flags |= OpenFlags::SQLITE_OPEN_CREATE;
    }
    let connection = Connection::open_with_flags(literal(path), flags)?;
    Ok((connection, Some((path.to_owned(), before))))
}

/// The path as one that SQLite takes for nothing else: the bundled one reads URIs, among them some
/// of databases in memory.
fn literal(path: &Path) -> Cow<'_, Path> {
    match path.as_os_str().as_encoded_bytes().starts_with(b"file:") {
        true => Cow::Owned(Path::new(".").join(path)),
        false => Cow::Borrowed(path),
    }
}

/// The identity of what was opened. If another file came meanwhile, nobody can say which it is.
fn identify(path: PathBuf, before: Option<Stamp>) -> Result<(PathBuf, Stamp), SqliteError> {
    match Stamp::of(&path) {
        Some(stamp) if before.is_none_or(|it| it == stamp) => Ok((path, stamp)),
        _ => Err(SqliteError::Moved { path }),
    }
}

fn set_journal(
    connection: &Connection,
    settings: &Settings,
    role: Role,
) -> Result<(), SqliteError> {
    // Reading it reads the file's header, so that a file that is no database is refused here.
    let mode = journal_mode(connection, "PRAGMA journal_mode")?;
    let wants_wal = settings.has_wal && role == Role::Writer && !settings.is_read_only;
    if !wants_wal || mode == "wal" {
        return Ok(());
    }
    // SQLite does not wait where waiting could be for ever: others that change the mode as well.
    let deadline = Instant::now().checked_add(settings.busy_timeout());
    loop {
        match journal_mode(connection, "PRAGMA journal_mode = WAL") {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(mode) => return Err(SqliteError::NoWal { mode }),
            Err(SqliteError::Busy(error)) => {
                if deadline.is_some_and(|it| Instant::now() >= it) {
                    return Err(SqliteError::Busy(error));
                }
                sleep(PAUSE);
            }
            Err(error) => return Err(error),
        }
    }
}

fn journal_mode(connection: &Connection, statement: &str) -> Result<String, SqliteError> {
    Ok(connection.query_row(statement, [], |row| row.get(0))?)
}

impl Deref for SqliteConnection {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl DerefMut for SqliteConnection {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}

impl fmt::Debug for SqliteConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteConnection")
            .field("role", &self.role)
            .field("file", &self.file.as_ref().map(|(path, _)| path))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_is_a_uri() {
        for (path, expected) in [
            ("file:x?mode=memory", "./file:x?mode=memory"),
            ("file::memory:", "./file::memory:"),
            ("file", "file"),
            ("/tmp/file:x", "/tmp/file:x"),
        ] {
            assert_eq!(literal(Path::new(path)), Path::new(expected));
        }
    }
}
