//! How connections are when they are handed out.

use std::time::Duration;

use brolly_pool_sqlite::{OpenError, Role, Sqlite, SqliteError, Synchronous};

use crate::support::{scratch, scratch_with};

fn pragma(db: &Sqlite, role: Role, name: &str) -> String {
    let pool = match role {
        Role::Writer => db.writer(),
        Role::Reader => db.readers(),
    };
    let it = pool.acquire_blocking().unwrap();
    it.pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0))
        .map(|value| match value {
            rusqlite::types::Value::Integer(number) => number.to_string(),
            rusqlite::types::Value::Text(text) => text,
            other => format!("{other:?}"),
        })
        .unwrap()
}

#[test]
fn connections_are_what_the_settings_say() {
    let scratch = scratch_with(|it| {
        it.busy_timeout(Duration::from_millis(1234))
            .synchronous(Synchronous::Full)
    });
    for role in [Role::Writer, Role::Reader] {
        assert_eq!(pragma(&scratch.db, role, "journal_mode"), "wal");
        assert_eq!(pragma(&scratch.db, role, "busy_timeout"), "1234");
        assert_eq!(pragma(&scratch.db, role, "foreign_keys"), "1");
        assert_eq!(pragma(&scratch.db, role, "synchronous"), "2");
    }
    assert_eq!(pragma(&scratch.db, Role::Reader, "query_only"), "1");
    assert_eq!(pragma(&scratch.db, Role::Writer, "query_only"), "0");
}

#[test]
fn the_journal_of_a_file_is_left_alone_where_asked() {
    let scratch = scratch_with(|it| it.wal(false).foreign_keys(false));
    assert_eq!(pragma(&scratch.db, Role::Writer, "journal_mode"), "delete");
    assert_eq!(pragma(&scratch.db, Role::Writer, "foreign_keys"), "0");
}

#[test]
fn the_longest_busy_timeout_does_no_harm() {
    let scratch = scratch_with(|it| it.busy_timeout(Duration::MAX));
    let longest = i32::MAX.to_string();
    assert_eq!(pragma(&scratch.db, Role::Writer, "busy_timeout"), longest);
}

#[test]
fn nothing_is_opened_before_it_is_wanted_but_the_first() {
    let scratch = scratch();
    assert_eq!(scratch.db.writer().stats().size, 1);
    assert_eq!(scratch.db.readers().stats().size, 0);
    crate::support::count(&scratch.db);
    assert_eq!(scratch.db.readers().stats().size, 1);
}

#[test]
fn there_is_one_writer_whatever_the_pool_is_told() {
    let scratch = scratch_with(|it| it.writer_pool(|pool| pool.max_size(7)).readers(3));
    assert_eq!(scratch.db.writer().stats().max, 1);
    assert_eq!(scratch.db.readers().stats().max, 3);
}

#[test]
fn every_connection_meets_the_hook_once() {
    let scratch = scratch_with(|it| {
        it.on_connect(|connection, role| {
            let sql = format!("CREATE TEMP TABLE role AS SELECT '{role:?}' AS name");
            connection.execute_batch(&sql)
        })
    });
    let name = |it: &brolly_pool_sqlite::SqliteConnection| {
        it.query_row("SELECT name FROM role", [], |row| row.get::<_, String>(0))
    };
    assert_eq!(scratch.db.read_blocking(name).unwrap(), "Reader");
    let writer = scratch.db.write_blocking(|it| name(it)).unwrap();
    assert_eq!(writer, "Writer");
}

#[test]
fn a_hook_that_panics_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let builder = Sqlite::builder(directory.path().join("data.db"));
    let error = builder.on_connect(|_, _| panic!("no")).open().unwrap_err();
    let OpenError::Open { source, .. } = error else {
        panic!("{error}");
    };
    assert!(matches!(source, SqliteError::HookPanicked { message } if &*message == "no"));
}

#[test]
fn a_hook_that_panics_later_refuses_the_connection_and_nothing_else() {
    let scratch = scratch_with(|it| {
        it.on_connect(|_, role| match role {
            Role::Reader => panic!("no readers"),
            Role::Writer => Ok(()),
        })
    });
    let error = scratch.db.readers().acquire_blocking().unwrap_err();
    let source = std::error::Error::source(&error).unwrap();
    let source = source.source().unwrap();
    assert_eq!(
        source.to_string(),
        "the hook for new connections panicked: no readers"
    );
    drop(scratch.db.writer().acquire_blocking().unwrap());
}

#[test]
fn settings_out_of_their_range_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data.db");
    for path in ["", ":memory:"] {
        let error = Sqlite::open(path).unwrap_err();
        assert!(matches!(error, OpenError::Config(error) if error.field == "path"));
    }
    let error = Sqlite::builder(&path).readers(0).open().unwrap_err();
    assert_eq!(error.to_string(), "readers is 0, allowed is 1 to 65536");
    let error = Sqlite::builder(&path).statement_cache(65537).open();
    let error = error.unwrap_err();
    assert!(error.to_string().starts_with("statement_cache is 65537"));
    let builder = Sqlite::builder(&path).writer_pool(|pool| pool.min_size(2));
    assert!(matches!(builder.open(), Err(OpenError::Config(error)) if error.field == "min_size"));
    assert!(!path.exists());
}

#[test]
fn many_who_open_a_new_file_at_once_succeed() {
    for _ in 0..10 {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("data.db");
        std::thread::scope(|scope| {
            let all: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| Sqlite::open(&path).map(drop)))
                .collect();
            for opened in all {
                opened.join().unwrap().unwrap();
            }
        });
    }
}

#[test]
fn what_looks_like_a_uri_is_the_name_of_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file:x?mode=memory");
    drop(Sqlite::open(&path).unwrap());
    assert!(path.is_file());
}

#[test]
fn a_hook_that_leaves_a_transaction_open_leaves_it_to_nobody() {
    let scratch = scratch_with(|it| it.on_connect(|it, _| it.execute_batch("BEGIN")));
    for pool in [scratch.db.writer(), scratch.db.readers()] {
        assert!(pool.acquire_blocking().unwrap().is_autocommit());
    }
}

// SQLite itself remembers where the file was; the look at each checkout has to as well.
#[test]
fn a_relative_path_is_one_of_the_directory_it_was_opened_in() {
    let directory = tempfile::tempdir_in(".").unwrap();
    let relative = std::path::Path::new(directory.path().file_name().unwrap()).join("data.db");
    let db = Sqlite::open(&relative).unwrap();
    let shown = format!("{:?}", db.writer().acquire_blocking().unwrap());
    let absolute = std::env::current_dir().unwrap().join(&relative);
    assert!(shown.contains(&format!("{absolute:?}")), "{shown}");
}
