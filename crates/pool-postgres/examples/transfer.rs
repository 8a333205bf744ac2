//! Moves an amount between two accounts, and leaves a transaction open to show that nobody inherits
//! it. Takes the server from `POSTGRES_URL`, as `postgres://app:secret@localhost/app`.

use std::error::Error;

use brolly_pool_postgres::{Client, PostgresManager};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let Ok(url) = std::env::var("POSTGRES_URL") else {
        println!("set POSTGRES_URL to a server, as postgres://app:secret@localhost/app");
        return Ok(());
    };
    let manager = PostgresManager::builder(url.parse()?).build()?;
    // One connection, so that every holder gets the same.
    let pool = manager.pool().min_size(0).max_size(1).build()?;

    let mut client = pool.acquire().await?;
    client
        .batch_execute(
            "CREATE TEMP TABLE accounts (name text PRIMARY KEY, amount int NOT NULL); \
             INSERT INTO accounts VALUES ('a', 100), ('b', 0)",
        )
        .await?;
    let transaction = client.transaction().await?;
    let text = "UPDATE accounts SET amount = amount + $2 WHERE name = $1";
    let add = transaction.prepare_cached(text).await?;
    transaction.execute(&add, &[&"a", &-30]).await?;
    transaction.execute(&add, &[&"b", &30]).await?;
    transaction.commit().await?;
    assert_eq!(amount(&client, "b").await?, 30);
    drop(client);

    let careless = pool.acquire().await?;
    careless
        .batch_execute("BEGIN; DELETE FROM accounts")
        .await?;
    drop(careless);

    let client = pool.acquire().await?;
    let left = amount(&client, "a").await?;
    println!("a has {left}, b has {}", amount(&client, "b").await?);
    assert_eq!(left, 70);
    Ok(())
}

async fn amount(client: &Client, name: &str) -> Result<i32, tokio_postgres::Error> {
    let query = "SELECT amount FROM accounts WHERE name = $1";
    Ok(client.query_one(query, &[&name]).await?.get(0))
}
