#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod builder;
mod commands;
mod connection;
mod error;
mod manager;
mod setup;

pub use builder::{RedisManagerBuilder, Reset};
pub use connection::Connection;
pub use error::{ConfigError, is_fatal, is_transient};
pub use manager::RedisManager;
