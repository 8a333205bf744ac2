//! How files and connections close.

use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::net::{Shutdown, TcpStream};

use super::Close;

/// Waits until what was written is on the disk: a drop of the file hides errors that come up only
/// then. What cannot be written through, as a pipe, is fine.
impl Close for File {
    type Error = io::Error;

    async fn close(&mut self) -> io::Result<()> {
        match self.sync_all() {
            Err(error) if error.kind() == ErrorKind::InvalidInput => Ok(()),
            done => done,
        }
    }
}

/// What is buffered is written, and then what lies below is closed.
impl<W: Write + Close<Error = io::Error>> Close for BufWriter<W> {
    type Error = io::Error;

    async fn close(&mut self) -> io::Result<()> {
        self.flush()?;
        self.get_mut().close().await
    }
}

/// Shuts down both directions. A peer that is gone already is fine.
impl Close for TcpStream {
    type Error = io::Error;

    async fn close(&mut self) -> io::Result<()> {
        unless_gone(self.shutdown(Shutdown::Both))
    }
}

/// Shuts down the sending direction; what was written is sent. A peer that is gone already is fine.
#[cfg(all(feature = "tcp", feature = "tokio"))]
#[cfg_attr(docsrs, doc(cfg(all(feature = "tcp", feature = "tokio"))))]
impl Close for tokio::net::TcpStream {
    type Error = io::Error;

    async fn close(&mut self) -> io::Result<()> {
        use tokio::io::AsyncWrite;
        let mut stream = std::pin::Pin::new(self);
        let done = std::future::poll_fn(|cx| stream.as_mut().poll_shutdown(cx));
        unless_gone(done.await)
    }
}

fn unless_gone(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == ErrorKind::NotConnected => Ok(()),
        done => done,
    }
}
