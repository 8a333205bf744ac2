//! A server that goes away under load and comes back.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use brolly_pool_http::{HttpPool, SendError};
use brolly_sync::Backoff;

use crate::support::{Server, eventually, get};

const DEADLINE: Duration = Duration::from_millis(800);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

#[derive(Default)]
struct Log {
    answered: AtomicUsize,
    refused: AtomicUsize,
    slowest: Mutex<Duration>,
    is_over: AtomicBool,
}

async fn ask(pool: HttpPool, log: Arc<Log>) {
    while !log.is_over.load(SeqCst) {
        let began = Instant::now();
        match pool.send(get("/slow/1")).await {
            Ok(answer) => match answer.into_body().bytes(100).await {
                Ok(body) => {
                    assert_eq!(&body[..], b"slow");
                    log.answered.fetch_add(1, SeqCst);
                }
                Err(_) => {
                    log.refused.fetch_add(1, SeqCst);
                }
            },
            Err(
                SendError::Acquire(_)
                | SendError::Lost { .. }
                | SendError::Timeout { .. }
                | SendError::Request(_),
            ) => {
                log.refused.fetch_add(1, SeqCst);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            Err(other) => panic!("{other:?}"),
        }
        let took = began.elapsed();
        let mut slowest = log.slowest.lock().unwrap();
        *slowest = took.max(*slowest);
    }
}

/// The sockets of this process that are connected to a port, or were.
#[cfg(target_os = "linux")]
fn sockets_to(port: u16) -> usize {
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    let ours: Vec<_> = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|it| std::fs::read_link(it.ok()?.path()).ok())
        .map(|it| it.to_string_lossy().into_owned())
        .collect();
    let ends_with_port = |address: &str| address.ends_with(&format!(":{port:04X}"));
    table
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|row| ends_with_port(row[2]))
        .filter(|row| ours.contains(&format!("socket:[{}]", row[9])))
        .count()
}

#[cfg(not(target_os = "linux"))]
fn sockets_to(_: u16) -> usize {
    0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_are_told_in_time_the_pool_recovers_and_nothing_leaks() {
    let server = Server::start().await;
    let pauses = Backoff::builder()
        .initial(Duration::from_millis(20))
        .max(LONGEST_PAUSE)
        .build()
        .unwrap();
    let pool = server
        .builder()
        .max_size(8)
        .acquire_timeout(DEADLINE / 2)
        .response_timeout(DEADLINE / 2)
        .pool(|it| it.backoff(pauses))
        .build()
        .unwrap();
    let log = Arc::new(Log::default());
    let callers: Vec<_> = (0..16)
        .map(|_| tokio::spawn(ask(pool.clone(), Arc::clone(&log))))
        .collect();
    let mut server = server;
    for _ in 0..3 {
        eventually("requests are answered", || {
            server.seen.requests.load(SeqCst) > 100
        })
        .await;
        let address = server.stop().await;
        let refused = log.refused.load(SeqCst);
        eventually("callers are told", || log.refused.load(SeqCst) > refused).await;
        tokio::time::sleep(LONGEST_PAUSE).await; // so that the pauses have their full length
        server = Server::start_at(address).await;
        let (back, answered) = (Instant::now(), log.answered.load(SeqCst));
        eventually("it answers again", || log.answered.load(SeqCst) > answered).await;
        let took = back.elapsed();
        assert!(
            took < LONGEST_PAUSE + Duration::from_millis(300),
            "{took:?}"
        );
    }
    log.is_over.store(true, SeqCst);
    for caller in callers {
        caller.await.unwrap();
    }
    let slowest = *log.slowest.lock().unwrap();
    assert!(
        slowest < DEADLINE + Duration::from_millis(300),
        "{slowest:?}"
    );
    let stats = pool.connections().stats();
    assert_eq!((stats.in_use, stats.waiting), (0, 0), "{stats:?}");
    assert!(stats.size <= 8);
    assert!(server.live() <= 8);
    let port = server.address.port();
    pool.drain(Duration::from_secs(5)).await;
    eventually("the server's side is closed", || server.live() == 0).await;
    eventually("no socket is left", || sockets_to(port) == 0).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn sockets_are_counted() {
    let server = Server::start().await;
    let pool = server.builder().build().unwrap();
    crate::support::fetch(&pool, "/len/1").await.unwrap();
    assert_eq!(sockets_to(server.address.port()), 1);
}
