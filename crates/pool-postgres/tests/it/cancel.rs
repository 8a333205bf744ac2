//! Callers that leave in the middle of a query.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use brolly_pool_postgres::{Client, PostgresManager};
use tokio_postgres::Error;

use crate::server;
use crate::support::{backend, eventually, lone, ms, number, secs, small};

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

/// Whether this machine has a connection from the port.
fn is_connected(port: u16) -> bool {
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    let local = format!(":{port:04X}");
    table.lines().any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields.len() > 3 && fields[1].ends_with(&local) && fields[3] == "01"
    })
}

async fn all_kinds(client: &mut Client) -> Result<(), Error> {
    client.query("SELECT 1", &[]).await?;
    client.query_one("SELECT 1", &[]).await?;
    client.query_opt("SELECT 1", &[]).await?;
    client.execute("SELECT 1", &[]).await?;
    client.simple_query("SELECT 1; SELECT 2").await?;
    client.batch_execute("BEGIN; SELECT 1").await?;
    client.batch_execute("ROLLBACK").await?;
    client.prepare("SELECT $1::int").await?;
    client.prepare_cached("SELECT $1::int + 1").await?;
    let mut rows = client
        .query_rows("SELECT generate_series(1, 3)", &[])
        .await?;
    while let Some(row) = rows.next().await {
        row?;
    }
    let mut outer = client.transaction().await?;
    let inner = outer.transaction().await?;
    inner.query_one("SELECT 1", &[]).await?;
    inner.rollback().await?;
    outer.commit().await
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
        let mut client = pool.acquire_timeout(secs(30)).await.unwrap();
        let is_done = polled(times, all_kinds(&mut client)).await;
        drop(client);
        let client = pool.acquire_timeout(secs(30)).await.unwrap();
        let answer = i32::try_from(times).unwrap() + 1000;
        let query = format!("SELECT {answer}");
        assert_eq!(number(&client, &query).await.unwrap(), answer);
        client.batch_execute("SAVEPOINT a").await.unwrap_err();
        drop(client);
        if is_done {
            break;
        }
        times += 1;
    }
    assert!(times > 12, "{times} polls");
    assert_eq!(pool.stats().size, 1);
}

#[tokio::test]
async fn a_query_nobody_waits_for_is_ended_at_the_server() {
    let Some(server) = server::shared() else {
        return;
    };
    let pool = lone(&server);
    let client = pool.acquire().await.unwrap();
    let pid = backend(&client).await;
    let sleep = client.query("SELECT pg_sleep(600)", &[]);
    assert!(tokio::time::timeout(ms(200), sleep).await.is_err());
    drop(client);
    // The next holder does not wait for it.
    let client = pool.acquire_timeout(secs(10)).await.unwrap();
    assert_ne!(backend(&client).await, pid);
    let query = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}");
    eventually("the server is rid of it", || server.ask(&query) == "0").await;
}

#[tokio::test]
async fn without_cancel_requests_the_next_holder_does_not_wait_either() {
    let Some(server) = server::shared() else {
        return;
    };
    let manager = PostgresManager::builder(server.config())
        .cancel_on_drop(false)
        .build()
        .unwrap();
    let pool = small(manager).build().unwrap();
    let client = pool.acquire().await.unwrap();
    let pid = backend(&client).await;
    let port = format!("SELECT client_port FROM pg_stat_activity WHERE pid = {pid}");
    let port: u16 = server.ask(&port).parse().unwrap();
    let sleep = client.query("SELECT pg_sleep(600)", &[]);
    assert!(tokio::time::timeout(ms(200), sleep).await.is_err());
    drop(client);
    let client = pool.acquire_timeout(secs(10)).await.unwrap();
    assert_ne!(backend(&client).await, pid);
    // Here it is gone, whatever the server still does.
    eventually("the socket is closed", || !is_connected(port)).await;
    let query = format!("SELECT pg_terminate_backend({pid})");
    server.ask(&query);
}

#[tokio::test]
async fn a_future_that_was_never_polled_costs_nothing() {
    let Some(server) = server::shared() else {
        return;
    };
    let pool = lone(&server);
    let mut client = pool.acquire().await.unwrap();
    let pid = backend(&client).await;
    drop(client.query("SELECT pg_sleep(600)", &[]));
    drop(client.transaction());
    drop(client);
    let client = pool.acquire().await.unwrap();
    assert_eq!(backend(&client).await, pid);
}

#[tokio::test]
async fn calls_beside_each_other_get_their_own_answers() {
    let Some(server) = server::shared() else {
        return;
    };
    let pool = lone(&server);
    let client = pool.acquire().await.unwrap();
    let (one, two, three) = tokio::join!(
        number(&client, "SELECT 1"),
        number(&client, "SELECT 2"),
        number(&client, "SELECT 3"),
    );
    assert_eq!([one.unwrap(), two.unwrap(), three.unwrap()], [1, 2, 3]);
}
