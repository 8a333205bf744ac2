//! Servers that refuse, are full, are silent, and end connections.

use std::net::TcpListener;
use std::time::Instant;

use brolly_pool_postgres::PostgresManager;
use brolly_resource_pool::{AcquireError, CreateError, OnCreateError};
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Config, Error};

use crate::server::{self, Server};
use crate::support::{backend, eventually, lone, manager, ms, number, secs, small};

fn code(error: &AcquireError<Error>) -> Option<SqlState> {
    match error {
        AcquireError::Create(CreateError::Failed(error)) => error.code().cloned(),
        _ => None,
    }
}

#[tokio::test]
async fn a_wrong_password_is_told_at_once_and_not_tried_again() {
    let Some(server) = server::shared() else {
        return;
    };
    let mut config = server.config();
    config.password("wrong");
    let manager = PostgresManager::builder(config).build().unwrap();
    let pool = small(manager)
        .on_create_error(OnCreateError::RetryUntilDeadline)
        .build()
        .unwrap();
    let start = Instant::now();
    let error = pool.acquire().await.unwrap_err();
    assert_eq!(code(&error), Some(SqlState::INVALID_PASSWORD));
    assert!(start.elapsed() < secs(15));
}

#[tokio::test]
async fn settings_that_do_not_fit_the_server_are_told_at_once() {
    let Some(server) = server::shared() else {
        return;
    };
    let mut without = Config::new();
    without.host("127.0.0.1").user("brolly");
    without.port(server.config().get_ports()[0]);
    let mut encrypted = server.config();
    encrypted.ssl_mode(SslMode::Require);
    for config in [without, encrypted] {
        let manager = PostgresManager::builder(config).build().unwrap();
        let pool = small(manager)
            .on_create_error(OnCreateError::RetryUntilDeadline)
            .build()
            .unwrap();
        let error = pool.acquire_timeout(secs(60)).await.unwrap_err();
        let is_told = matches!(error, AcquireError::Create(CreateError::Failed(_)));
        assert!(is_told, "{error:?}");
        assert_eq!(pool.stats().create_failures, 1);
    }
}

#[tokio::test]
async fn a_database_that_is_not_there_is_told_at_once() {
    let Some(server) = server::shared() else {
        return;
    };
    let mut config = server.config();
    config.dbname("nowhere");
    let manager = PostgresManager::builder(config).build().unwrap();
    let pool = small(manager)
        .on_create_error(OnCreateError::RetryUntilDeadline)
        .build()
        .unwrap();
    let error = pool.acquire().await.unwrap_err();
    assert_eq!(code(&error), Some(SqlState::INVALID_CATALOG_NAME));
}

#[tokio::test]
async fn a_full_server_is_a_typed_error_and_the_pool_goes_on_when_there_is_room() {
    let Some(server) = Server::start_with(4) else {
        return;
    };
    server.ask("CREATE ROLE plain LOGIN PASSWORD 'plain'");
    let mut config = server.config();
    config.user("plain").password("plain");
    let plain = |max| {
        let manager = PostgresManager::builder(config.clone()).build().unwrap();
        manager.pool().min_size(0).max_size(max).build().unwrap()
    };
    let (others, pool) = (plain(4), plain(2));
    // The observer's own connection may still be ending.
    let deadline = Instant::now() + secs(20);
    let mut held = loop {
        match others.acquire_many(4).await {
            Ok(held) => break held,
            Err(error) => assert!(Instant::now() < deadline, "{error:?}"),
        }
    };
    let error = pool.acquire_timeout(secs(10)).await.unwrap_err();
    assert_eq!(code(&error), Some(SqlState::TOO_MANY_CONNECTIONS));
    // One leaves the server.
    brolly_resource_pool::Guard::discard(held.pop().unwrap());
    let deadline = Instant::now() + secs(20);
    let client = loop {
        match pool.acquire_timeout(secs(10)).await {
            Ok(client) => break client,
            Err(error) => assert_eq!(code(&error), Some(SqlState::TOO_MANY_CONNECTIONS)),
        }
        assert!(Instant::now() < deadline);
    };
    assert_eq!(number(&client, "SELECT 4").await.unwrap(), 4);
}

#[tokio::test]
async fn an_idle_connection_that_the_server_ends_is_never_handed_out() {
    let Some(server) = server::shared() else {
        return;
    };
    let pool = lone(&server);
    let pid = {
        let client = pool.acquire().await.unwrap();
        backend(&client).await
    };
    server.ask(&format!("SELECT pg_terminate_backend({pid})"));
    // The end has to arrive.
    let query = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}");
    eventually("it ends", || server.ask(&query) == "0").await;
    tokio::time::sleep(ms(50)).await;
    let client = pool.acquire().await.unwrap();
    assert_ne!(backend(&client).await, pid);
}

#[tokio::test]
async fn a_connection_ended_in_its_holders_hands_is_a_typed_error_and_closed() {
    let Some(server) = server::shared() else {
        return;
    };
    let pool = lone(&server);
    let client = pool.acquire().await.unwrap();
    let pid = backend(&client).await;
    let end = format!("SELECT pg_terminate_backend({pid}), pg_sleep(60)");
    let error = client.query_one(&end, &[]).await.unwrap_err();
    assert!(brolly_pool_postgres::is_fatal(&error), "{error:?}");
    drop(client);
    let client = pool.acquire().await.unwrap();
    assert_ne!(backend(&client).await, pid);
}

#[tokio::test]
async fn a_server_that_accepts_and_is_silent_costs_its_time_limit() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut config = Config::new();
    config.host("127.0.0.1").user("brolly");
    config.port(listener.local_addr().unwrap().port());
    let manager = PostgresManager::builder(config).build().unwrap();
    let pool = small(manager).create_timeout(ms(200)).build().unwrap();
    let start = Instant::now();
    let error = pool.acquire().await.unwrap_err();
    let is_timeout = matches!(error, AcquireError::Create(CreateError::Timeout { .. }));
    assert!(is_timeout, "{error:?}");
    assert!(start.elapsed() < secs(10));
}

#[tokio::test]
async fn a_server_that_falls_silent_costs_one_check() {
    let Some(server) = server::shared() else {
        return;
    };
    let pool = small(manager(&server))
        .check(brolly_resource_pool::Check::Always)
        .check_timeout(ms(200))
        .build()
        .unwrap();
    let pid = {
        let client = pool.acquire().await.unwrap();
        backend(&client).await
    };
    server::signal("-STOP", pid);
    let client = pool.acquire_timeout(secs(20)).await.unwrap();
    assert_ne!(backend(&client).await, pid);
    server::signal("-CONT", pid);
    let query = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}");
    eventually("it ends", || server.ask(&query) == "0").await;
}
