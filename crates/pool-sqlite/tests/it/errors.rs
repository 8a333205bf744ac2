//! What SQLite refuses, by kind.

use std::error::Error;
use std::fs;

use brolly_pool_sqlite::{OpenError, Sqlite, SqliteError, WorkError};

use crate::support::{count, scratch, scratch_with};

fn refused(builder: brolly_pool_sqlite::SqliteBuilder) -> SqliteError {
    match builder.open().unwrap_err() {
        OpenError::Open { source, .. } => source,
        other => panic!("{other}"),
    }
}

#[test]
fn a_full_database_is_full_and_its_connection_goes_on() {
    let db = scratch();
    let full = db.write_blocking(|it| {
        it.pragma_update(None, "max_page_count", 4)?;
        it.execute(
            "INSERT INTO t SELECT randomblob(4096) FROM pragma_function_list",
            [],
        )
    });
    let Err(WorkError::Failed(error @ SqliteError::Full(_))) = full else {
        panic!("{full:?}");
    };
    assert!(!error.is_fatal() && error.is_transient());
    assert_eq!(count(&db), 0);
    db.write_blocking(|it| {
        it.pragma_update(None, "max_page_count", 1000)?;
        it.execute("INSERT INTO t VALUES (1)", [])
    })
    .unwrap();
    assert_eq!(db.writer().stats().created, 0, "still the first one");
}

#[test]
fn a_file_that_is_no_database_is_refused_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data.db");
    fs::write(&path, [b'x'; 8192]).unwrap();
    let error = refused(Sqlite::builder(&path));
    assert!(matches!(error, SqliteError::NotADatabase(_)), "{error:?}");
    assert!(error.is_fatal() && !error.is_transient());
    assert_eq!(fs::read(&path).unwrap(), [b'x'; 8192]);
}

#[test]
fn a_damaged_file_costs_the_connection_that_finds_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data.db");
    {
        let alone = rusqlite::Connection::open(&path).unwrap();
        alone
            .execute_batch("CREATE TABLE t(x); INSERT INTO t VALUES (1)")
            .unwrap();
    }
    let mut bytes = fs::read(&path).unwrap();
    bytes[4096..].fill(0xff); // the page of the table; the header and the schema are whole
    fs::write(&path, bytes).unwrap();
    let db = Sqlite::open(&path).unwrap();
    let error = db
        .read_blocking(|it| it.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0)))
        .unwrap_err();
    assert!(
        matches!(error.failure(), Some(SqliteError::Corrupt(_))),
        "{error:?}"
    );
    assert_eq!(db.readers().stats().idle, 0);
    let counted = db.write(|it| it.query_row("SELECT count(*) FROM t", [], |row| row.get(0)));
    let error = brolly_sync::block_on(counted)
        .map(|it: i64| it)
        .unwrap_err();
    assert!(matches!(error.failure(), Some(SqliteError::Corrupt(_))));
    assert_eq!(db.writer().stats().idle, 0);
}

#[test]
fn a_file_that_must_not_be_made_cannot_be_opened() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data.db");
    let error = refused(Sqlite::builder(&path).create(false));
    assert!(matches!(error, SqliteError::CannotOpen(_)));
    assert!(error.is_transient());
    let nowhere = directory.path().join("nowhere").join("data.db");
    let error = refused(Sqlite::builder(nowhere));
    assert!(matches!(error, SqliteError::CannotOpen(_)));
    let error = refused(Sqlite::builder(directory.path()));
    assert!(matches!(error, SqliteError::CannotOpen(_)));
    assert!(!path.exists());
}

#[test]
fn a_path_that_no_system_takes_is_an_error() {
    assert!(Sqlite::open("a\0b").is_err());
}

#[test]
fn a_read_only_database_cannot_be_written() {
    let scratch = scratch();
    scratch.db.close();
    let db = Sqlite::builder(scratch.path()).read_only(true).open();
    let db = db.unwrap();
    assert_eq!(count(&db), 0);
    let refused = db.write_blocking(|it| it.execute("INSERT INTO t VALUES (1)", []));
    let error = refused.unwrap_err();
    assert!(matches!(error.failure(), Some(SqliteError::ReadOnly(_))));
    assert_eq!(db.writer().stats().idle, 1);
    let missing = scratch.directory.path().join("other.db");
    let error = refused_open(&missing);
    assert!(matches!(error, SqliteError::CannotOpen(_)));
}

fn refused_open(path: &std::path::Path) -> SqliteError {
    refused(Sqlite::builder(path).read_only(true))
}

#[test]
fn constraints_are_told_from_other_errors() {
    let db = scratch_with(|it| it);
    db.write_blocking(|it| {
        it.execute_batch(
            "CREATE TABLE parent(id INTEGER PRIMARY KEY);
             CREATE TABLE child(of INTEGER REFERENCES parent(id))",
        )
    })
    .unwrap();
    let refused = db.write_blocking(|it| it.execute("INSERT INTO child VALUES (1)", []));
    let error = refused.unwrap_err();
    assert!(matches!(error.failure(), Some(SqliteError::Constraint(_))));
    // What SQLite says is the source, and is not said twice.
    let source = error.source().unwrap();
    assert_eq!(source.to_string(), "a constraint does not hold");
    assert_eq!(
        source.source().unwrap().to_string(),
        "FOREIGN KEY constraint failed"
    );
}

#[cfg(unix)]
#[test]
fn a_file_that_must_not_be_written_is_read_only() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = scratch();
    // SQLite uses a descriptor again that it has not closed yet, so all have to be closed.
    let (_, writer) = brolly_sync::block_on(scratch.db.drain(std::time::Duration::from_secs(10)));
    assert_eq!(writer.left.len(), 0);
    let locked = fs::Permissions::from_mode(0o444);
    fs::set_permissions(scratch.path(), locked).unwrap();
    if fs::OpenOptions::new()
        .write(true)
        .open(scratch.path())
        .is_ok()
    {
        return; // permissions mean nothing to this user
    }
    let db = Sqlite::open(scratch.path()).unwrap();
    let refused = db.write_blocking(|it| it.execute("INSERT INTO t VALUES (1)", []));
    let error = refused.unwrap_err();
    assert!(matches!(error.failure(), Some(SqliteError::ReadOnly(_))));
}
