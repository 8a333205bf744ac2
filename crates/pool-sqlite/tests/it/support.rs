//! A database in a directory that goes with the test, and futures looked at by hand.

use std::future::Future;
use std::ops::Deref;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use brolly_pool_sqlite::{Sqlite, SqliteBuilder};
use tempfile::TempDir;

/// Counts for ever unless it is stopped.
pub(crate) const ENDLESS: &str =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";

pub(crate) struct Scratch {
    pub(crate) directory: TempDir,
    pub(crate) db: Sqlite,
}

impl Scratch {
    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("data.db")
    }
}

impl Deref for Scratch {
    type Target = Sqlite;

    fn deref(&self) -> &Sqlite {
        &self.db
    }
}

/// A database with one table `t(x)`.
pub(crate) fn scratch() -> Scratch {
    scratch_with(|it| it)
}

pub(crate) fn scratch_with(settings: impl FnOnce(SqliteBuilder) -> SqliteBuilder) -> Scratch {
    let directory = tempfile::tempdir().unwrap();
    let builder = Sqlite::builder(directory.path().join("data.db"));
    let db = settings(builder).open().unwrap();
    make_table(&db);
    Scratch { directory, db }
}

pub(crate) fn make_table(db: &Sqlite) {
    db.write_blocking(|it| it.execute_batch("CREATE TABLE t(x INTEGER)"))
        .unwrap();
}

pub(crate) fn count(db: &Sqlite) -> i64 {
    db.read_blocking(|it| it.query_row("SELECT count(*) FROM t", [], |row| row.get(0)))
        .unwrap()
}

pub(crate) fn look<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Waits for what other threads are about to do. Fails after ten seconds.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(10), "never: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}
