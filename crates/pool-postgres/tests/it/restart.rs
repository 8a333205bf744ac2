//! A server that is killed under load and comes back.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use brolly_resource_pool::RunError;

use crate::server::Server;
use crate::support::{PgPool, eventually, manager, ms, number, secs};

const DEADLINE: Duration = secs(3);

/// Runs queries until it is told to stop: the longest that one took, and how many failed.
async fn load(pool: PgPool, stop: Arc<AtomicBool>) -> (Duration, usize) {
    let mut longest = Duration::ZERO;
    let mut failures = 0;
    while !stop.load(Relaxed) {
        let start = Instant::now();
        let result = pool.run(async |client| number(client, "SELECT 7").await);
        match result.await {
            Ok(number) => assert_eq!(number, 7),
            Err(RunError::Acquire(_) | RunError::Failed(_)) => {
                failures += 1;
                tokio::time::sleep(ms(5)).await;
            }
            Err(other) => panic!("{other:?}"),
        }
        longest = longest.max(start.elapsed());
    }
    (longest, failures)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_fail_in_time_and_the_pool_is_whole_again_once_the_server_is() {
    let Some(server) = Server::start() else {
        return;
    };
    let server = Arc::new(server);
    let pool = manager(&server)
        .pool()
        .min_size(0)
        .max_size(4)
        .acquire_timeout(Some(DEADLINE))
        .build()
        .unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..16)
        .map(|_| tokio::spawn(load(pool.clone(), Arc::clone(&stop))))
        .collect();
    for _ in 0..2 {
        tokio::time::sleep(ms(300)).await;
        server.kill();
        tokio::time::sleep(ms(300)).await;
        let again = Arc::clone(&server);
        tokio::task::spawn_blocking(move || again.run())
            .await
            .unwrap();
        let start = Instant::now();
        let result = pool.run(async |client| number(client, "SELECT 8").await);
        // Some may still hold what has died: they fail once.
        if result.await.is_err() {
            let retry = async || {
                let result = pool.run(async |client| number(client, "SELECT 8").await);
                result.await.is_ok()
            };
            while !retry().await {
                assert!(start.elapsed() < secs(20));
                tokio::time::sleep(ms(10)).await;
            }
        }
        println!("whole again after {:?}", start.elapsed());
        // The longest pause between attempts is five seconds.
        assert!(start.elapsed() < secs(10), "{:?}", start.elapsed());
    }
    tokio::time::sleep(ms(200)).await;
    stop.store(true, Relaxed);
    let mut failures = 0;
    for caller in callers {
        let (longest, failed) = caller.await.unwrap();
        assert!(longest < DEADLINE + secs(5), "{longest:?}");
        failures += failed;
    }
    assert!(failures > 0, "nobody noticed");

    // Nothing is left over: neither here nor there.
    let at_most = |count: usize| count <= 4;
    eventually("sessions fit", || at_most(server.sessions())).await;
    eventually("sockets fit", || at_most(server.sockets())).await;
    let stats = pool.stats();
    assert!(stats.size <= 4 && stats.in_use == 0, "{stats:?}");
    let report = pool.drain(secs(10)).await;
    drop(report);
    eventually("no session", || server.sessions() == 0).await;
    eventually("no socket", || server.sockets() == 0).await;
}
