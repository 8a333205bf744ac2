//! Counts with `WATCH`, `MULTI` and `EXEC` from several tasks, and leaves a connection in another
//! database to show that nobody inherits it. Takes the server from `REDIS_URL`, as
//! `redis://127.0.0.1/`.

use std::error::Error;

use brolly_pool_redis::{Connection, RedisManager};
use redis::{AsyncCommands, RedisResult};

const KEY: &str = "brolly:example:counter";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let Ok(url) = std::env::var("REDIS_URL") else {
        println!("set REDIS_URL to a server, as redis://127.0.0.1/");
        return Ok(());
    };
    let manager = RedisManager::builder(redis::Client::open(url)?).build()?;
    let pool = manager.pool().min_size(0).max_size(4).build()?;
    let _: () = pool.acquire().await?.set(KEY, 0).await?;

    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let mut connection = pool.acquire_owned().await.map_err(|it| it.to_string())?;
                for _ in 0..10 {
                    count(&mut connection).await.map_err(|it| it.to_string())?;
                }
                redis::cmd("SELECT")
                    .arg(1)
                    .exec_async(&mut *connection)
                    .await
                    .map_err(|it| it.to_string())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    let counted: u32 = pool.run(async |it| it.get(KEY).await).await?;
    println!("counted to {counted}");
    assert_eq!(counted, 80);
    let _: () = pool.acquire().await?.del(KEY).await?;
    Ok(())
}

/// Adds one, again until nobody came between.
async fn count(connection: &mut Connection) -> RedisResult<()> {
    loop {
        redis::cmd("WATCH").arg(KEY).exec_async(connection).await?;
        let now: u32 = connection.get(KEY).await?;
        let mut add = redis::pipe();
        add.atomic().set(KEY, now + 1).ignore();
        if add.query_async::<Option<()>>(connection).await?.is_some() {
            return Ok(());
        }
    }
}
