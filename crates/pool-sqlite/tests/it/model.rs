//! Random work against a naive account of what is committed.

use std::sync::mpsc;
use std::time::Duration;

use brolly_pool_sqlite::Sqlite;
use brolly_resource_pool::Guard;
use brolly_sync::block_on;
use proptest::prelude::*;

use crate::support::{ENDLESS, count, look, make_table};

#[derive(Clone, Copy, Debug)]
enum Op {
    Write,
    /// A transaction that is committed.
    Commit,
    /// One whose work fails.
    Fail,
    /// One whose work panics.
    Panic,
    /// One that its holder leaves open.
    LeaveOpen,
    /// One whose caller leaves while it runs.
    Leave,
    Read,
    /// A reader that tries to write.
    WriteAsReader,
    /// The writer's connection is discarded.
    Discard,
    Reset,
}

fn op() -> impl Strategy<Value = Op> {
    use Op::*;
    prop_oneof![
        3 => Just(Write),
        3 => Just(Commit),
        1 => Just(Fail),
        1 => Just(Panic),
        2 => Just(LeaveOpen),
        1 => Just(Leave),
        3 => Just(Read),
        1 => Just(WriteAsReader),
        1 => Just(Discard),
        1 => Just(Reset),
    ]
}

const INSERT: &str = "INSERT INTO t VALUES (1)";

/// Does one thing and returns how many rows it has committed.
fn apply(db: &Sqlite, op: Op, is_memory: bool) -> i64 {
    match op {
        Op::Write => {
            block_on(db.write(|it| it.execute(INSERT, []))).unwrap();
            1
        }
        Op::Commit => {
            let done = db.transaction_blocking(|it| {
                it.execute(INSERT, [])?;
                it.execute(INSERT, [])
            });
            done.unwrap();
            2
        }
        Op::Fail => {
            let failed = block_on(db.transaction(|it| {
                it.execute(INSERT, [])?;
                it.execute("INSERT INTO nowhere VALUES (1)", [])
            }));
            assert!(failed.is_err());
            0
        }
        Op::Panic => {
            let failed = block_on(db.transaction(|it| -> rusqlite::Result<()> {
                it.execute(INSERT, [])?;
                panic!("half way")
            }));
            assert!(failed.is_err());
            0
        }
        Op::LeaveOpen => {
            let writer = db.writer().acquire_blocking().unwrap();
            writer
                .execute_batch("BEGIN; INSERT INTO t VALUES (1)")
                .unwrap();
            0
        }
        Op::Leave => {
            let (entered, has_entered) = mpsc::channel();
            let mut work = Box::pin(db.transaction(move |it| {
                it.execute(INSERT, [])?;
                entered.send(()).unwrap();
                it.query_row(ENDLESS, [], |row| row.get::<_, i64>(0))
            }));
            while has_entered.recv_timeout(Duration::from_millis(1)).is_err() {
                assert!(look(work.as_mut()).is_pending());
            }
            0
        }
        Op::Read => 0,
        Op::WriteAsReader => {
            assert!(block_on(db.read(|it| it.execute(INSERT, []))).is_err());
            0
        }
        // With a database in memory these would take the data along.
        Op::Discard | Op::Reset if is_memory => 0,
        Op::Discard => {
            Guard::discard(db.writer().acquire_blocking().unwrap());
            0
        }
        Op::Reset => {
            db.writer().reset();
            db.readers().reset();
            0
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn what_is_there_is_what_was_committed(ops in prop::collection::vec(op(), 1..24), is_memory: bool) {
        let directory = tempfile::tempdir().unwrap();
        let builder = match is_memory {
            true => Sqlite::in_memory(),
            false => Sqlite::builder(directory.path().join("data.db")).readers(2),
        };
        let db = builder.open().unwrap();
        make_table(&db);
        let mut expected = 0;
        for op in ops {
            expected += apply(&db, op, is_memory);
            // Whoever waits for the writer now comes after what was left.
            let writer = db.writer().acquire_blocking().unwrap();
            prop_assert!(writer.is_autocommit());
            drop(writer);
            prop_assert_eq!(count(&db), expected, "{:?}", op);
            let stats = db.writer().stats();
            prop_assert!(stats.size <= 1 && stats.in_use == 0, "{:?}", stats);
        }
    }
}
