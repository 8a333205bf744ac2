//! Servers that refuse, are full, are silent, and end connections.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::time::Instant;

use brolly_pool_redis::{RedisManager, is_fatal, is_transient};
use brolly_resource_pool::{AcquireError, Check, CreateError, Guard, OnCreateError};
use redis::{AsyncCommands, Client, ErrorKind, RedisError, Value, cmd, pipe};

use crate::server::{self, Server};
use crate::support::{eventually, id, lone, manager, ms, secs, small};

fn failure(error: &AcquireError<RedisError>) -> &RedisError {
    match error {
        AcquireError::Create(CreateError::Failed(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_wrong_password_is_told_at_once_and_not_tried_again() {
    let Some(server) = server::shared() else {
        return;
    };
    let port = server.port();
    for user in [":wrong@", "nobody:wrong@", ""] {
        let client = Client::open(format!("redis://{user}127.0.0.1:{port}/")).unwrap();
        let pool = small(RedisManager::builder(client))
            .on_create_error(OnCreateError::RetryUntilDeadline)
            .build()
            .unwrap();
        let start = Instant::now();
        let error = pool.acquire().await.unwrap_err();
        let error = failure(&error);
        let is_refused = error.kind() == ErrorKind::AuthenticationFailed
            || matches!(error.code(), Some("NOAUTH" | "WRONGPASS"));
        assert!(is_refused, "{user}: {error:?}");
        assert!(start.elapsed() < secs(15));
    }
}

#[tokio::test]
async fn a_full_server_is_a_typed_error_and_the_pool_goes_on_when_there_is_room() {
    let Some(server) = Server::start_with(&["--maxclients", "4"]) else {
        return;
    };
    let new = |max| {
        let manager = manager(&server).build().unwrap();
        manager.pool().min_size(0).max_size(max).build().unwrap()
    };
    let (others, pool) = (new(4), new(2));
    let mut held = others.acquire_many(4).await.unwrap();
    let error = pool.acquire_timeout(secs(10)).await.unwrap_err();
    // It says why and hangs up; what arrives first is a race.
    let said = failure(&error);
    let is_refused = said.is_io_error() || said.to_string().contains("max number of clients");
    assert!(is_refused, "{error:?}");
    Guard::discard(held.pop().unwrap());
    let deadline = Instant::now() + secs(20);
    let mut connection = loop {
        match pool.acquire_timeout(secs(10)).await {
            Ok(connection) => break connection,
            Err(error) => drop(failure(&error).to_string()),
        }
        assert!(Instant::now() < deadline);
    };
    id(&mut connection).await;
}

#[tokio::test]
async fn an_idle_connection_that_the_server_ends_fails_its_check_and_nobody_sees_it() {
    let Some(server) = server::shared() else {
        return;
    };
    let pool = small(manager(&server))
        .check(Check::Always)
        .build()
        .unwrap();
    let first = id(&mut pool.acquire().await.unwrap()).await;
    server.ask(&format!("CLIENT KILL ID {first}"));
    let mut connection = pool.acquire().await.unwrap();
    assert_ne!(id(&mut connection).await, first);
}

#[tokio::test]
async fn a_connection_ended_in_its_holders_hands_is_a_typed_error_and_closed() {
    let Some(server) = server::shared() else {
        return;
    };
    let pool = lone(&server);
    let mut connection = pool.acquire().await.unwrap();
    let first = id(&mut connection).await;
    server.ask(&format!("CLIENT KILL ID {first}"));
    let error = connection.get::<_, Value>("a").await.unwrap_err();
    assert!(is_fatal(&error), "{error:?}");
    drop(connection);
    let mut connection = pool.acquire().await.unwrap();
    assert_ne!(id(&mut connection).await, first);
}

#[tokio::test]
async fn a_server_that_accepts_and_is_silent_costs_its_time_limit() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = Client::open(format!("redis://127.0.0.1:{port}/")).unwrap();
    let manager = RedisManager::builder(client).connect_timeout(None);
    let pool = small(manager).create_timeout(ms(200)).build().unwrap();
    let start = Instant::now();
    let error = pool.acquire().await.unwrap_err();
    let is_timeout = matches!(error, AcquireError::Create(CreateError::Timeout { .. }));
    assert!(is_timeout, "{error:?}");
    assert!(start.elapsed() < secs(10));
}

#[tokio::test]
async fn an_answer_that_comes_too_late_is_a_typed_error_and_reaches_nobody() {
    let Some(server) = Server::start() else {
        return;
    };
    let pool = small(manager(&server).response_timeout(Some(ms(200))))
        .build()
        .unwrap();
    let mut connection = pool.acquire().await.unwrap();
    let first = id(&mut connection).await;
    server.signal("-STOP");
    let ask = cmd("ECHO")
        .arg("late")
        .query_async::<String>(&mut *connection)
        .await;
    let error = ask.unwrap_err();
    assert!(error.is_timeout() && is_fatal(&error), "{error:?}");
    drop(connection);
    server.signal("-CONT");
    let mut connection = pool.acquire().await.unwrap();
    let echo: String = cmd("ECHO")
        .arg("mine")
        .query_async(&mut *connection)
        .await
        .unwrap();
    assert_eq!(echo, "mine");
    assert_ne!(id(&mut connection).await, first);
}

#[tokio::test]
async fn a_server_that_takes_no_more_writes_is_left() {
    let Some(server) = Server::start() else {
        return;
    };
    let pool = lone(&server);
    let mut transaction = pipe();
    transaction.atomic().get("a").set("a", 1);
    let mut pipeline = pipe();
    pipeline.get("a").cmd("NONSENSE").set("a", 1);
    for set in [pipe().set("a", 1), &mut pipeline, &mut transaction] {
        let mut connection = pool.acquire().await.unwrap();
        let first = id(&mut connection).await;
        // A replica of nobody who answers.
        server.ask("REPLICAOF 127.0.0.1 1");
        let error = set.exec_async(&mut *connection).await.unwrap_err();
        assert!(is_fatal(&error), "{error:?}");
        drop(connection);
        server.ask("REPLICAOF NO ONE");
        let mut connection = pool.acquire().await.unwrap();
        assert_ne!(id(&mut connection).await, first, "{set:?}");
    }
    eventually("only one is left", || server.connections() == 1).await;
}

/// Answers as a server whose password changes once somebody is in.
fn forgetful() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let mut was_reset = false;
            let mut until_name = 0;
            for line in lines.map_while(Result::ok) {
                // `*2`, `$4`, and then the name of the command.
                if line.starts_with('*') {
                    until_name = 3;
                }
                until_name -= 1_i32;
                if until_name != 0 {
                    continue;
                }
                was_reset |= line == "RESET";
                let answer = match line.as_str() {
                    "PING" => "+PONG\r\n",
                    "AUTH" if was_reset => "-WRONGPASS it was changed\r\n",
                    _ => "+OK\r\n",
                };
                let _ = stream.write_all(answer.as_bytes());
            }
        }
    });
    port
}

#[tokio::test]
async fn a_connection_that_is_reset_and_not_let_in_again_is_not_handed_out() {
    let port = forgetful();
    let client = Client::open(format!("redis://:right@127.0.0.1:{port}/")).unwrap();
    let pool = small(RedisManager::builder(client)).build().unwrap();
    let error = pool.acquire().await.unwrap_err();
    let error = failure(&error);
    assert!(error.to_string().contains("WRONGPASS"), "{error:?}");
    assert!(!is_transient(error));
}
