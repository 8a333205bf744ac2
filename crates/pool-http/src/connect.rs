//! [`Connect`]: how a stream to the origin is made; [`TcpConnector`] for one in the clear.

use std::future::Future;
use std::io;

use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::origin::Origin;

/// Makes streams to an origin. TLS, proxies, Unix sockets and streams of tests are connectors.
///
/// `hyper_util::rt::TokioIo` makes a stream of tokio's fit.
pub trait Connect: Send + Sync + 'static {
    /// What HTTP is spoken through.
    type Io: Read + Write + Send + Unpin + 'static;

    /// Connects. The pool's create timeout is its limit.
    ///
    /// # Errors
    ///
    /// When there is no stream to be had; the pool tries again later.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when its time is over, and has to take what it has begun with it.
    fn connect(&self, origin: &Origin) -> impl Future<Output = io::Result<Self::Io>> + Send;

    /// Whether its streams are what `https` promises. An origin with that scheme is refused
    /// otherwise. By default they are not.
    fn is_secure(&self) -> bool {
        false
    }
}

/// TCP without TLS, in a tokio runtime with I/O. Small writes are sent at once (`TCP_NODELAY`).
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct TcpConnector;

impl Connect for TcpConnector {
    type Io = TokioIo<TcpStream>;

    async fn connect(&self, origin: &Origin) -> io::Result<Self::Io> {
        let stream = TcpStream::connect((origin.host(), origin.port())).await?;
        stream.set_nodelay(true)?;
        Ok(TokioIo::new(stream))
    }
}
