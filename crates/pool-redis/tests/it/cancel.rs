//! Callers that leave in the middle of a command.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use brolly_pool_redis::Connection;
use redis::{AsyncCommands, RedisResult, Value, cmd, pipe};

use crate::server;
use crate::support::{eventually, id, lone, manager, ms, secs, small};

/// Polls a future so often, with a little time between, and drops it. Whether it was done.
async fn polled<T>(times: usize, work: impl Future<Output = T>) -> bool {
    let mut work = pin!(work);
    for _ in 0..times {
        let mut cx = Context::from_waker(Waker::noop());
        if work.as_mut().poll(&mut cx).is_ready() {
            return true;
        }
        tokio::time::sleep(ms(3)).await;
    }
    false
}

async fn all_kinds(connection: &mut Connection) -> RedisResult<()> {
    let _: Value = connection.get("a").await?;
    let mut all = pipe();
    all.atomic().set("a", 1).get("a");
    let _: Value = all.query_async(connection).await?;
    cmd("SELECT").arg(4).exec_async(connection).await?;
    cmd("WATCH").arg("a").exec_async(connection).await?;
    cmd("MULTI").exec_async(connection).await?;
    let _: Value = connection.set("a", 2).await?;
    cmd("EXEC").exec_async(connection).await
}

// In one thread, so that an answer arrives between two polls and never within one.
#[tokio::test]
async fn whoever_leaves_at_any_poll_leaves_the_next_its_own_answers() {
    let Some(server) = server::shared() else {
        return;
    };
    let pool = lone(&server);
    let mut times = 0;
    loop {
        let mut connection = pool.acquire_timeout(secs(30)).await.unwrap();
        let is_done = polled(times, all_kinds(&mut connection)).await;
        drop(connection);
        // The one after it may have a reset to wait for, and leaves in the middle of that.
        let mut connection = pool.acquire_timeout(secs(30)).await.unwrap();
        polled(1, connection.get::<_, Value>("b")).await;
        drop(connection);
        let mut connection = pool.acquire_timeout(secs(30)).await.unwrap();
        let echo: usize = cmd("ECHO")
            .arg(times)
            .query_async(&mut *connection)
            .await
            .unwrap();
        assert_eq!(echo, times);
        let info = crate::support::info(&mut connection).await;
        assert!(
            info.contains("db=0 ") && info.contains("multi=-1 "),
            "{info}"
        );
        drop(connection);
        if is_done {
            break;
        }
        times += 1;
    }
    assert!(times > 6, "{times} polls");
    assert_eq!(pool.stats().size, 1);
}

#[tokio::test]
async fn a_command_that_waits_at_the_server_ends_with_its_connection() {
    let Some(server) = server::shared() else {
        return;
    };
    let pool = small(manager(&server).response_timeout(None))
        .build()
        .unwrap();
    let mut connection = pool.acquire().await.unwrap();
    let first = id(&mut connection).await;
    let waiting = connection.blpop::<_, Value>("nothing_comes", 0.0);
    assert!(tokio::time::timeout(ms(100), waiting).await.is_err());
    drop(connection);
    let mut connection = pool.acquire_timeout(secs(10)).await.unwrap();
    assert_ne!(id(&mut connection).await, first);
    let is_gone = || !server.ask("CLIENT LIST").contains(&format!("id={first} "));
    eventually("the server is rid of it", is_gone).await;
    // It takes nothing from those who come later.
    let _: () = connection.rpush("nothing_comes", "kept").await.unwrap();
    let left: String = connection.lpop("nothing_comes", None).await.unwrap();
    assert_eq!(left, "kept");
}

#[tokio::test]
async fn a_holder_that_gives_up_one_command_gets_the_answers_to_its_next() {
    let Some(server) = server::shared() else {
        return;
    };
    let pool = lone(&server);
    let mut connection = pool.acquire().await.unwrap();
    let first = id(&mut connection).await;
    let waiting = connection.blpop::<_, Value>("nothing_comes_either", 0.3);
    assert!(tokio::time::timeout(ms(50), waiting).await.is_err());
    let echo: String = cmd("ECHO")
        .arg("mine")
        .query_async(&mut *connection)
        .await
        .unwrap();
    assert_eq!(echo, "mine");
    drop(connection);
    let mut connection = pool.acquire().await.unwrap();
    assert_ne!(id(&mut connection).await, first);
}

#[tokio::test]
async fn a_future_that_was_never_polled_costs_nothing() {
    let Some(server) = server::shared() else {
        return;
    };
    let pool = lone(&server);
    let mut connection = pool.acquire().await.unwrap();
    let first = id(&mut connection).await;
    drop(connection.blpop::<_, Value>("never", 0.0));
    drop(cmd("SUBSCRIBE").arg("never").exec_async(&mut *connection));
    drop(connection);
    let mut connection = pool.acquire().await.unwrap();
    assert_eq!(id(&mut connection).await, first);
}
