//! Settings and their ranges; what errors mean.

use brolly_pool_postgres::{PostgresManager, Recycle};
use tokio_postgres::Config;

fn local() -> Config {
    let mut config = Config::new();
    config.host("127.0.0.1").password("secret");
    config
}

#[test]
fn bad_settings_are_named() {
    let field = |built: Result<PostgresManager, brolly_pool_postgres::ConfigError>| {
        let error = built.unwrap_err();
        assert!(error.to_string().starts_with(error.field), "{error}");
        error.field
    };
    assert_eq!(
        field(PostgresManager::builder(Config::new()).build()),
        "config"
    );
    let builder = PostgresManager::builder(local());
    assert_eq!(
        field(builder.statement_limit(65_537).build()),
        "statement_limit"
    );
    let empty = Recycle::Sql(String::from(" "));
    let builder = PostgresManager::builder(local());
    assert_eq!(field(builder.recycle(empty).build()), "recycle");
    let builder = PostgresManager::builder(local());
    builder.statement_limit(0).build().unwrap();
}

#[test]
fn passwords_are_not_printed() {
    let builder = PostgresManager::builder(local());
    assert!(!format!("{builder:?}").contains("secret"));
    let manager = builder.build().unwrap();
    assert!(!format!("{manager:?}").contains("secret"));
}
