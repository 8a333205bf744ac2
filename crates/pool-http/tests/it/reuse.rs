//! Which connections are used again.

use std::time::Duration;

use brolly_pool_http::http_body_util::BodyExt;
use brolly_pool_http::hyper::body::Body;
use brolly_sync::ManualClock;

use crate::support::{Server, eventually, fetch, get, post};

#[tokio::test]
async fn one_connection_serves_one_request_after_another() {
    let server = Server::start().await;
    let pool = server.builder().build().unwrap();
    for number in 0..20 {
        let path = match number % 4 {
            0 => "/len/3",
            1 => "/chunked/5",
            2 => "/empty",
            _ => "/len/0",
        };
        fetch(&pool, path).await.unwrap();
    }
    assert_eq!(server.connections(), 1);
    assert_eq!(pool.connections().stats().idle, 1);
}

// The end of an answer may be read before the connection looks for the next request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_not_ready_yet_is_waited_for() {
    let server = Server::start().await;
    let pool = server.builder().build().unwrap();
    tokio::spawn(async move {
        for _ in 0..2000 {
            fetch(&pool, "/len/3").await.unwrap();
        }
        assert_eq!(server.connections(), 1);
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_connection_goes_back_with_the_end_of_the_body_and_not_before() {
    let server = Server::start().await;
    let pool = server.builder().max_size(1).build().unwrap();
    let answer = pool.send(get("/len/100000")).await.unwrap();
    assert_eq!(pool.connections().stats().in_use, 1);
    let body = answer.into_body().bytes(100_000).await.unwrap();
    assert_eq!(body.len(), 100_000);
    assert_eq!(pool.connections().stats().in_use, 0);
    let answer = pool.send(get("/empty")).await.unwrap();
    assert_eq!(pool.connections().stats().in_use, 0, "it has no body");
    drop(answer);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn the_last_piece_of_a_body_of_known_length_is_its_end() {
    let server = Server::start().await;
    let pool = server.builder().max_size(1).build().unwrap();
    let mut body = pool.send(get("/len/70000")).await.unwrap().into_body();
    let mut left = 70_000;
    while left > 0 {
        let piece = body.frame().await.unwrap().unwrap();
        left -= piece.into_data().unwrap().len();
    }
    assert!(body.is_end_stream());
    assert_eq!(
        pool.connections().stats().in_use,
        0,
        "nobody has to ask again"
    );
}

#[tokio::test]
async fn nothing_is_drained_for_a_connection_that_ends_anyway() {
    let server = Server::start().await;
    let pool = server.builder().build().unwrap();
    drop(pool.send(get("/says-close")).await.unwrap());
    let stats = pool.connections().stats();
    assert_eq!((stats.in_use, stats.idle), (0, 0));
}

#[tokio::test]
async fn a_server_that_is_back_is_not_met_with_stale_connections() {
    let server = Server::start().await;
    let pool = server.builder().max_size(8).build().unwrap();
    let all: Vec<_> = (0..8)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { fetch(&pool, "/slow/20").await.unwrap() })
        })
        .collect();
    for task in all {
        task.await.unwrap();
    }
    assert_eq!(pool.connections().stats().idle, 8);
    let server = Server::start_at(server.stop().await).await;
    // So that the ends arrive: there is no event for that.
    tokio::time::sleep(Duration::from_millis(50)).await;
    fetch(&pool, "/len/1").await.unwrap();
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_short_rest_that_nobody_reads_is_drained() {
    let server = Server::start().await;
    let pool = server.builder().max_size(1).build().unwrap();
    for _ in 0..5 {
        drop(pool.send(get("/len/60000")).await.unwrap());
        fetch(&pool, "/len/1").await.unwrap();
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_long_rest_closes_the_connection() {
    let server = Server::start().await;
    let pool = server.builder().drain_limit(100).build().unwrap();
    drop(pool.send(get("/len/101000")).await.unwrap());
    let stats = pool.connections().stats();
    assert_eq!((stats.in_use, stats.idle), (0, 0));
    // One whose length is not known may be endless.
    drop(pool.send(get("/chunked/100000")).await.unwrap());
    fetch(&pool, "/len/1").await.unwrap();
    assert_eq!(server.connections(), 3);
    eventually("the others are closed", || server.live() == 1).await;
}

#[tokio::test]
async fn a_rest_that_does_not_come_is_not_waited_for() {
    let server = Server::start().await;
    let clock = ManualClock::new();
    let pool = server.builder().timer(clock.clone()).build().unwrap();
    drop(pool.send(get("/half/1000")).await.unwrap());
    assert_eq!(pool.connections().stats().in_use, 1, "it is drained");
    let mut passed = Duration::ZERO;
    eventually("it is given up", || {
        clock.advance(Duration::from_millis(50));
        passed += Duration::from_millis(50);
        pool.connections().stats().in_use == 0
    })
    .await;
    assert!(passed >= Duration::from_secs(1), "{passed:?}");
    eventually("it is closed", || server.live() == 0).await;
}

#[tokio::test]
async fn an_answer_before_the_whole_request_is_not_followed_by_another_request() {
    let server = Server::start().await;
    let pool = server.builder().build().unwrap();
    let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
    // A body that does not end before the test does.
    let body = brolly_pool_http::http_body_util::StreamBody::new(Never(Some(receiver)));
    let request = brolly_pool_http::http::Request::post("/early").body(body);
    let answer = pool.send(request.unwrap()).await.unwrap();
    let body = answer.into_body().bytes(100).await.unwrap();
    assert_eq!(&body[..], b"early");
    assert_eq!(pool.connections().stats().idle, 0);
    fetch(&pool, "/len/1").await.unwrap();
    assert_eq!(server.connections(), 2);
    drop(sender);
}

// Whoever comes next has the place at once, and not when the pool is done with waiting for a
// connection that goes on sending.
#[tokio::test]
async fn a_request_that_is_still_being_sent_ends_with_its_answer() {
    let server = Server::start().await;
    let pool = server.builder().max_size(1).build().unwrap();
    let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
    let body = brolly_pool_http::http_body_util::StreamBody::new(Never(Some(receiver)));
    let request = brolly_pool_http::http::Request::post("/early").body(body);
    let answer = pool.send(request.unwrap()).await.unwrap();
    answer.into_body().bytes(100).await.unwrap();
    let began = std::time::Instant::now();
    fetch(&pool, "/len/1").await.unwrap();
    let took = began.elapsed();
    assert!(took < Duration::from_secs(3), "{took:?}");
    drop(sender);
}

/// Gives one piece and then nothing.
struct Never(Option<tokio::sync::oneshot::Receiver<()>>);

impl futures_core::Stream for Never {
    type Item = Result<brolly_pool_http::hyper::body::Frame<bytes::Bytes>, std::io::Error>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        let Some(receiver) = &mut self.0 else {
            return std::task::Poll::Ready(None);
        };
        let ended = std::pin::Pin::new(receiver);
        std::task::ready!(std::future::Future::poll(ended, cx)).ok();
        std::task::Poll::Ready(None)
    }
}

#[tokio::test]
async fn a_connection_that_the_server_has_closed_is_not_handed_out() {
    let server = Server::start().await;
    let pool = server.builder().build().unwrap();
    fetch(&pool, "/then-close").await.unwrap();
    eventually("it is closed", || server.live() == 0).await;
    for _ in 0..3 {
        fetch(&pool, "/len/1").await.unwrap();
    }
    assert_eq!(server.connections(), 2);
}

// The answer and the end of the connection come so close together that the pool cannot know.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_sent_is_sent_on_another_connection() {
    let server = Server::start().await;
    let pool = server.builder().max_size(2).build().unwrap();
    for _ in 0..200 {
        fetch(&pool, "/then-close").await.unwrap_or_default();
        // Whether the pool knows by now or not, a caller is not told of a stale connection that
        // never saw the request; one that was sent into a closing socket is lost, as it must be.
        match pool.send(post("/echo", "hello")).await {
            Ok(answer) => assert_eq!(&answer.into_body().bytes(10).await.unwrap()[..], b"hello"),
            Err(brolly_pool_http::SendError::Lost {
                may_have_been_sent, ..
            }) => assert!(may_have_been_sent),
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(pool.connections().stats().size <= 2);
}

#[tokio::test]
async fn connections_end_with_their_pool() {
    let server = Server::start().await;
    let pool = server.builder().build().unwrap();
    let held = pool.send(get("/half/100")).await.unwrap();
    fetch(&pool, "/len/1").await.unwrap();
    assert_eq!(server.live(), 2);
    let draining = tokio::spawn({
        let pool = pool.clone();
        async move { pool.drain(Duration::from_millis(50)).await }
    });
    let report = draining.await.unwrap();
    assert_eq!(report.left.len(), 1);
    assert!(fetch(&pool, "/len/1").await.is_err());
    drop(held);
    eventually("all are closed", || server.live() == 0).await;
    assert_eq!(pool.connections().stats().size, 0);
}

#[tokio::test]
async fn no_more_connections_than_may_be() {
    let server = Server::start().await;
    let pool = server.builder().max_size(3).build().unwrap();
    let all: Vec<_> = (0..30)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { fetch(&pool, "/slow/2").await.unwrap() })
        })
        .collect();
    for task in all {
        assert_eq!(&task.await.unwrap()[..], b"slow");
    }
    assert!(server.connections() <= 3);
}
