//! What may cross threads.

use brolly_pool_postgres::{Client, PostgresManager, PostgresManagerBuilder, Rows, Transaction};
use brolly_resource_pool::{OwnedGuard, Pool};

fn crosses<T: Send + Sync>() {}
fn moves<T: Send>(_: T) {}

#[test]
fn all_can_be_shared() {
    crosses::<Client>();
    crosses::<PostgresManager>();
    crosses::<PostgresManagerBuilder>();
    crosses::<Pool<PostgresManager>>();
    crosses::<Transaction<'_>>();
}

#[test]
fn futures_can_be_spawned() {
    fn check(client: &mut Client) {
        moves(client.query("SELECT 1", &[]));
        moves(client.prepare_cached("SELECT 1"));
        moves(client.query_rows("SELECT 1", &[]));
        moves(client.transaction());
    }
    let _ = check;
    fn owned<T: Send>() {}
    owned::<OwnedGuard<PostgresManager>>();
    owned::<Rows<'_>>();
}
