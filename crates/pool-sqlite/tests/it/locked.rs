//! Another process that has the lock.

use std::env;
use std::io::{Read, Write, stdin, stdout};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use brolly_pool_sqlite::{Sqlite, SqliteError};

use crate::support::scratch_with;

const FILE: &str = "BROLLY_TEST_LOCKED_FILE";

/// Not a test: what the other process does. It keeps the lock until its input ends.
#[test]
fn keep_the_lock() {
    let Some(path) = env::var_os(FILE) else {
        return;
    };
    let alone = rusqlite::Connection::open(path).unwrap();
    alone.execute_batch("BEGIN EXCLUSIVE").unwrap();
    stdout().write_all(b"\nlocked\n").unwrap();
    stdout().flush().unwrap();
    let _ = stdin().read(&mut [0]);
}

/// A process that has the file locked until this is dropped.
struct Locker {
    child: Child,
    input: Option<ChildStdin>,
    /// What it says later would fail without a reader.
    _output: ChildStdout,
}

impl Locker {
    fn of(path: &std::path::Path) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "locked::keep_the_lock", "--nocapture"])
            .env(FILE, path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut seen = Vec::new();
        let mut output = child.stdout.take().unwrap();
        while !seen.ends_with(b"locked\n") {
            let mut byte = [0];
            assert_eq!(output.read(&mut byte).unwrap(), 1, "it ended early");
            seen.push(byte[0]);
        }
        let input = child.stdin.take();
        Self {
            child,
            input,
            _output: output,
        }
    }
}

impl Drop for Locker {
    fn drop(&mut self) {
        self.input.take();
        let _ = self.child.wait();
    }
}

#[test]
fn a_writer_that_waits_for_another_process_is_told_after_the_busy_timeout() {
    let scratch = scratch_with(|it| it.busy_timeout(Duration::from_millis(50)));
    let db = &scratch.db;
    let locker = Locker::of(&scratch.path());
    let began = Instant::now();
    let refused = db.transaction_blocking(|it| it.execute("INSERT INTO t VALUES (1)", []));
    let error = refused.unwrap_err();
    assert!(matches!(error.failure(), Some(SqliteError::Busy(_))));
    assert!(began.elapsed() >= Duration::from_millis(45));
    assert_eq!(db.writer().stats().idle, 1, "it is as good as before");
    // With a write-ahead log readers do not mind.
    assert_eq!(crate::support::count(db), 0);
    drop(locker);
    db.transaction_blocking(|it| it.execute("INSERT INTO t VALUES (1)", []))
        .unwrap();
}

#[test]
fn a_file_that_another_process_has_locked_is_opened_when_it_lets_go() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data.db");
    {
        let alone = rusqlite::Connection::open(&path).unwrap();
        alone.execute_batch("CREATE TABLE t(x)").unwrap();
    }
    let locker = Locker::of(&path);
    let builder = Sqlite::builder(&path).busy_timeout(Duration::from_millis(30));
    let error = builder.open().unwrap_err();
    let brolly_pool_sqlite::OpenError::Open { source, .. } = error else {
        panic!("{error}");
    };
    assert!(matches!(source, SqliteError::Busy(_)), "{source:?}");
    assert!(source.is_transient());
    drop(locker);
    Sqlite::open(&path).unwrap();
}

// SQLite itself does not wait here: whoever changes the journal mode has read the file already.
#[test]
fn an_opening_waits_for_who_is_writing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data.db");
    let other = rusqlite::Connection::open(&path).unwrap();
    other
        .execute_batch("CREATE TABLE t(x); BEGIN IMMEDIATE; INSERT INTO t VALUES (1)")
        .unwrap();
    std::thread::scope(|scope| {
        let opening = scope.spawn(|| Sqlite::open(&path).unwrap());
        std::thread::sleep(Duration::from_millis(50)); // so that it waits: there is no event for that
        other.execute_batch("COMMIT").unwrap();
        assert_eq!(crate::support::count(&opening.join().unwrap()), 1);
    });
}
