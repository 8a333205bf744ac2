//! What can go wrong, by kind.

use std::error::Error;
use std::time::{Duration, Instant};

use brolly_pool_http::http::{Method, Request};
use brolly_pool_http::http_body_util::Empty;
use brolly_pool_http::{BodyError, HttpError, HttpPool, SendError};
use brolly_resource_pool::{AcquireError, CreateError};
use bytes::Bytes;

use crate::support::{Server, fetch, get};

const SHORT: Duration = Duration::from_millis(30);

#[tokio::test]
async fn nobody_there_is_told_at_once() {
    let address = Server::start().await.stop().await;
    let pool = HttpPool::builder(format!("http://{address}"))
        .build()
        .unwrap();
    let error = fetch(&pool, "/").await.unwrap_err();
    let SendError::Acquire(AcquireError::Create(CreateError::Failed(error))) = error else {
        panic!("{error}");
    };
    assert_eq!(
        error.to_string(),
        format!("http://{address} cannot be connected to")
    );
    let HttpError::Connect { source, .. } = &*error else {
        panic!("{error}");
    };
    assert_eq!(source.kind(), std::io::ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_a_timeout_and_costs_its_connection() {
    let server = Server::start().await;
    let builder = server.builder().max_size(1).response_timeout(SHORT);
    let pool = builder.build().unwrap();
    let began = Instant::now();
    let error = fetch(&pool, "/hang").await.unwrap_err();
    assert!(matches!(error, SendError::Timeout { after } if after == SHORT));
    assert!(began.elapsed() >= SHORT && began.elapsed() < Duration::from_secs(5));
    fetch(&pool, "/len/1").await.unwrap();
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn who_waits_for_a_connection_is_told_who_has_it() {
    let server = Server::start().await;
    let builder = server.builder().max_size(1).acquire_timeout(SHORT);
    let pool = builder.build().unwrap();
    let line = line!() + 1;
    let held = pool.send(get("/half/100")).await.unwrap();
    let began = Instant::now();
    let error = pool.send(get("/len/1")).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(5));
    let text = error.to_string();
    assert!(text.contains(&format!("{}:{line}", file!())), "{text}");
    drop(held);
}

#[tokio::test]
async fn a_body_that_stops_is_a_timeout_and_costs_its_connection() {
    let server = Server::start().await;
    let pool = server.builder().body_timeout(SHORT).build().unwrap();
    let answer = pool.send(get("/half/100")).await.unwrap();
    let error = answer.into_body().bytes(100).await.unwrap_err();
    assert!(matches!(error, BodyError::Timeout { after } if after == SHORT));
    let stats = pool.connections().stats();
    assert_eq!((stats.in_use, stats.idle), (0, 0));
}

#[tokio::test]
async fn a_body_that_is_torn_is_lost() {
    let server = Server::start().await;
    let pool = server.builder().build().unwrap();
    let answer = pool.send(get("/torn")).await.unwrap();
    let error = answer.into_body().bytes(100).await.unwrap_err();
    assert!(matches!(error, BodyError::Lost(_)));
    assert_eq!(pool.connections().stats().idle, 0);
}

#[tokio::test]
async fn a_connection_that_ends_without_an_answer_is_lost_and_not_tried_again() {
    let server = Server::start().await;
    let pool = server.builder().build().unwrap();
    let error = fetch(&pool, "/drop").await.unwrap_err();
    let SendError::Lost {
        may_have_been_sent, ..
    } = error
    else {
        panic!("{error}");
    };
    assert!(may_have_been_sent);
    assert_eq!(
        server
            .seen
            .requests
            .load(std::sync::atomic::Ordering::SeqCst),
        1
    );
}

#[tokio::test]
async fn what_is_no_http_is_a_bad_answer() {
    let server = Server::start().await;
    let pool = server.builder().build().unwrap();
    let error = fetch(&pool, "/garbage").await.unwrap_err();
    assert!(matches!(error, SendError::BadAnswer(_)), "{error:?}");
    assert!(error.source().is_some());
    assert_eq!(pool.connections().stats().idle, 0);
}

#[tokio::test]
async fn a_body_longer_than_asked_for_is_refused() {
    let server = Server::start().await;
    let pool = server.builder().build().unwrap();
    for path in ["/len/100", "/chunked/100"] {
        let answer = pool.send(get(path)).await.unwrap();
        let error = answer.into_body().bytes(99).await.unwrap_err();
        assert!(matches!(error, BodyError::TooLong { limit: 99 }));
    }
}

#[tokio::test]
async fn a_body_that_is_announced_to_be_too_long_is_not_waited_for() {
    let server = Server::start().await;
    let pool = server.builder().body_timeout(None).build().unwrap();
    let answer = pool.send(get("/half/1000")).await.unwrap();
    let error = answer.into_body().bytes(999).await.unwrap_err();
    assert!(matches!(error, BodyError::TooLong { limit: 999 }));
}

#[tokio::test]
async fn a_request_for_another_place_is_refused_before_anything_happens() {
    let server = Server::start().await;
    let pool = server.builder().build().unwrap();
    let other = format!("http://127.0.0.1:{}/", server.address.port() ^ 1);
    for asked in [other.as_str(), "https://127.0.0.1/", "http://example.org/"] {
        let error = pool.send(get(asked)).await.unwrap_err();
        assert!(matches!(error, SendError::OtherOrigin { .. }), "{error}");
    }
    let tunnel: Request<Empty<Bytes>> = Request::builder()
        .method(Method::CONNECT)
        .uri("/")
        .body(Empty::new())
        .unwrap();
    let error = pool.send(tunnel).await.unwrap_err();
    assert!(matches!(error, SendError::Unsupported { what: "CONNECT" }));
    let mut upgrade = get("/");
    let upgrades = "upgrade, keep-alive".parse().unwrap();
    upgrade.headers_mut().insert("connection", upgrades);
    let error = pool.send(upgrade).await.unwrap_err();
    assert!(matches!(error, SendError::Unsupported { .. }));
    assert_eq!(pool.connections().stats().acquisitions, 0);
}

#[tokio::test]
async fn a_request_body_that_fails_is_the_requests_fault() {
    let server = Server::start().await;
    let pool = server.builder().build().unwrap();
    let broken = brolly_pool_http::http_body_util::StreamBody::new(Broken);
    let request = Request::post("/echo").body(broken).unwrap();
    let error = pool.send(request).await.unwrap_err();
    assert!(matches!(error, SendError::Request(_)), "{error:?}");
    fetch(&pool, "/len/1").await.unwrap();
    assert_eq!(server.connections(), 2);
}

struct Broken;

impl futures_core::Stream for Broken {
    type Item = Result<brolly_pool_http::hyper::body::Frame<Bytes>, std::io::Error>;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(Some(Err(std::io::Error::other("no more of it"))))
    }
}

#[test]
fn without_a_runtime_it_is_an_error_and_not_a_panic() {
    struct Pipe;
    impl brolly_pool_http::Connect for Pipe {
        type Io = hyper_util::rt::TokioIo<tokio::io::DuplexStream>;
        async fn connect(&self, _: &brolly_pool_http::Origin) -> std::io::Result<Self::Io> {
            Ok(hyper_util::rt::TokioIo::new(tokio::io::duplex(64).0))
        }
    }
    let pool = HttpPool::with_connector("http://there", Pipe)
        .build()
        .unwrap();
    let error = brolly_sync::block_on(pool.send(get("/"))).unwrap_err();
    let SendError::Acquire(AcquireError::Create(CreateError::Failed(error))) = error else {
        panic!("{error}");
    };
    assert!(matches!(*error, HttpError::NoRuntime));
}

#[test]
fn without_a_runtime_tcp_is_an_error_and_not_a_panic() {
    let pool = HttpPool::builder("http://127.0.0.1:9").build().unwrap();
    let error = brolly_sync::block_on(pool.send(get("/"))).unwrap_err();
    let SendError::Acquire(AcquireError::Create(CreateError::Failed(error))) = error else {
        panic!("{error:?}");
    };
    assert!(matches!(*error, HttpError::NoRuntime));
}
