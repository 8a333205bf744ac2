//! What other pools do wrong.

use std::sync::mpsc;
use std::time::Duration;

use brolly_sync::block_on;

use crate::support::{look, scratch_with};

// deadpool-sqlite gives a connection back while the work of a caller that left still runs on it,
// and whoever is handed it next waits for that.
#[test]
fn work_that_was_left_is_not_waited_for_by_who_is_handed_a_connection() {
    let db = scratch_with(|it| it.readers(2));
    let (entered, has_entered) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let mut left = Box::pin(db.read(move |_| {
        entered.send(()).unwrap();
        released.recv().unwrap();
        Ok(())
    }));
    while db.readers().stats().in_use == 0 {
        assert!(look(left.as_mut()).is_pending());
    }
    assert!(look(left.as_mut()).is_pending());
    has_entered.recv().unwrap();
    drop(left);
    for _ in 0..4 {
        assert_eq!(block_on(db.read(|_| Ok(1))).unwrap(), 1);
    }
    release.send(()).unwrap();
}

// A connection that was forgotten in a pool of one stopped a node without a word.
#[test]
fn a_forgotten_connection_is_named_by_who_waits_for_it() {
    let db = scratch_with(|it| it);
    let line = line!() + 1;
    std::mem::forget(db.writer().acquire_blocking().unwrap());
    let refused = db
        .writer()
        .acquire_blocking_timeout(Duration::from_millis(5));
    let text = refused.unwrap_err().to_string();
    assert!(text.contains(&format!("{}:{line}", file!())), "{text}");
}

// r2d2_sqlite has no writer: several connections write and meet SQLITE_BUSY.
#[test]
fn writers_of_one_process_stand_in_line_and_are_never_told_that_it_is_busy() {
    let db = scratch_with(|it| it.busy_timeout(Duration::ZERO));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    db.transaction_blocking(|it| it.execute("INSERT INTO t VALUES (1)", []))
                        .unwrap();
                }
            });
        }
    });
    assert_eq!(crate::support::count(&db), 160);
}

// A writer that is closed writes the log back meanwhile, with a lock that its successor meets.
#[test]
fn a_writer_whose_predecessor_is_being_closed_is_not_told_that_it_is_busy() {
    let db = scratch_with(|it| it.busy_timeout(Duration::ZERO));
    for _ in 0..50 {
        let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 3000)
                    INSERT INTO t SELECT i FROM n";
        db.write_blocking(|it| it.execute(many, [])).unwrap();
        brolly_resource_pool::Guard::discard(db.writer().acquire_blocking().unwrap());
    }
}
