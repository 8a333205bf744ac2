//! The tables, and the marks by which a database of ours is told from any other.

/// The version of the tables; a database with a newer one is refused.
pub(super) const SCHEMA: i64 = 1;

/// Says that a SQLite file is a pool database ("brly").
pub(super) const APPLICATION: i64 = 0x6272_6c79;

pub(super) const TABLES: &str = "
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
";
