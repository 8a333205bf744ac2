//! What may cross threads.

use brolly_pool_redis::{Connection, RedisManager, RedisManagerBuilder};
use brolly_resource_pool::{OwnedGuard, Pool};

fn crosses<T: Send + Sync>() {}
fn moves<T: Send>() {}

#[test]
fn all_can_be_shared() {
    crosses::<Connection>();
    crosses::<RedisManager>();
    crosses::<RedisManagerBuilder>();
    crosses::<Pool<RedisManager>>();
    moves::<OwnedGuard<RedisManager>>();
}
