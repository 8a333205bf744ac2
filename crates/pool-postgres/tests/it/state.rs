//! Nothing that one holder leaves on a connection reaches the next.

use brolly_pool_postgres::{PostgresManager, Recycle, is_fatal};
use brolly_resource_pool::{Guard, RunError};

use crate::server;
use crate::support::{PgPool, backend, lone, ms, number, secs, small};

async fn in_transaction(pool: &PgPool) -> bool {
    let client = pool.acquire().await.unwrap();
    // Only a transaction keeps its time.
    let rows = client
        .simple_query("SELECT now(); SELECT pg_sleep(0.002); SELECT now()")
        .await;
    drop(rows.unwrap());
    let one = client.query_one("SELECT now()::text", &[]).await.unwrap();
    client.batch_execute("SELECT pg_sleep(0.01)").await.unwrap();
    let two = client.query_one("SELECT now()::text", &[]).await.unwrap();
    one.get::<_, String>(0) == two.get::<_, String>(0)
}

#[tokio::test]
async fn a_transaction_left_open_is_rolled_back_before_the_next_holder() {
    let Some(server) = server::shared() else {
        return;
    };
    let pool = lone(&server);
    let first = {
        let client = pool.acquire().await.unwrap();
        client
            .batch_execute("CREATE TABLE left_open (number int)")
            .await
            .unwrap();
        backend(&client).await
    };
    for begin in ["BEGIN", "begin; select 1", "START TRANSACTION"] {
        let client = pool.acquire().await.unwrap();
        client.batch_execute(begin).await.unwrap();
        let insert = "INSERT INTO left_open VALUES (1)";
        assert_eq!(client.execute(insert, &[]).await.unwrap(), 1);
        drop(client);
        assert!(!in_transaction(&pool).await, "{begin}");
    }
    let client = pool.acquire().await.unwrap();
    let query = "SELECT count(*)::int FROM left_open";
    assert_eq!(number(&client, query).await.unwrap(), 0);
    // It costs no connection.
    assert_eq!(backend(&client).await, first);
}

#[tokio::test]
async fn a_prepared_begin_is_rolled_back_as_well() {
    let Some(server) = server::shared() else {
        return;
    };
    let pool = lone(&server);
    for _ in 0..2 {
        let client = pool.acquire().await.unwrap();
        let begin = client.prepare_cached("BEGIN").await.unwrap();
        client.execute(&begin, &[]).await.unwrap();
        drop(client);
        assert!(!in_transaction(&pool).await);
    }
}

#[tokio::test]
async fn a_transaction_whose_guard_is_leaked_is_rolled_back_as_well() {
    let Some(server) = server::shared() else {
        return;
    };
    let pool = lone(&server);
    let mut client = pool.acquire().await.unwrap();
    let first = backend(&client).await;
    let mut outer = client.transaction().await.unwrap();
    std::mem::forget(outer.transaction().await.unwrap());
    std::mem::forget(outer);
    drop(client);
    assert!(!in_transaction(&pool).await);
    let client = pool.acquire().await.unwrap();
    assert_eq!(backend(&client).await, first, "it costs no connection");
}

#[tokio::test]
async fn a_transaction_begun_while_another_ends_is_rolled_back_as_well() {
    let Some(server) = server::shared() else {
        return;
    };
    let pool = lone(&server);
    // The driver prepares what is executed, and so sends it later than a batch.
    for is_late in [false, true] {
        let client = pool.acquire().await.unwrap();
        client.batch_execute("BEGIN").await.unwrap();
        let begin = async {
            match is_late {
                true => client.execute("BEGIN", &[]).await.map(drop),
                false => client.batch_execute("BEGIN").await,
            }
        };
        let end = client.batch_execute("COMMIT");
        let ended = if is_late {
            let (begun, ended) = tokio::join!(begin, end);
            begun.and(ended)
        } else {
            let (ended, begun) = tokio::join!(end, begin);
            begun.and(ended)
        };
        ended.unwrap();
        drop(client);
        assert!(!in_transaction(&pool).await, "late: {is_late}");
    }
}

