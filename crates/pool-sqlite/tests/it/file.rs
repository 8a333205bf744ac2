//! Files that are removed or replaced while they are open.

use std::fs;

use brolly_pool_sqlite::Sqlite;

use crate::support::{count, scratch};

#[cfg(unix)]
#[test]
fn nobody_begins_on_a_file_that_was_replaced() {
    let scratch = scratch();
    let db = &scratch.db;
    assert_eq!(count(db), 0);
    let other = scratch.directory.path().join("other.db");
    {
        let alone = rusqlite::Connection::open(&other).unwrap();
        alone
            .execute_batch("CREATE TABLE t(x); INSERT INTO t VALUES (1), (2), (3)")
            .unwrap();
    }
    for log in ["data.db-wal", "data.db-shm"] {
        fs::remove_file(scratch.directory.path().join(log)).unwrap();
    }
    fs::rename(&other, scratch.path()).unwrap();
    assert_eq!(count(db), 3);
    db.write_blocking(|it| it.execute("INSERT INTO t VALUES (4)", []))
        .unwrap();
    assert_eq!(count(db), 4);
}

#[cfg(unix)]
#[test]
fn a_removed_file_is_an_error_for_readers_and_made_anew_by_the_writer() {
    let scratch = scratch();
    let db = &scratch.db;
    assert_eq!(count(db), 0);
    for file in ["data.db", "data.db-wal", "data.db-shm"] {
        fs::remove_file(scratch.directory.path().join(file)).unwrap();
    }
    let error = db.read_blocking(|_| Ok(())).unwrap_err();
    assert!(error.failure().is_none());
    assert!(
        error.to_string().contains("no resource could be created"),
        "{error}"
    );
    let tables = db.write_blocking(|it| {
        it.query_row("SELECT count(*) FROM sqlite_schema", [], |row| {
            row.get::<_, i64>(0)
        })
    });
    assert_eq!(tables.unwrap(), 0);
}

#[cfg(unix)]
#[test]
fn a_removed_file_is_not_made_anew_where_that_is_off() {
    let scratch = scratch();
    scratch.db.close();
    let db = Sqlite::builder(scratch.path())
        .create(false)
        .open()
        .unwrap();
    fs::remove_file(scratch.path()).unwrap();
    assert!(db.write_blocking(|_| Ok(())).is_err());
    assert!(!scratch.path().exists());
}

#[cfg(unix)]
#[test]
fn a_holder_can_ask_whether_its_file_is_there() {
    let scratch = scratch();
    let held = scratch.db.writer().acquire_blocking().unwrap();
    assert!(!held.has_moved());
    fs::remove_file(scratch.path()).unwrap();
    assert!(held.has_moved());
}

#[cfg(unix)]
#[test]
fn a_check_finds_a_file_that_was_removed() {
    let clock = brolly_sync::ManualClock::new();
    let given = clock.clone();
    // A hook of one's own takes the place of the look at each checkout; the check has it too.
    let scratch = crate::support::scratch_with(|it| {
        it.writer_pool(|pool| pool.clock(given).before_acquire(|_, _| true))
    });
    fs::remove_file(scratch.path()).unwrap();
    clock.advance(std::time::Duration::from_secs(1));
    let created = scratch.db.writer().stats().created;
    drop(scratch.db.writer().acquire_blocking().unwrap());
    assert_eq!(scratch.db.writer().stats().created, created + 1);
}
