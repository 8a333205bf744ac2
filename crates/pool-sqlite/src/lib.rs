#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod builder;
mod connection;
mod error;
mod manager;
mod settings;
mod sqlite;
mod stamp;
mod threads;
mod work;

pub use builder::SqliteBuilder;
pub use connection::SqliteConnection;
pub use error::{OpenError, SqliteError, WorkError};
pub use manager::SqliteManager;
pub use settings::{Role, Synchronous};
pub use sqlite::Sqlite;

#[doc(no_inline)]
pub use rusqlite;
