//! A server that is killed under load and comes back.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use brolly_pool_redis::Connection;
use brolly_resource_pool::RunError;
use redis::{RedisResult, cmd};

use crate::server::Server;
use crate::support::{RedisPool, eventually, manager, ms, secs};

const DEADLINE: Duration = secs(3);

async fn echo(connection: &mut Connection, word: u64) -> RedisResult<u64> {
    cmd("ECHO").arg(word).query_async(connection).await
}

/// Asks until it is told to stop: the longest that one took, and how many failed.
async fn load(pool: RedisPool, caller: u64, stop: Arc<AtomicBool>) -> (Duration, usize) {
    let mut longest = Duration::ZERO;
    let mut failures = 0;
    let mut word = caller;
    while !stop.load(Relaxed) {
        let start = Instant::now();
        word += 1000;
        match pool.run(async |it| echo(it, word).await).await {
            Ok(answer) => assert_eq!(answer, word),
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
        .build()
        .unwrap()
        .pool()
        .min_size(0)
        .max_size(4)
        .acquire_timeout(Some(DEADLINE))
        .build()
        .unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..16)
        .map(|caller| tokio::spawn(load(pool.clone(), caller, Arc::clone(&stop))))
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
        // Some may still hold what has died: they fail once.
        while pool.run(async |it| echo(it, 8).await).await.is_err() {
            assert!(start.elapsed() < secs(20));
            tokio::time::sleep(ms(10)).await;
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
    eventually("connections fit", || server.connections() <= 4).await;
    eventually("sockets fit", || server.sockets() <= 4).await;
    let stats = pool.stats();
    assert!(stats.size <= 4 && stats.in_use == 0, "{stats:?}");
    drop(pool.drain(secs(10)).await);
    eventually("no connection", || server.connections() == 0).await;
    eventually("no socket", || server.sockets() == 0).await;
}