#[tokio::test]
async fn rows_too_many_for_the_call_are_not_left_for_the_next_holder() {
    let Some(server) = server::shared() else {
        return;
    };
    let pool = lone(&server);
    let client = pool.acquire().await.unwrap();
    let first = backend(&client).await;
    // More than the server keeps back, and then a pause.
    let query = "SELECT repeat('x', 9000), CASE WHEN at = 9 THEN pg_sleep(0.5) END \
                 FROM generate_series(1, 9) at";
    let state = format!("SELECT state FROM pg_stat_activity WHERE pid = {first}");
    client.query_one(query, &[]).await.unwrap_err();
    assert_eq!(server.ask(&state), "idle");
    client.query_opt(query, &[]).await.unwrap_err();
    assert_eq!(server.ask(&state), "idle");
    drop(client);
    let client = pool.acquire().await.unwrap();
    assert_eq!(backend(&client).await, first, "it costs no connection");
}

#[tokio::test]
async fn a_copy_that_the_driver_cannot_follow_is_left_to_nobody() {
    let Some(server) = server::shared() else {
        return;
    };
    // Nobody waits for the server, which waits for data.
    let pool = small(crate::support::manager(&server))
        .close_timeout(secs(600))
        .build()
        .unwrap();
    let client = pool.acquire().await.unwrap();
    let create = "CREATE TABLE copied (number int)";
    client.batch_execute(create).await.unwrap();
    drop(client);
    for text in ["COPY copied FROM STDIN", "COPY copied TO STDOUT"] {
        for is_batch in [true, false] {
            let client = pool.acquire_timeout(secs(10)).await.unwrap();
            let result = match is_batch {
                true => client.batch_execute(text).await,
                false => client.query(text, &[]).await.map(drop),
            };
            assert!(is_fatal(&result.unwrap_err()), "{text}");
            drop(client);
            let client = pool.acquire_timeout(secs(10)).await.unwrap();
            let answer = tokio::time::timeout(secs(10), number(&client, "SELECT 3"));
            assert_eq!(answer.await.unwrap().unwrap(), 3, "{text}");
        }
    }
}

#[tokio::test]
async fn a_transaction_that_failed_does_not_fail_the_next_holder() {
    let Some(server) = server::shared() else {
        return;
    };
    let pool = lone(&server);
    let first = {
        let client = pool.acquire().await.unwrap();
        client.batch_execute("BEGIN").await.unwrap();
        client.batch_execute("SELECT 1/0").await.unwrap_err();
        client.batch_execute("SELECT 1").await.unwrap_err();
        client.cancel_token();
        drop(client);
        let client = pool.acquire().await.unwrap();
        assert_eq!(number(&client, "SELECT 7").await.unwrap(), 7);
        backend(&client).await
    };
    let client = pool.acquire().await.unwrap();
    assert_eq!(backend(&client).await, first);
}

#[tokio::test]
async fn a_guard_of_a_transaction_undoes_it_unless_it_is_committed() {
    let Some(server) = server::shared() else {
        return;
    };
    let pool = lone(&server);
    let mut client = pool.acquire().await.unwrap();
    let create = "CREATE TABLE guarded (number int)";
    client.batch_execute(create).await.unwrap();
    let count = "SELECT count(*)::int FROM guarded";
    {
        let dropped = client.transaction().await.unwrap();
        dropped
            .execute("INSERT INTO guarded VALUES ($1)", &[&1])
            .await
            .unwrap();
    }
    assert_eq!(number(&client, count).await.unwrap(), 0);

    let mut kept = client.transaction().await.unwrap();
    kept.batch_execute("INSERT INTO guarded VALUES (2)")
        .await
        .unwrap();
    {
        let inner = kept.transaction().await.unwrap();
        inner
            .batch_execute("INSERT INTO guarded VALUES (3)")
            .await
            .unwrap();
        inner.rollback().await.unwrap();
    }
    kept.commit().await.unwrap();
    assert_eq!(number(&client, count).await.unwrap(), 1);
    // What was committed stays when the connection comes back.
    drop(client);
    let client = pool.acquire().await.unwrap();
    assert_eq!(number(&client, count).await.unwrap(), 1);
}

