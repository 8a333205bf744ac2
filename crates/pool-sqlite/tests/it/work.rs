//! Work for tasks and threads.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use brolly_pool_sqlite::{Sqlite, SqliteError, WorkError};
use brolly_sync::block_on;

use crate::support::{count, scratch, scratch_with};

#[test]
fn what_is_written_is_read() {
    let db = scratch();
    block_on(async {
        let written = db.write(|it| it.execute("INSERT INTO t VALUES (7)", []));
        assert_eq!(written.await.unwrap(), 1);
        let read = db.read(|it| it.query_row("SELECT x FROM t", [], |row| row.get(0)));
        assert_eq!(read.await.map(|it: i64| it).unwrap(), 7);
    });
}

#[test]
fn readers_and_the_writer_do_not_wait_for_each_other() {
    let db = scratch();
    let reader = db.readers().acquire_blocking().unwrap();
    reader.execute_batch("BEGIN").unwrap();
    let before: i64 = reader
        .query_row("SELECT count(*) FROM t", [], |row| row.get(0))
        .unwrap();
    db.write_blocking(|it| it.execute("INSERT INTO t VALUES (1)", []))
        .unwrap();
    let writer = db.writer().acquire_blocking().unwrap();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!((before, count(&db)), (0, 1));
}

#[test]
fn a_reader_never_writes_even_if_it_tries_to_be_allowed() {
    let db = scratch();
    let refused = db.read_blocking(|it| {
        it.pragma_update(None, "query_only", false)?;
        it.execute("INSERT INTO t VALUES (1)", [])
    });
    let error = refused.unwrap_err();
    assert!(matches!(error.failure(), Some(SqliteError::ReadOnly(_))));
    assert_eq!(count(&db), 0);
}

#[test]
fn a_transaction_is_all_or_nothing() {
    let db = scratch();
    let failed = db.transaction_blocking(|it| {
        it.execute("INSERT INTO t VALUES (1)", [])?;
        it.execute("INSERT INTO nowhere VALUES (1)", [])
    });
    assert!(failed.is_err());
    assert_eq!(count(&db), 0);
    let done = block_on(db.transaction(|it| {
        it.execute("INSERT INTO t VALUES (1)", [])?;
        it.execute("INSERT INTO t VALUES (2)", [])
    }));
    assert_eq!((done.unwrap(), count(&db)), (1, 2));
}

#[test]
fn a_transaction_has_the_lock_from_its_beginning() {
    let scratch = scratch();
    let other = rusqlite::Connection::open(scratch.path()).unwrap();
    other.busy_timeout(Duration::ZERO).unwrap();
    let begun = scratch.transaction_blocking(|_| {
        let refused = other.execute_batch("BEGIN IMMEDIATE").unwrap_err();
        assert!(matches!(SqliteError::from(refused), SqliteError::Busy(_)));
        Ok(())
    });
    begun.unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
}

#[test]
fn work_that_panics_is_an_error_and_leaves_nothing_behind() {
    let db = scratch();
    let panicked: Result<(), _> = block_on(db.write(|it| {
        it.execute_batch("BEGIN; INSERT INTO t VALUES (1)")?;
        panic!("half way")
    }));
    let Err(WorkError::Panicked { message }) = panicked else {
        panic!("{panicked:?}");
    };
    assert_eq!(&*message, "half way");
    assert_eq!(count(&db), 0);
    assert_eq!(db.writer().stats().in_use, 0);
    db.write_blocking(|it| it.execute("INSERT INTO t VALUES (1)", []))
        .unwrap();
}

#[test]
fn a_task_that_waits_for_sqlite_does_not_hold_up_its_runtime() {
    let db = scratch();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (release, released) = mpsc::channel::<()>();
        let work = tokio::spawn({
            let db = Sqlite::clone(&db);
            async move {
                let waited = db.read(move |_| {
                    released.recv().unwrap();
                    Ok(())
                });
                waited.await.unwrap();
            }
        });
        // This runs only while the work waits on a thread of its own.
        while db.readers().stats().in_use == 0 {
            tokio::task::yield_now().await;
        }
        release.send(()).unwrap();
        work.await.unwrap();
    });
}

#[test]
fn as_much_runs_at_once_as_there_are_connections() {
    let db = scratch_with(|it| it.readers(3));
    let there = Arc::new(AtomicUsize::new(0));
    let all = thread::scope(|scope| {
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let (db, there) = (&db, Arc::clone(&there));
                scope.spawn(move || {
                    let met = db.read(move |_| {
                        there.fetch_add(1, SeqCst);
                        let began = Instant::now();
                        while there.load(SeqCst) < 3 && began.elapsed() < Duration::from_secs(10) {
                            thread::sleep(Duration::from_millis(1));
                        }
                        Ok(there.load(SeqCst) == 3)
                    });
                    block_on(met).unwrap()
                })
            })
            .collect();
        threads.into_iter().all(|it| it.join().unwrap())
    });
    assert!(all);
    assert_eq!(db.readers().stats().size, 3);
}

#[test]
fn the_line_that_works_is_the_holder() {
    let db = scratch();
    let (entered, has_entered) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let line = line!() + 4;
    thread::scope(|scope| {
        // Dropped with an assertion that fails, so that the work ends.
        let release = release;
        let work = db.write(move |_| {
            entered.send(()).unwrap();
            released.recv().unwrap();
            Ok(())
        });
        scope.spawn(|| block_on(work).unwrap());
        has_entered.recv().unwrap();
        let holders = db.writer().holders();
        let site = holders[0].site;
        assert_eq!((site.file, site.line), (file!(), line));
        let error = db
            .writer()
            .acquire_blocking_timeout(Duration::from_millis(5));
        let error = error.unwrap_err().to_string();
        assert!(error.contains(&format!("{}:{line}", file!())), "{error}");
        release.send(()).unwrap();
    });
}

#[test]
fn prepared_statements_stay_with_their_connection() {
    let db = scratch();
    for _ in 0..3 {
        let prepared = db.read_blocking(|it| {
            let mut statement = it.prepare_cached("SELECT count(*) FROM t")?;
            statement.query_row([], |row| row.get::<_, i64>(0))?;
            Ok(statement.get_status(rusqlite::StatementStatus::Run))
        });
        prepared.unwrap();
    }
    let runs = db.read_blocking(|it| {
        let statement = it.prepare_cached("SELECT count(*) FROM t")?;
        Ok(statement.get_status(rusqlite::StatementStatus::Run))
    });
    assert_eq!(runs.unwrap(), 3);
}

#[test]
fn after_the_end_there_is_nothing_and_the_log_is_in_the_file() {
    let scratch = scratch();
    let db = &scratch.db;
    db.write_blocking(|it| it.execute("INSERT INTO t VALUES (1)", []))
        .unwrap();
    count(db);
    let (readers, writer) = block_on(db.drain(Duration::from_secs(10)));
    assert_eq!((readers.left.len(), writer.left.len()), (0, 0));
    assert!(db.read_blocking(|_| Ok(())).is_err());
    let log = scratch.directory.path().join("data.db-wal");
    assert!(!log.exists());
    let alone = rusqlite::Connection::open(scratch.path()).unwrap();
    let rows: i64 = alone
        .query_row("SELECT count(*) FROM t", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 1);
}

#[test]
fn the_log_is_in_the_file_when_the_last_handle_of_idle_pools_is_gone() {
    let crate::support::Scratch { directory, db } = scratch();
    count(&db);
    drop(db);
    let log = directory.path().join("data.db-wal");
    crate::support::eventually("the log is written back", || !log.exists());
}
