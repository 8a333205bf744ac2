//! Pools inside of a tokio runtime.

use std::time::Duration;

use brolly_pool_sqlite::Sqlite;

use crate::support::{make_table, scratch_with};

#[cfg(feature = "tokio")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runtime_keeps_the_readers_up() {
    let db = scratch_with(|it| {
        it.readers(3)
            .reader_pool(|pool| pool.min_size(2).health_interval(None))
    });
    assert_eq!(db.readers().warm_up().await.unwrap(), 2);
    let held = db.readers().acquire().await.unwrap();
    brolly_resource_pool::Guard::discard(held);
    let began = std::time::Instant::now();
    while db.readers().stats().idle < 2 {
        assert!(began.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn the_end_waits_for_the_log_to_be_written_back() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data.db");
    let db = Sqlite::open(&path).unwrap();
    make_table(&db);
    let inserts = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 20000)
                   INSERT INTO t SELECT i FROM n";
    db.write(|it| it.execute(inserts, [])).await.unwrap();
    let rows = db.read(|it| it.query_row("SELECT count(*) FROM t", [], |row| row.get(0)));
    assert_eq!(rows.await.map(|it: i64| it).unwrap(), 20_000);
    let (readers, writer) = db.drain(Duration::from_secs(10)).await;
    assert_eq!((readers.left.len(), writer.left.len()), (0, 0));
    assert!(!directory.path().join("data.db-wal").exists());
    assert!(path.metadata().unwrap().len() > 100_000);
}

#[test]
fn a_database_outlives_the_runtime_it_was_opened_in() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let scratch = runtime.block_on(async { scratch_with(|it| it) });
    drop(runtime);
    // The pools' spawner is gone: what exists can be used, and nobody hangs.
    scratch
        .write_blocking(|it| it.execute("INSERT INTO t VALUES (1)", []))
        .unwrap();
    let began = std::time::Instant::now();
    let _ = scratch.read_blocking(|_| Ok(()));
    assert!(began.elapsed() < Duration::from_secs(10));
}
