//! Nothing that one holder leaves on a connection reaches the next.

use brolly_pool_redis::Reset;
use brolly_resource_pool::Check;
use redis::{AsyncCommands, Cmd, Value, cmd, pipe};

use crate::server::{self, Server};
use crate::support::{id, info, lone, manager, secs, small};

/// A command and its words.
fn words(text: &str) -> Cmd {
    let mut words = text.split(' ');
    let mut command = cmd(words.next().unwrap());
    for word in words {
        command.arg(word);
    }
    command
}

/// What a holder can leave, and what `CLIENT INFO` shows of it.
const LEFT: &[(&[&str], &str)] = &[
    (&["SELECT 3"], "db=3"),
    (&["WATCH a"], "watch=1"),
    (&["MULTI"], "multi=0"),
    (&["MULTI", "SET leaked 1"], "multi=1"),
    (&["CLIENT SETNAME mine"], "name=mine"),
    (&["CLIENT TRACKING ON"], "flags=t"),
    (&["HELLO 3"], "resp=3"),
    (&["AUTH other other"], "user=other"),
];

#[tokio::test]
async fn what_a_holder_has_set_never_reaches_the_next() {
    let Some(server) = server::shared() else {
        return;
    };
    server.ask("ACL SETUSER other on >other allcommands allkeys");
    // Checks do not matter.
    for check in [Check::Never, Check::Always] {
        let pool = small(manager(&server)).check(check).build().unwrap();
        let first = id(&mut pool.acquire().await.unwrap()).await;
        for (commands, shown) in LEFT {
            let mut connection = pool.acquire().await.unwrap();
            for command in *commands {
                let done = words(command).query_async::<Value>(&mut *connection).await;
                done.unwrap();
            }
            drop(connection);
            let mut connection = pool.acquire().await.unwrap();
            let info = info(&mut connection).await;
            assert!(!info.contains(shown), "{commands:?}: {info}");
            assert!(
                info.contains("db=0 ") && info.contains("user=default "),
                "{info}"
            );
            assert_eq!(
                id(&mut connection).await,
                first,
                "{commands:?} costs no connection"
            );
        }
        let mut connection = pool.acquire().await.unwrap();
        let leaked: Option<String> = connection.get("leaked").await.unwrap();
        assert_eq!(leaked, None);
    }
}

#[tokio::test]
async fn what_is_left_is_there_while_the_holder_is() {
    let Some(server) = server::shared() else {
        return;
    };
    let pool = lone(&server);
    let mut connection = pool.acquire().await.unwrap();
    words("SELECT 5")
        .exec_async(&mut *connection)
        .await
        .unwrap();
    let _: () = connection.set("in_five", 1).await.unwrap();
    assert!(info(&mut connection).await.contains("db=5 "));
    drop(connection);
    let mut connection = pool.acquire().await.unwrap();
    assert!(!connection.exists::<_, bool>("in_five").await.unwrap());
}

#[tokio::test]
async fn a_reset_goes_back_to_the_clients_own_database_user_and_protocol() {
    let Some(server) = server::shared() else {
        return;
    };
    server.ask("ACL SETUSER third on >third allcommands allkeys");
    let port = server.port();
    for (rest, resp) in [("", "resp=2"), ("?protocol=resp3", "resp=3")] {
        let url = format!("redis://third:third@127.0.0.1:{port}/7{rest}");
        let client = redis::Client::open(url).unwrap();
        let manager = brolly_pool_redis::RedisManager::builder(client);
        let pool = small(manager).build().unwrap();
        let mut connection = pool.acquire().await.unwrap();
        words("SELECT 2")
            .exec_async(&mut *connection)
            .await
            .unwrap();
        drop(connection);
        let mut connection = pool.acquire().await.unwrap();
        let info = info(&mut connection).await;
        for part in ["db=7 ", "user=third ", resp] {
            assert!(info.contains(part), "{part}: {info}");
        }
    }
}

#[tokio::test]
async fn what_nothing_undoes_closes_the_connection() {
    let Some(server) = server::shared() else {
        return;
    };
    let pool = lone(&server);
    for command in [
        "SUBSCRIBE news",
        "PSUBSCRIBE n*",
        "MONITOR",
        "CLIENT NO-EVICT ON",
    ] {
        let mut connection = pool.acquire().await.unwrap();
        let first = id(&mut connection).await;
        let done = words(command).query_async::<Value>(&mut *connection).await;
        done.unwrap();
        drop(connection);
        server.ask("PUBLISH news leaked");
        let mut connection = pool.acquire_timeout(secs(10)).await.unwrap();
        assert_ne!(id(&mut connection).await, first, "{command}");
        let answer: String = cmd("ECHO")
            .arg("mine")
            .query_async(&mut *connection)
            .await
            .unwrap();
        assert_eq!(answer, "mine");
    }
}

#[tokio::test]
async fn ordinary_commands_and_transactions_cost_no_reset() {
    let Some(server) = Server::start() else {
        return;
    };
    let pool = small(manager(&server)).check(Check::Never).build().unwrap();
    drop(pool.acquire().await.unwrap());
    let own = id(&mut pool.acquire().await.unwrap()).await;
    for _ in 0..3 {
        let mut connection = pool.acquire().await.unwrap();
        let mut both = pipe();
        both.atomic().set("both", 1).get("both");
        let answers: (String, i32) = both.query_async(&mut *connection).await.unwrap();
        assert_eq!(answers.1, 1);
        assert_eq!(id(&mut connection).await, own);
    }
    // The one of its creation.
    let stats = server.ask("INFO commandstats");
    assert!(stats.contains("cmdstat_reset:calls=1,"), "{stats}");
}

#[tokio::test]
async fn resets_can_be_had_always_or_never() {
    let Some(server) = Server::start() else {
        return;
    };
    let pool = small(manager(&server).reset(Reset::Always))
        .build()
        .unwrap();
    let first = id(&mut pool.acquire().await.unwrap()).await;
    assert_eq!(id(&mut pool.acquire().await.unwrap()).await, first);
    // The one of the creation, and one for the second holder.
    let stats = server.ask("INFO commandstats");
    assert!(stats.contains("cmdstat_reset:calls=2,"), "{stats}");

    let pool = small(manager(&server).reset(Reset::Never)).build().unwrap();
    let mut connection = pool.acquire().await.unwrap();
    let first = id(&mut connection).await;
    drop(connection);
    let mut connection = pool.acquire().await.unwrap();
    assert_eq!(id(&mut connection).await, first);
    words("SELECT 1")
        .exec_async(&mut *connection)
        .await
        .unwrap();
    drop(connection);
    let mut connection = pool.acquire().await.unwrap();
    assert_ne!(id(&mut connection).await, first);
    assert!(info(&mut connection).await.contains("db=0 "));
}

#[tokio::test]
async fn an_error_of_a_command_costs_no_connection() {
    let Some(server) = server::shared() else {
        return;
    };
    let pool = lone(&server);
    let first = id(&mut pool.acquire().await.unwrap()).await;
    let result = pool.run(async |connection| words("NONSENSE 1").exec_async(connection).await);
    result.await.unwrap_err();
    let result = pool.run(async |connection| {
        let _: () = connection.set("text", "a").await?;
        connection.incr::<_, _, i64>("text", 1).await
    });
    result.await.unwrap_err();
    assert_eq!(id(&mut pool.acquire().await.unwrap()).await, first);
}
