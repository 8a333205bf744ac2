//! Databases in memory.

use brolly_pool_sqlite::{Sqlite, SqliteError, WorkError};
use brolly_resource_pool::{AcquireError, CreateError, Guard};
use brolly_sync::block_on;

use crate::support::{count, make_table};

fn memory() -> Sqlite {
    let db = Sqlite::in_memory().open().unwrap();
    make_table(&db);
    db
}

#[test]
fn all_see_the_same_data() {
    let db = memory();
    block_on(db.write(|it| it.execute("INSERT INTO t VALUES (1)", []))).unwrap();
    assert_eq!(count(&db), 1);
    let rows = db.read(|it| it.query_row("SELECT count(*) FROM t", [], |row| row.get(0)));
    assert_eq!(block_on(rows).map(|it: i64| it).unwrap(), 1);
    assert_eq!(db.readers().stats().max, 1);
}

#[test]
fn two_databases_have_nothing_in_common() {
    let (first, second) = (memory(), memory());
    first
        .write_blocking(|it| it.execute("INSERT INTO t VALUES (1)", []))
        .unwrap();
    assert_eq!((count(&first), count(&second)), (1, 0));
}

#[test]
fn a_read_does_not_write_and_a_write_after_it_does() {
    let db = memory();
    for _ in 0..2 {
        let refused = block_on(db.read(|it| it.execute("INSERT INTO t VALUES (1)", [])));
        let error = refused.unwrap_err();
        assert!(matches!(error.failure(), Some(SqliteError::ReadOnly(_))));
    }
    let panicked = block_on(db.read(|_| -> rusqlite::Result<()> { panic!("while reading") }));
    assert!(matches!(panicked, Err(WorkError::Panicked { .. })));
    db.write_blocking(|it| it.execute("INSERT INTO t VALUES (1)", []))
        .unwrap();
    assert_eq!(count(&db), 1);
}

#[test]
fn a_panic_does_not_cost_the_data() {
    let db = memory();
    db.write_blocking(|it| it.execute("INSERT INTO t VALUES (1)", []))
        .unwrap();
    let panicked = block_on(db.write(|it| -> rusqlite::Result<()> {
        it.execute_batch("BEGIN; INSERT INTO t VALUES (2)")?;
        panic!("half way")
    }));
    assert!(panicked.is_err());
    let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        db.write_blocking(|it| -> rusqlite::Result<()> {
            it.execute_batch("BEGIN; INSERT INTO t VALUES (2)")?;
            panic!("half way")
        })
    }));
    assert!(unwound.is_err());
    assert_eq!(count(&db), 1);
}

#[test]
fn data_that_went_with_its_connection_is_not_replaced_by_an_empty_database() {
    let db = memory();
    Guard::discard(db.writer().acquire_blocking().unwrap());
    let error = db.writer().acquire_blocking().unwrap_err();
    let AcquireError::Create(CreateError::Failed(error)) = error else {
        panic!("{error}");
    };
    assert!(matches!(*error, SqliteError::MemoryLost));
    assert!(!error.is_transient());
}

#[test]
fn what_a_holder_forbids_itself_is_allowed_to_the_next() {
    let db = memory();
    let reader = db.readers().acquire_blocking().unwrap();
    reader.pragma_update(None, "query_only", true).unwrap();
    drop(reader);
    db.write_blocking(|it| it.execute("INSERT INTO t VALUES (1)", []))
        .unwrap();
    assert_eq!(count(&db), 1);
}

// Attaching what is not there is an error that would cost a connection to a file.
#[test]
fn an_error_does_not_cost_the_data() {
    let db = memory();
    db.write_blocking(|it| it.execute("INSERT INTO t VALUES (1)", []))
        .unwrap();
    const ATTACH: &str = "ATTACH '/nowhere/at/all.db' AS other";
    let refused = db.write_blocking(|it| it.execute_batch(ATTACH));
    let error = refused.unwrap_err();
    assert!(matches!(error.failure(), Some(error) if error.is_fatal()));
    assert_eq!(count(&db), 1);
    assert!(block_on(db.write(|it| it.execute_batch(ATTACH))).is_err());
    assert_eq!(count(&db), 1);
    let run = db
        .writer()
        .run(async |it| it.execute_batch(ATTACH).map_err(SqliteError::from));
    assert!(block_on(run).is_err());
    assert_eq!(count(&db), 1);
}

#[test]
fn the_data_outlives_the_runtime_it_was_opened_in() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let clock = brolly_sync::ManualClock::new();
    let given = clock.clone();
    let db = runtime.block_on(async move {
        let builder = Sqlite::in_memory().writer_pool(|it| it.clock(given));
        builder.open().unwrap()
    });
    drop(runtime);
    make_table(&db);
    clock.advance(std::time::Duration::from_secs(3600));
    assert_eq!(count(&db), 0);
}
