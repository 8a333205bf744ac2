//! What the server says about its connections.

use std::time::Duration;

use brolly_resource_pool::Check;
use brolly_sync::ManualClock;

use crate::support::{Server, eventually, fetch, get};

#[tokio::test]
async fn a_connection_that_the_server_will_close_is_not_used_again() {
    let server = Server::start().await;
    let pool = server.builder().build().unwrap();
    // This server says so and leaves the socket open.
    fetch(&pool, "/says-close").await.unwrap();
    fetch(&pool, "/old").await.unwrap();
    fetch(&pool, "/keep/5/0").await.unwrap();
    fetch(&pool, "/len/1").await.unwrap();
    assert_eq!(server.connections(), 4);
    eventually("the pool has closed them", || server.live() == 1).await;
}

#[tokio::test]
async fn a_request_that_ends_its_connection_does() {
    let server = Server::start().await;
    let pool = server.builder().build().unwrap();
    let mut request = get("/len/1");
    let close = "close".parse().unwrap();
    request.headers_mut().insert("connection", close);
    let answer = pool.send(request).await.unwrap();
    answer.into_body().bytes(1).await.unwrap();
    assert_eq!(pool.connections().stats().idle, 0);
}

#[tokio::test]
async fn the_servers_limit_for_idle_connections_is_kept() {
    let server = Server::start().await;
    let clock = ManualClock::new();
    clock.advance(Duration::from_secs(1000));
    let given = clock.clone();
    // Without checks, so that it is the look at each checkout that does it.
    let pool = server
        .builder()
        .pool(move |it| it.clock(given).check(Check::Never).health_interval(None))
        .build()
        .unwrap();
    fetch(&pool, "/keep/5/100").await.unwrap();
    clock.advance(Duration::from_millis(3900));
    fetch(&pool, "/keep/5/99").await.unwrap();
    assert_eq!(server.connections(), 1);
    clock.advance(Duration::from_millis(4000));
    fetch(&pool, "/keep/5/98").await.unwrap();
    assert_eq!(server.connections(), 2);
    // Without a limit of the server's, only the pool's count.
    fetch(&pool, "/len/1").await.unwrap();
    clock.advance(Duration::from_secs(100));
    fetch(&pool, "/len/1").await.unwrap();
    assert_eq!(server.connections(), 2);
}
