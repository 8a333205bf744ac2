//! Pools over a server, and waiting for what the server does in its own time.

use std::time::{Duration, Instant};

use brolly_pool_postgres::{Client, PostgresManager};
use brolly_resource_pool::{Pool, PoolBuilder};
use tokio_postgres::Error;

use crate::server::Server;

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) type PgPool = Pool<PostgresManager>;

pub(crate) fn manager(server: &Server) -> PostgresManager {
    PostgresManager::builder(server.config()).build().unwrap()
}

/// One connection at most, and none made ahead.
pub(crate) fn lone(server: &Server) -> PgPool {
    small(manager(server)).build().unwrap()
}

pub(crate) fn small(manager: PostgresManager) -> PoolBuilder<PostgresManager> {
    manager.pool().min_size(0).max_size(1)
}

pub(crate) async fn number(client: &Client, query: &str) -> Result<i32, Error> {
    Ok(client.query_one(query, &[]).await?.get(0))
}

/// The server process behind a connection.
pub(crate) async fn backend(client: &Client) -> i32 {
    number(client, "SELECT pg_backend_pid()").await.unwrap()
}

/// Waits for what comes about without us.
pub(crate) async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + secs(30);
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(ms(10)).await;
    }
}
