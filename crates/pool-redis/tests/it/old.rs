//! A server that does not know `RESET`, as those before Redis 6.2.

use redis::cmd;

use crate::server::Server;
use crate::support::{id, info, lone};

#[tokio::test]
async fn without_reset_a_changed_connection_is_closed() {
    let Some(server) = Server::start_with(&["--rename-command", "RESET", ""]) else {
        return;
    };
    let pool = lone(&server);
    let mut connection = pool.acquire().await.unwrap();
    let first = id(&mut connection).await;
    drop(connection);
    let mut connection = pool.acquire().await.unwrap();
    assert_eq!(id(&mut connection).await, first);
    let select = cmd("SELECT").arg(2).exec_async(&mut *connection).await;
    select.unwrap();
    drop(connection);
    let mut connection = pool.acquire().await.unwrap();
    assert_ne!(id(&mut connection).await, first);
    assert!(info(&mut connection).await.contains("db=0 "));
}
