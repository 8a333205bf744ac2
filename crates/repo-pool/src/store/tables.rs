//! The tables, and the marks by which a database of ours is told from any other.

use rusqlite::Connection;

/// The version of the tables; a database with a newer one is refused.
const SCHEMA: i64 = 1;

/// Says that a SQLite file is a pool database ("brly").
const APPLICATION: i64 = 0x6272_6c79;

/// By what a database is told from any other.
pub(super) struct Marks {
    pages: i64,
    application: i64,
    version: i64,
    /// Whether changes go to a write-ahead log.
    pub(super) has_log: bool,
}

impl Marks {
    /// Reads them and writes nothing.
    pub(super) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get(0));
        Ok(Self {
            // First: who finds content finds the marks that were committed with it.
            pages: number("page_count")?,
            application: number("application_id")?,
            version: number("user_version")?,
            has_log: connection.pragma_query_value(None, "journal_mode", |row| {
                row.get(0).map(|mode: String| mode == "wal")
            })?,
        })
    }

    /// Whether nothing was ever written: a file with no table in it can be another program's all the same.
    pub(super) fn is_blank(&self) -> bool {
        self.pages == 0
    }

    fn are_ours(&self) -> bool {
        self.application == APPLICATION
    }

    /// Why the database cannot be used, and what to do about it.
    pub(super) fn objection(&self) -> Option<String> {
        if !self.are_ours() {
            Some("it belongs to another program; choose another root".to_owned())
        } else if self.version > SCHEMA {
            Some(format!(
                "it has schema version {} and this program knows up to {SCHEMA}; use a newer version of the program",
                self.version
            ))
        } else {
            None
        }
    }
}

/// Makes the tables and sets the marks, all or nothing.
pub(super) const CREATE: &str = "
BEGIN IMMEDIATE;
PRAGMA application_id = 0x62726c79;
PRAGMA user_version = 1;
CREATE TABLE pool (
    id            INTEGER PRIMARY KEY,
    name          TEXT    NOT NULL UNIQUE,
    url           TEXT    NOT NULL,
    branch        TEXT    NOT NULL,
    ready         INTEGER NOT NULL,
    owner         TEXT,
    fetched_boot  TEXT    NOT NULL DEFAULT '',
    fetched_at    INTEGER NOT NULL DEFAULT 0,
    allocations   INTEGER NOT NULL DEFAULT 0,
    warm_hits     INTEGER NOT NULL DEFAULT 0,
    failures      INTEGER NOT NULL DEFAULT 0,
    allocation_ns INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE slot (
    pool          INTEGER NOT NULL REFERENCES pool (id) ON DELETE CASCADE,
    number        INTEGER NOT NULL,
    state         TEXT    NOT NULL,
    head          TEXT    NOT NULL,
    token         INTEGER NOT NULL DEFAULT 0,
    owner         TEXT,
    orphaned      INTEGER NOT NULL DEFAULT FALSE,
    last_used     INTEGER NOT NULL DEFAULT 0,
    allocations   INTEGER NOT NULL DEFAULT 0,
    note          TEXT,
    PRIMARY KEY (pool, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE lease (
    token         INTEGER PRIMARY KEY AUTOINCREMENT,
    pool          INTEGER NOT NULL REFERENCES pool (id) ON DELETE CASCADE,
    slot          INTEGER NOT NULL,
    holder        TEXT    NOT NULL,
    owner         TEXT    NOT NULL,
    boot          TEXT    NOT NULL,
    expires_at    INTEGER,
    ended         TEXT
) STRICT;
COMMIT;
";

#[cfg(test)]
mod tests {
    use super::{CREATE, Marks};

    #[test]
    fn a_database_that_was_just_made_carries_the_marks() {
        let connection = rusqlite::Connection::open_in_memory().expect("memory");
        assert!(Marks::read(&connection).expect("marks").is_blank());
        connection.execute_batch(CREATE).expect("tables");
        let marks = Marks::read(&connection).expect("marks");
        assert!(marks.are_ours() && marks.objection().is_none() && !marks.is_blank());
    }
}
