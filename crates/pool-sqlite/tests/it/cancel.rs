//! Callers that leave.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use brolly_pool_sqlite::{Sqlite, SqliteConnection, SqliteError};
use brolly_sync::block_on;

use crate::support::{ENDLESS, Scratch, count, eventually, look, scratch, scratch_with};

fn one_reader() -> Scratch {
    scratch_with(|it| it.readers(1))
}

#[test]
fn a_statement_whose_caller_left_is_stopped() {
    let db = one_reader();
    let mut work = Box::pin(db.read(|it| it.query_row(ENDLESS, [], |row| row.get::<_, i64>(0))));
    while db.readers().stats().in_use == 0 {
        assert!(look(work.as_mut()).is_pending());
    }
    assert!(look(work.as_mut()).is_pending());
    thread::sleep(Duration::from_millis(20)); // so that it runs: there is no event for that
    assert_eq!(db.readers().stats().in_use, 1);
    drop(work);
    // The next one gets the same connection as soon as the statement has ended.
    assert_eq!(count(&db), 0);
    assert_eq!(db.readers().stats().created, 1);
}

#[test]
fn a_connection_comes_back_after_its_work_and_not_before() {
    let db = one_reader();
    let (entered, has_entered) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let mut work = Box::pin(db.read(move |_| {
        entered.send(()).unwrap();
        released.recv().unwrap();
        Ok(())
    }));
    while db.readers().stats().in_use == 0 {
        assert!(look(work.as_mut()).is_pending());
    }
    assert!(look(work.as_mut()).is_pending());
    has_entered.recv().unwrap();
    drop(work);
    assert_eq!(db.readers().stats().in_use, 1);
    let refused = db
        .readers()
        .acquire_blocking_timeout(Duration::from_millis(5));
    assert!(refused.is_err());
    release.send(()).unwrap();
    eventually("it comes back", || db.readers().stats().idle == 1);
}

#[test]
fn statements_that_follow_are_stopped_as_well() {
    let db = one_reader();
    let (entered, has_entered) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let (report, reported) = mpsc::channel();
    let mut work = Box::pin(db.read(move |it| {
        entered.send(()).unwrap();
        released.recv().unwrap();
        // The caller has left while nothing ran.
        let stopped = it.query_row(ENDLESS, [], |row| row.get::<_, i64>(0));
        report.send(stopped.map_err(SqliteError::from)).unwrap();
        Ok(())
    }));
    while db.readers().stats().in_use == 0 {
        assert!(look(work.as_mut()).is_pending());
    }
    assert!(look(work.as_mut()).is_pending());
    has_entered.recv().unwrap();
    drop(work);
    release.send(()).unwrap();
    let stopped = reported.recv_timeout(Duration::from_secs(10)).unwrap();
    assert!(matches!(stopped, Err(SqliteError::Interrupted(_))));
    // And the next caller is not stopped.
    let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100000)
                SELECT count(*) FROM n";
    let done = db.read_blocking(|it| it.query_row(many, [], |row| row.get::<_, i64>(0)));
    assert_eq!(done.unwrap(), 100_000);
    assert_eq!(db.readers().stats().created, 1);
}

#[test]
fn a_write_whose_caller_left_is_rolled_back() {
    let db = scratch();
    let (entered, has_entered) = mpsc::channel();
    let mut work = Box::pin(db.write(move |it| {
        it.execute_batch("BEGIN IMMEDIATE; INSERT INTO t VALUES (1)")?;
        entered.send(()).unwrap();
        it.query_row(ENDLESS, [], |row| row.get::<_, i64>(0))
    }));
    assert!(look(work.as_mut()).is_pending());
    has_entered.recv().unwrap();
    drop(work);
    let next = db.write_blocking(|it| {
        assert!(it.is_autocommit());
        it.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0))
    });
    assert_eq!(next.unwrap(), 0);
}

/// Looks so often at some work and leaves. Returns whether it was over by then.
fn leave_after(looks: usize) -> bool {
    let db = one_reader();
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let mut is_over = false;
    {
        let mut work = Box::pin(db.read(move |it| {
            counted.fetch_add(1, SeqCst);
            it.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0))
        }));
        for _ in 0..looks {
            if let Poll::Ready(output) = look(work.as_mut()) {
                output.unwrap();
                is_over = true;
                break;
            }
            thread::sleep(Duration::from_micros(50));
        }
    }
    eventually("nobody holds anything", || {
        let stats = db.readers().stats();
        stats.in_use == 0 && stats.waiting == 0
    });
    assert_eq!(count(&db), 0);
    assert!(runs.load(SeqCst) <= 1);
    assert!(db.readers().stats().size <= 1);
    is_over
}

#[test]
fn leaving_at_any_look_keeps_the_pool_whole() {
    let mut has_ended = false;
    for looks in 0..40 {
        has_ended |= leave_after(looks);
    }
    assert!(has_ended || leave_after(100_000));
}

