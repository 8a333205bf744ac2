//! Callers that leave.

use std::task::Poll;
use std::time::Duration;

use crate::support::{Server, eventually, fetch, get, look, post};

#[tokio::test]
async fn nobody_reads_the_answer_to_a_request_that_was_left() {
    let server = Server::start().await;
    let pool = server.builder().max_size(1).build().unwrap();
    let left = tokio::time::timeout(Duration::from_millis(20), pool.send(get("/slow/60")));
    assert!(left.await.is_err());
    for number in 0..5 {
        let text = format!("request {number}");
        let answer = pool.send(post("/echo", text.clone())).await.unwrap();
        assert_eq!(answer.into_body().bytes(100).await.unwrap(), text);
    }
    assert_eq!(server.connections(), 2);
    eventually("the first is closed", || server.live() == 1).await;
}

#[tokio::test]
async fn a_body_that_is_left_half_way_is_not_read_by_the_next() {
    let server = Server::start().await;
    let pool = server.builder().max_size(1).build().unwrap();
    let answer = pool.send(get("/half/1000000")).await.unwrap();
    let mut reading = Box::pin(answer.into_body().bytes(1_000_000));
    assert!(look(reading.as_mut()).is_pending());
    drop(reading);
    assert_eq!(fetch(&pool, "/len/2").await.unwrap(), "xx");
    eventually("the first is closed", || server.live() == 1).await;
}

async fn leave_after(looks: usize) -> bool {
    let server = Server::start().await;
    let pool = server.builder().max_size(2).build().unwrap();
    let mut is_over = false;
    {
        let mut whole = Box::pin(fetch(&pool, "/len/5000"));
        for _ in 0..looks {
            if let Poll::Ready(output) = look(whole.as_mut()) {
                assert_eq!(output.unwrap().len(), 5000);
                is_over = true;
                break;
            }
            tokio::time::sleep(Duration::from_micros(100)).await;
        }
    }
    eventually("nobody holds anything", || {
        let stats = pool.connections().stats();
        stats.in_use == 0 && stats.waiting == 0
    })
    .await;
    for _ in 0..3 {
        assert_eq!(fetch(&pool, "/len/3").await.unwrap(), "xxx");
    }
    assert!(pool.connections().stats().size <= 2);
    is_over
}

#[tokio::test]
async fn leaving_at_any_look_keeps_the_pool_whole() {
    let mut has_ended = false;
    for looks in 0..30 {
        has_ended |= leave_after(looks).await;
    }
    assert!(has_ended || leave_after(100_000).await);
}

#[tokio::test]
async fn a_request_that_nobody_looks_at_does_nothing() {
    let server = Server::start().await;
    let pool = server.builder().build().unwrap();
    drop(pool.send(get("/len/1")));
    let stats = pool.connections().stats();
    assert_eq!((stats.size, stats.waiting, stats.acquisitions), (0, 0, 0));
}

#[tokio::test]
async fn a_drain_that_nobody_waits_for_has_closed_all_the_same() {
    let server = Server::start().await;
    let pool = server.builder().build().unwrap();
    let _held = pool.send(get("/half/100")).await.unwrap();
    {
        let mut drain = Box::pin(pool.drain(Duration::from_secs(10)));
        assert!(look(drain.as_mut()).is_pending());
    }
    assert!(pool.connections().is_closed());
}

#[test]
fn an_answer_that_outlives_its_runtime_does_no_harm() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let first = runtime();
    let (server, pool, answer) = first.block_on(async {
        let server = Server::start().await;
        let pool = server.builder().build().unwrap();
        let answer = pool.send(get("/len/60000")).await.unwrap();
        (server, pool, answer)
    });
    drop(first);
    drop(answer); // its rest would be drained in a runtime that is gone
    assert_eq!(pool.connections().stats().in_use, 0);
    drop((server, pool));
}
