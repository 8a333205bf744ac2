//! Looking at a connection without taking anything from it.

use std::io::{self, ErrorKind};
use std::net::TcpStream;

use crate::tcp::TcpError;

/// A connection whose next byte can be looked at without waiting.
pub(crate) trait Peek {
    /// How many bytes there are, one at most. Zero: the peer has closed its sending side.
    fn peek_now(&self) -> io::Result<usize>;
}

impl Peek for TcpStream {
    fn peek_now(&self) -> io::Result<usize> {
        self.set_nonblocking(true)?;
        let peeked = self.peek(&mut [0]);
        // A connection that stays like this would surprise its next holder.
        self.set_nonblocking(false)?;
        peeked
    }
}

#[cfg(feature = "tokio")]
impl Peek for tokio::net::TcpStream {
    /// Asks the system, which never waits here. What the runtime knows of it may be older.
    fn peek_now(&self) -> io::Result<usize> {
        socket2::SockRef::from(self).peek(&mut [std::mem::MaybeUninit::uninit()])
    }
}

/// Whether a connection is as it should be: open, and, if it `must_be_quiet`, without bytes that
/// nobody has read.
pub(crate) fn look(stream: &impl Peek, must_be_quiet: bool) -> Result<(), TcpError> {
    loop {
        return match stream.peek_now() {
            Ok(0) => Err(TcpError::Closed),
            Ok(_) if must_be_quiet => Err(TcpError::Unread),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => Err(TcpError::Io(error)),
        };
    }
}
