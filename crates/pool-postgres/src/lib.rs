#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod builder;
mod client;
mod error;
mod manager;
mod queries;
mod recycle;
mod rows;
mod session;
mod sql;
mod statements;
mod transaction;

pub use builder::PostgresManagerBuilder;
pub use client::Client;
pub use error::{ConfigError, is_fatal, is_transient};
pub use manager::PostgresManager;
pub use recycle::Recycle;
pub use rows::Rows;
pub use sql::Sql;
pub use transaction::Transaction;