#[test]
fn leaving_the_writer_at_any_look_keeps_the_database_whole() {
    let db = scratch();
    let mut least = 0;
    for looks in 0..40 {
        let mut work = Box::pin(db.transaction(|it| {
            it.execute("INSERT INTO t VALUES (1)", [])?;
            it.execute("INSERT INTO t VALUES (2)", [])
        }));
        for _ in 0..looks {
            if look(work.as_mut()).is_ready() {
                least += 2;
                break;
            }
            thread::sleep(Duration::from_micros(20));
        }
    }
    let rows = count_after_all(&db);
    assert!(rows >= least && rows % 2 == 0, "{rows} of at least {least}");
}

/// The rows once the writer is idle: whoever waits for it now is behind all others.
fn count_after_all(db: &Sqlite) -> i64 {
    db.write_blocking(|it| it.query_row("SELECT count(*) FROM t", [], |row| row.get(0)))
        .unwrap()
}

#[test]
fn work_that_nobody_looks_at_is_not_begun() {
    let db = scratch();
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    drop(db.read(move |_| {
        counted.fetch_add(1, SeqCst);
        Ok(())
    }));
    block_on(db.read(|_| Ok(()))).unwrap();
    assert_eq!(runs.load(SeqCst), 0);
}

#[test]
fn a_statement_is_stopped_although_its_work_has_a_progress_handler_of_its_own() {
    let db = one_reader();
    let (entered, has_entered) = mpsc::channel();
    let mut work = Box::pin(db.write(move |it| {
        let _ = it.progress_handler(1, None::<fn() -> bool>);
        entered.send(()).unwrap();
        it.query_row(ENDLESS, [], |row| row.get::<_, i64>(0))
    }));
    assert!(look(work.as_mut()).is_pending());
    has_entered.recv().unwrap();
    thread::sleep(Duration::from_millis(50)); // so that it runs: there is no event for that
    drop(work);
    db.write_blocking(|_| Ok(())).unwrap();
}

#[test]
fn a_drain_that_nobody_waits_for_has_closed_all_the_same() {
    let db = scratch();
    let held = db.readers().acquire_blocking().unwrap();
    {
        let mut drain = Box::pin(db.drain(Duration::from_secs(10)));
        assert!(look(drain.as_mut()).is_pending());
        assert!(!db.writer().is_closed(), "the readers come first");
    }
    assert!(db.writer().is_closed() && db.readers().is_closed());
    drop(held);
}

/// Leaves work on the writer that has just begun, and lets it go on only then.
fn left_at_its_beginning<T: Send + 'static>(
    db: &Sqlite,
    work: impl FnOnce(&mut SqliteConnection) -> rusqlite::Result<T> + Send + 'static,
) {
    let (entered, has_entered) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let mut waiting = Box::pin(db.write(move |it| {
        entered.send(()).unwrap();
        released.recv().unwrap();
        work(it)
    }));
    assert!(look(waiting.as_mut()).is_pending());
    has_entered.recv().unwrap();
    drop(waiting);
    release.send(()).unwrap();
}

#[test]
fn nothing_is_committed_once_the_caller_has_left() {
    let db = scratch();
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    left_at_its_beginning(&db, move |it| {
        // Each is over long before anybody looks whether it is to be stopped.
        (0..1000).try_for_each(|x| {
            counted.fetch_add(1, SeqCst);
            it.execute("INSERT INTO t VALUES (?1)", [x]).map(drop)
        })
    });
    assert_eq!(count_after_all(&db), 0);
    assert_eq!(runs.load(SeqCst), 1, "the first is refused");
    left_at_its_beginning(&db, |it| {
        it.execute_batch("BEGIN; INSERT INTO t VALUES (1); COMMIT")
    });
    assert_eq!(count_after_all(&db), 0);
    // And the next caller commits.
    db.write_blocking(|it| it.execute("INSERT INTO t VALUES (1)", []))
        .unwrap();
    assert_eq!(count(&db), 1);
    assert_eq!(db.writer().stats().created, 0, "still the first one");
}

#[test]
fn a_short_statement_that_is_run_for_ever_is_stopped() {
    let db = scratch();
    left_at_its_beginning(&db, |it| -> rusqlite::Result<()> {
        let transaction = it.transaction()?;
        let mut insert = transaction.prepare("INSERT INTO t VALUES (1)")?;
        loop {
            insert.execute([])?;
        }
    });
    assert_eq!(count_after_all(&db), 0);
}

#[test]
fn a_transaction_is_not_committed_once_its_caller_has_left() {
    let db = scratch();
    let (entered, has_entered) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let mut work = Box::pin(db.transaction(move |it| {
        it.execute("INSERT INTO t VALUES (1)", [])?;
        entered.send(()).unwrap();
        released.recv().unwrap();
        Ok(())
    }));
    assert!(look(work.as_mut()).is_pending());
    has_entered.recv().unwrap();
    drop(work);
    release.send(()).unwrap();
    assert_eq!(count_after_all(&db), 0);
}
