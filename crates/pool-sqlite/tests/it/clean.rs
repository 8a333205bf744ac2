//! What one holder leaves, the next does not find.

use brolly_pool_sqlite::SqliteError;
use brolly_resource_pool::{CloseReason, Event};
use rusqlite::hooks::{AuthAction, Authorization};
use std::sync::{Arc, Mutex};

use crate::support::{count, scratch, scratch_with};

#[test]
fn an_open_transaction_is_rolled_back_when_its_connection_comes_back() {
    let db = scratch();
    {
        let writer = db.writer().acquire_blocking().unwrap();
        writer
            .execute_batch("BEGIN IMMEDIATE; INSERT INTO t VALUES (1); SAVEPOINT s")
            .unwrap();
    }
    let writer = db.writer().try_acquire().unwrap();
    assert!(writer.is_autocommit());
    assert_eq!(count(&db), 0);
    assert_eq!(db.writer().stats().created, 0, "the first was added");
}

#[test]
fn a_connection_that_cannot_be_rolled_back_is_closed() {
    let closed = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&closed);
    let db = scratch_with(move |it| {
        it.writer_pool(move |pool| {
            pool.on_event(move |event| {
                if let Event::Closed { reason } = event {
                    seen.lock().unwrap().push(*reason);
                }
            })
        })
    });
    {
        let mut writer = db.writer().acquire_blocking().unwrap();
        writer
            .execute_batch("BEGIN; INSERT INTO t VALUES (1)")
            .unwrap();
        let _ = writer.authorizer(Some(
            |context: rusqlite::hooks::AuthContext<'_>| match context.action {
                AuthAction::Transaction { .. } => Authorization::Deny,
                _ => Authorization::Allow,
            },
        ));
    }
    assert_eq!(*closed.lock().unwrap(), [CloseReason::Broken]);
    db.write_blocking(|it| it.execute("INSERT INTO t VALUES (2)", []))
        .unwrap();
    assert_eq!(count(&db), 1);
}

#[test]
fn a_connection_with_a_leaked_statement_is_closed() {
    let db = scratch_with(|it| it.readers(1));
    db.write_blocking(|it| it.execute_batch("INSERT INTO t VALUES (1), (2)"))
        .unwrap();
    db.read_blocking(|it| {
        let mut statement = it.prepare("SELECT x FROM t")?;
        let mut rows = statement.query([])?;
        rows.next()?;
        std::mem::forget(rows); // its snapshot would last for ever
        std::mem::forget(statement);
        Ok(())
    })
    .unwrap();
    assert_eq!(db.readers().stats().idle, 0);
    assert_eq!(count(&db), 2);
}

#[test]
fn an_error_of_the_statement_leaves_the_connection() {
    let db = scratch();
    let wrong = db.write_blocking(|it| it.execute("INSERT INTO nowhere VALUES (1)", []));
    let error = wrong.unwrap_err();
    assert!(matches!(error.failure(), Some(SqliteError::Other(_))));
    assert_eq!(db.writer().stats().idle, 1);
    assert_eq!(db.writer().stats().created, 0);
}

// Closing such a connection panics in the driver; who comes next must not wait for its end.
#[test]
fn a_writer_with_a_leaked_statement_is_replaced_at_once() {
    let db = scratch();
    db.write_blocking(|it| {
        let mut statement = it.prepare("SELECT 1 UNION ALL SELECT 2")?;
        let mut rows = statement.query([])?;
        rows.next()?;
        std::mem::forget(rows);
        std::mem::forget(statement);
        Ok(())
    })
    .unwrap();
    let began = std::time::Instant::now();
    db.write_blocking(|it| it.execute("INSERT INTO t VALUES (1)", []))
        .unwrap();
    assert!(began.elapsed() < std::time::Duration::from_secs(10));
    assert_eq!(db.writer().stats().created, 1);
}
