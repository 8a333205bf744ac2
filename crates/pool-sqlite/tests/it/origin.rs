//! Defects of the systems this one takes the place of.

use std::time::Duration;

use brolly_sync::block_on;

use crate::support::{scratch, scratch_with};

// A pool there opened a second connection for each query.
#[test]
fn one_query_uses_one_connection() {
    let db = scratch_with(|it| it.readers(1));
    for _ in 0..10 {
        crate::support::count(&db);
    }
    let stats = db.readers().stats();
    assert_eq!((stats.created, stats.acquisitions), (1, 10));
}

// Parameters were taken and forgotten.
#[test]
fn parameters_reach_the_statement() {
    let db = scratch();
    let sum = db.read(|it| it.query_row("SELECT ?1 + ?2", (2, 3), |row| row.get::<_, i64>(0)));
    assert_eq!(block_on(sum).unwrap(), 5);
}

// The limit for getting a connection ended its use.
#[test]
fn the_limit_of_an_acquire_does_not_cover_the_work() {
    let limit = Duration::from_millis(20);
    let db = scratch_with(|it| it.reader_pool(move |pool| pool.acquire_timeout(limit)));
    crate::support::count(&db);
    let work = db.read(move |_| {
        std::thread::sleep(3 * limit);
        Ok(7)
    });
    assert_eq!(block_on(work).unwrap(), 7);
}

// Who failed was counted as active for ever.
#[test]
fn work_that_fails_leaves_no_holder_behind() {
    let db = scratch();
    for _ in 0..10 {
        let failed = block_on(db.write(|it| it.execute("no statement", [])));
        assert!(failed.is_err());
    }
    let stats = db.writer().stats();
    assert_eq!((stats.in_use, stats.idle), (0, 1));
    assert!(db.writer().holders().is_empty());
}

// Closing the pool dropped the records and closed nothing.
#[cfg(target_os = "linux")]
#[test]
fn the_end_of_the_pools_closes_the_files() {
    let scratch = scratch();
    crate::support::count(&scratch.db);
    let directory = scratch.directory.path().canonicalize().unwrap();
    let open = move || {
        let links = std::fs::read_dir("/proc/self/fd").unwrap();
        let links = links.filter_map(|it| std::fs::read_link(it.ok()?.path()).ok());
        links.filter(|it| it.starts_with(&directory)).count()
    };
    assert!(open() >= 2);
    drop(scratch.db);
    crate::support::eventually("all files are closed", || open() == 0);
}
