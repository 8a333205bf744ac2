//! What may cross threads.

use brolly_pool_sqlite::{
    OpenError, Sqlite, SqliteBuilder, SqliteConnection, SqliteError, SqliteManager, WorkError,
};

fn crosses<T: Send>() {}
fn is_shared<T: Send + Sync>() {}

#[test]
fn what_may_cross_threads_does() {
    is_shared::<Sqlite>();
    is_shared::<SqliteManager>();
    crosses::<SqliteBuilder>();
    crosses::<SqliteConnection>();
    is_shared::<SqliteError>();
    is_shared::<OpenError>();
    is_shared::<WorkError>();
}

#[test]
fn work_can_be_spawned() {
    fn spawnable(_: impl Send) {}
    let db = Sqlite::in_memory().open().unwrap();
    spawnable(db.read(|_| Ok(())));
    spawnable(db.write(|_| Ok(())));
    spawnable(db.transaction(|_| Ok(())));
    spawnable(db.drain(std::time::Duration::ZERO));
}
