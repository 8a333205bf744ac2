//! Pools over a server, and waiting for what the server does in its own time.

use std::time::{Duration, Instant};

use brolly_pool_redis::{Connection, RedisManager, RedisManagerBuilder};
use brolly_resource_pool::{Pool, PoolBuilder};

use crate::server::Server;

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) type RedisPool = Pool<RedisManager>;

pub(crate) fn manager(server: &Server) -> RedisManagerBuilder {
    RedisManager::builder(server.client("/"))
}

/// One connection at most, and none made ahead.
pub(crate) fn lone(server: &Server) -> RedisPool {
    small(manager(server)).build().unwrap()
}

pub(crate) fn small(manager: RedisManagerBuilder) -> PoolBuilder<RedisManager> {
    manager.build().unwrap().pool().min_size(0).max_size(1)
}

/// The server's number of a connection.
pub(crate) async fn id(connection: &mut Connection) -> u64 {
    let mut ask = redis::cmd("CLIENT");
    ask.arg("ID").query_async(connection).await.unwrap()
}

/// What `CLIENT INFO` says of a connection.
pub(crate) async fn info(connection: &mut Connection) -> String {
    let mut ask = redis::cmd("CLIENT");
    ask.arg("INFO").query_async(connection).await.unwrap()
}

/// Waits for what comes about without us.
pub(crate) async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + secs(30);
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(ms(10)).await;
    }
}