#[tokio::test]
async fn what_a_holder_has_set_is_undone_where_that_is_asked_for() {
    let Some(server) = server::shared() else {
        return;
    };
    for recycle in [Recycle::Clean, Recycle::Sql(String::from("DISCARD ALL"))] {
        let manager = PostgresManager::builder(server.config())
            .recycle(recycle.clone())
            .build()
            .unwrap();
        let pool = small(manager).build().unwrap();
        let client = pool.acquire().await.unwrap();
        let first = backend(&client).await;
        // A transaction left open as well: `DISCARD ALL` is refused inside of one.
        client
            .batch_execute(
                "SET statement_timeout = 12345; LISTEN news; SELECT pg_advisory_lock(42); \
                 CREATE TEMP TABLE mine (number int); BEGIN",
            )
            .await
            .unwrap();
        drop(client);
        let client = pool.acquire().await.unwrap();
        assert_eq!(backend(&client).await, first, "{recycle:?}");
        for left in [
            "SELECT (current_setting('statement_timeout') <> '0')::int",
            "SELECT count(*)::int FROM pg_listening_channels()",
            "SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()",
            "SELECT (to_regclass('pg_temp.mine') IS NOT NULL)::int",
        ] {
            assert_eq!(
                number(&client, left).await.unwrap(),
                0,
                "{recycle:?} {left}"
            );
        }
    }
}

#[tokio::test]
async fn cleaning_keeps_prepared_statements() {
    let Some(server) = server::shared() else {
        return;
    };
    let manager = PostgresManager::builder(server.config())
        .recycle(Recycle::Clean)
        .build()
        .unwrap();
    let pool = small(manager).build().unwrap();
    for _ in 0..3 {
        let client = pool.acquire().await.unwrap();
        let statement = client.prepare_cached("SELECT 6").await.unwrap();
        let row = client.query_one(&statement, &[]).await.unwrap();
        assert_eq!(row.get::<_, i32>(0), 6);
        assert_eq!(client.statement_count(), 1);
    }
    let client = pool.acquire().await.unwrap();
    assert_eq!(client.statement_count(), 1);
}

#[tokio::test]
async fn statements_that_were_discarded_are_prepared_again() {
    let Some(server) = server::shared() else {
        return;
    };
    let manager = PostgresManager::builder(server.config())
        .recycle(Recycle::Sql(String::from("DISCARD ALL")))
        .build()
        .unwrap();
    let pool = small(manager).build().unwrap();
    for _ in 0..3 {
        let client = pool.acquire().await.unwrap();
        let statement = client.prepare_cached("SELECT 5").await.unwrap();
        let row = client.query_one(&statement, &[]).await.unwrap();
        assert_eq!(row.get::<_, i32>(0), 5);
    }
    let client = pool.acquire().await.unwrap();
    client.prepare_cached("SELECT 5").await.unwrap();
    client.batch_execute("DEALLOCATE ALL").await.unwrap();
    assert_eq!(client.statement_count(), 0);
}

#[tokio::test]
async fn a_kept_statement_that_is_of_no_more_use_fails_once() {
    let Some(server) = server::shared() else {
        return;
    };
    let pool = lone(&server);
    let client = pool.acquire().await.unwrap();
    let create = "CREATE TABLE altered (one int); INSERT INTO altered VALUES (1)";
    client.batch_execute(create).await.unwrap();
    let text = "SELECT * FROM altered";
    let read = async || {
        let statement = client.prepare_cached(text).await?;
        client.query(&statement, &[]).await.map(drop)
    };
    read().await.unwrap();
    // Nobody sees what a prepared statement does.
    let all = client.prepare("DEALLOCATE ALL").await.unwrap();
    client.execute(&all, &[]).await.unwrap();
    read().await.unwrap_err();
    read().await.unwrap();
    // The server refuses a plan whose columns have changed.
    server.ask("ALTER TABLE altered ADD two int");
    read().await.unwrap_err();
    read().await.unwrap();
    // What takes them away is not undone by an error after it.
    let batch = "DEALLOCATE ALL; SELECT 1/0";
    client.batch_execute(batch).await.unwrap_err();
    read().await.unwrap();
}

