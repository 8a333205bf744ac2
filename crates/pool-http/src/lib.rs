#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod body;
mod builder;
mod connect;
mod connection;
mod error;
mod exchange;
mod keep_alive;
mod manager;
mod origin;
mod pool;
mod request;

pub use body::PooledBody;
pub use builder::HttpPoolBuilder;
pub use connect::{Connect, TcpConnector};
pub use connection::HttpConnection;
pub use error::{BodyError, HttpError, SendError};
pub use manager::HttpManager;
pub use origin::{Origin, Scheme};
pub use pool::HttpPool;

#[doc(no_inline)]
pub use {bytes, http, http_body_util, hyper};
