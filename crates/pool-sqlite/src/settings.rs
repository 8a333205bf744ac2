//! How connections are to be, as plain data.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use rusqlite::Connection;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// It may write. There is one of these at most.
    Writer,
    /// It may not.
    Reader,
}

/// When SQLite waits for the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Synchronous {
    /// Never: a crash of the machine may spoil the file.
    Off,
    /// At checkpoints. With a write-ahead log a crash of the machine may take the last commits back,
    /// and spoils nothing.
    #[default]
    Normal,
    /// At each commit: what is committed stays.
    Full,
}

impl Synchronous {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Off => "OFF",
            Self::Normal => "NORMAL",
            Self::Full => "FULL",
        }
    }
}

/// Where the data is.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    File(PathBuf),
    Memory,
}

pub(crate) type OnConnect =
    Box<dyn Fn(&mut Connection, Role) -> rusqlite::Result<()> + Send + Sync>;

pub(crate) struct Settings {
    pub(crate) place: Place,
    pub(crate) may_create: bool,
    pub(crate) is_read_only: bool,
    pub(crate) has_wal: bool,
    pub(crate) synchronous: Synchronous,
    pub(crate) busy_timeout: Duration,
    pub(crate) has_foreign_keys: bool,
    pub(crate) statement_cache: usize,
    pub(crate) on_connect: Option<OnConnect>,
}

/// The longest time that SQLite can wait for a lock: its limit is a signed number of milliseconds.
const LONGEST_WAIT: Duration = Duration::from_millis(i32::MAX as u64);

impl Settings {
    pub(crate) fn of(place: Place) -> Self {
        Self {
            place,
            may_create: true,
            is_read_only: false,
            has_wal: true,
            synchronous: Synchronous::default(),
            busy_timeout: Duration::from_secs(5),
            has_foreign_keys: true,
            statement_cache: 64,
            on_connect: None,
        }
    }

    pub(crate) fn is_memory(&self) -> bool {
        matches!(self.place, Place::Memory)
    }

    /// The time to wait for a lock, as much of it as SQLite can count.
    pub(crate) fn busy_timeout(&self) -> Duration {
        self.busy_timeout.min(LONGEST_WAIT)
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("place", &self.place)
            .field("may_create", &self.may_create)
            .field("is_read_only", &self.is_read_only)
            .field("has_wal", &self.has_wal)
            .field("synchronous", &self.synchronous)
            .field("busy_timeout", &self.busy_timeout)
            .field("has_foreign_keys", &self.has_foreign_keys)
            .field("statement_cache", &self.statement_cache)
            .finish_non_exhaustive()
    }
}
