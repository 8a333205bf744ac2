//! Settings and their ranges.

use std::time::Duration;

use brolly_pool_redis::RedisManager;
use redis::Client;

fn local() -> Client {
    Client::open("redis://:secret@127.0.0.1:1/").unwrap()
}

#[test]
fn bad_settings_are_named() {
    let zero = Some(Duration::ZERO);
    let error = RedisManager::builder(local()).connect_timeout(zero).build();
    assert_eq!(error.unwrap_err().field, "connect_timeout");
    let error = RedisManager::builder(local())
        .response_timeout(zero)
        .build();
    let error = error.unwrap_err();
    let text = "response_timeout is zero, allowed is more than zero, or none";
    assert_eq!(error.to_string(), text);
    let most = Some(Duration::MAX);
    let builder = RedisManager::builder(local());
    builder
        .connect_timeout(most)
        .response_timeout(None)
        .build()
        .unwrap();
}

#[test]
fn passwords_are_not_printed() {
    let builder = RedisManager::builder(local());
    assert!(!format!("{builder:?}").contains("secret"));
    let manager = builder.build().unwrap();
    assert!(!format!("{manager:?}").contains("secret"));
}

#[tokio::test]
async fn limits_without_end_do_no_harm() {
    let Some(server) = crate::server::shared() else {
        return;
    };
    let most = Some(Duration::MAX);
    let manager = crate::support::manager(&server);
    let manager = manager.connect_timeout(most).response_timeout(most);
    let pool = crate::support::small(manager).build().unwrap();
    crate::support::id(&mut pool.acquire().await.unwrap()).await;
}