#[tokio::test]
async fn a_connection_keeps_no_more_statements_than_its_limit() {
    let Some(server) = server::shared() else {
        return;
    };
    let manager = PostgresManager::builder(server.config())
        .statement_limit(3)
        .build()
        .unwrap();
    let pool = small(manager).build().unwrap();
    let client = pool.acquire().await.unwrap();
    for number in 0..20 {
        let text = format!("SELECT {number}");
        let statement = client.prepare_cached(&text).await.unwrap();
        let row = client.query_one(&statement, &[]).await.unwrap();
        assert_eq!(row.get::<_, i32>(0), number);
    }
    assert_eq!(client.statement_count(), 3);
    // The server has no more than the connection.
    let query = "SELECT count(*)::int FROM pg_prepared_statements \
                 WHERE statement ~ '^SELECT [0-9]+$'";
    assert_eq!(number(&client, query).await.unwrap(), 3);
}

#[tokio::test]
async fn an_error_of_the_statement_costs_no_connection() {
    let Some(server) = server::shared() else {
        return;
    };
    let pool = lone(&server);
    let first = pool
        .run(async |client| number(client, "SELECT pg_backend_pid()").await)
        .await
        .unwrap();
    for bad in ["SELECT 1/0", "SELEC", "SELECT * FROM nowhere"] {
        let error = pool.run(async |client| client.batch_execute(bad).await);
        assert!(matches!(error.await, Err(RunError::Failed(_))), "{bad}");
    }
    let client = pool.acquire().await.unwrap();
    client
        .query_one("SELECT 1 WHERE false", &[])
        .await
        .unwrap_err();
    drop(client);
    let client = pool.acquire().await.unwrap();
    assert_eq!(backend(&client).await, first);
}

#[tokio::test]
async fn a_connection_used_unseen_is_closed() {
    let Some(server) = server::shared() else {
        return;
    };
    let pool = lone(&server);
    let mut client = pool.acquire().await.unwrap();
    let first = backend(&client).await;
    client.raw().batch_execute("BEGIN").await.unwrap();
    drop(client);
    let client = pool.acquire().await.unwrap();
    assert_ne!(backend(&client).await, first);
}

#[tokio::test]
async fn rows_come_one_by_one_and_their_end_frees_the_connection() {
    let Some(server) = server::shared() else {
        return;
    };
    let pool = lone(&server);
    let client = pool.acquire().await.unwrap();
    let first = backend(&client).await;
    let query = "SELECT * FROM generate_series(1, 1000)";
    let mut rows = client.query_rows(query, &[]).await.unwrap();
    let mut sum = 0;
    while let Some(row) = rows.next().await {
        sum += row.unwrap().get::<_, i32>(0);
    }
    assert!(rows.next().await.is_none());
    assert_eq!(sum, 500_500);
    drop(client);
    let client = pool.acquire().await.unwrap();
    assert_eq!(backend(&client).await, first);

    // One that is left behind costs the connection, and nobody waits behind it.
    let query = "SELECT * FROM generate_series(1, 10000000)";
    let mut rows = client.query_rows(query, &[]).await.unwrap();
    assert!(rows.next().await.unwrap().is_ok());
    drop(rows);
    drop(client);
    let client = pool.acquire_timeout(secs(10)).await.unwrap();
    assert_ne!(backend(&client).await, first);
}

#[tokio::test]
async fn a_connection_taken_out_of_the_pool_lives_until_it_is_dropped() {
    let Some(server) = server::shared() else {
        return;
    };
    let pool = lone(&server);
    let client = Guard::detach(pool.acquire().await.unwrap());
    pool.close();
    let pid = backend(&client).await;
    drop(client);
    let query = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}");
    crate::support::eventually("it says goodbye", || server.ask(&query) == "0").await;
    tokio::time::sleep(ms(1)).await;
}
