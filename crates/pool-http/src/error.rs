//! What can go wrong with connections, requests and bodies.

use std::io;
use std::time::Duration;

use brolly_resource_pool::AcquireError;
use thiserror::Error;

use crate::origin::Origin;

/// Why there is no connection, or why one is not good any more.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The connector failed.
    #[error("{origin} cannot be connected to")]
    Connect {
        /// Where to.
        origin: Origin,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// HTTP cannot be spoken through the stream.
    #[error("the connection cannot be set up")]
    Handshake(#[source] hyper::Error),
    /// There is no tokio runtime that the connection could live in.
    #[error("no tokio runtime here")]
    NoRuntime,
    /// It is closed.
    #[error("the connection is closed")]
    Closed,
    /// The server has said that it ends connections that were idle for so long.
    #[error("the connection was idle for {idle_for:?}, the server's limit is near")]
    IdleForTooLong {
        /// For how long.
        idle_for: Duration,
    },
}

/// Why a request has no answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SendError {
    /// There was no connection to be had. A timeout says who holds them.
    #[error(transparent)]
    Acquire(#[from] AcquireError<HttpError>),
    /// The request is for another place than the pool's.
    #[error("the request is for {asked}, the pool leads to {origin}")]
    OtherOrigin {
        /// The request's address.
        asked: String,
        /// Where the pool leads to.
        origin: Origin,
    },
    /// The request wants the connection for itself: `CONNECT` and upgrades.
    #[error("{what} takes the connection away, which a pool does not do")]
    Unsupported {
        /// What was asked for.
        what: &'static str,
    },
    /// The request cannot be sent as it is, or its body failed.
    #[error("the request or its body failed")]
    Request(#[source] hyper::Error),
    /// The head of the answer did not come in time. The request may have been handled.
    #[error("no answer after {after:?}")]
    Timeout {
        /// The response timeout.
        after: Duration,
    },
    /// The connection ended before the answer came.
    #[error("the connection was lost")]
    Lost {
        /// Whether the server may have seen any of the request. If not, it is safe to send it again.
        may_have_been_sent: bool,
        /// How.
        #[source]
        source: hyper::Error,
    },
    /// What came is no answer.
    #[error("the answer is not HTTP")]
    BadAnswer(#[source] hyper::Error),
}

/// Why a body ends before its end.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BodyError {
    /// Nothing came for too long.
    #[error("nothing of the body came for {after:?}")]
    Timeout {
        /// The body timeout.
        after: Duration,
    },
    /// The connection ended, or what came is no HTTP.
    #[error("the connection was lost within the body")]
    Lost(#[source] hyper::Error),
    /// There is more than was asked for.
    #[error("the body is longer than {limit} bytes")]
    TooLong {
        /// How much was asked for.
        limit: usize,
    },
}
