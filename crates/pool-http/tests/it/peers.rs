//! What other pools do wrong.

use std::sync::atomic::Ordering::SeqCst;

use crate::support::{Server, fetch, get};

// hyper-util's client races a connection of its own against a checkout, and a burst makes more
// sockets than there are requests under way (hyper#1584).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_makes_no_more_connections_than_requests_at_once() {
    let server = Server::start().await;
    let pool = server.builder().max_size(4).build().unwrap();
    for _ in 0..20 {
        let burst: Vec<_> = (0..4)
            .map(|_| {
                let pool = pool.clone();
                tokio::spawn(async move { fetch(&pool, "/slow/1").await.unwrap() })
            })
            .collect();
        for task in burst {
            task.await.unwrap();
        }
    }
    assert!(server.connections() <= 4, "{}", server.connections());
}

// Clients without a limit of connections open one for each request under way.
#[tokio::test]
async fn requests_beyond_the_limit_wait_in_line() {
    let server = Server::start().await;
    let pool = server.builder().max_size(1).drain_limit(0).build().unwrap();
    let first = pool.send(get("/half/100")).await.unwrap();
    let second = tokio::spawn({
        let pool = pool.clone();
        async move { fetch(&pool, "/len/1").await.unwrap() }
    });
    while pool.connections().stats().waiting == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(server.connections(), 1);
    drop(first.into_body());
    second.await.unwrap();
    assert_eq!(server.seen.requests.load(SeqCst), 2);
}
