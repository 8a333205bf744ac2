//! Connecting: one address after the other, each for its time, until one answers.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};

use socket2::{SockRef, TcpKeepalive};

use crate::tcp::{TcpError, TcpManager};

/// What has come of the addresses so far.
#[derive(Default)]
struct Tries {
    tried: usize,
    unresolved: Option<(String, io::Error)>,
    last: Option<io::Error>,
}

impl Tries {
    fn is_over(&self) -> bool {
        self.tried >= TcpManager::MAX_ADDRESSES
    }

    fn failed(&mut self, error: io::Error) {
        self.tried += 1;
        self.last = Some(error);
    }

    fn unresolved(&mut self, name: &str, error: io::Error) {
        self.unresolved = Some((name.to_owned(), error));
    }

    fn into_error(self) -> TcpError {
        match (self.last, self.unresolved) {
            (Some(source), _) => TcpError::Connect {
                tried: self.tried,
                source,
            },
            (None, Some((name, source))) => TcpError::Resolve { name, source },
            (None, None) => TcpError::Resolve {
                name: String::new(),
                source: ErrorKind::NotFound.into(),
            },
        }
    }
}

fn nothing_found() -> io::Error {
    io::Error::new(ErrorKind::NotFound, "the name stands for no address")
}

impl TcpManager {
    pub(super) fn connect_blocking(&self) -> Result<TcpStream, TcpError> {
        let mut tries = Tries::default();
        for name in self.addresses.iter() {
            let mut found = match name.to_socket_addrs() {
                Ok(found) => found.peekable(),
                Err(error) => {
                    tries.unresolved(name, error);
                    continue;
                }
            };
            if found.peek().is_none() {
                tries.unresolved(name, nothing_found());
            }
            for address in found {
                if tries.is_over() {
                    break;
                }
                match self.connect_to(address) {
                    Ok(stream) => return Ok(stream),
                    Err(error) => tries.failed(error),
                }
            }
        }
        Err(tries.into_error())
    }

    fn connect_to(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream::connect_timeout(&address, self.connect_timeout)?;
        self.set_up(&SockRef::from(&stream))?;
        Ok(stream)
    }

    #[cfg(feature = "tokio")]
    pub(super) async fn connect(&self) -> Result<tokio::net::TcpStream, TcpError> {
        let mut tries = Tries::default();
        for name in self.addresses.iter() {
            let mut found = match tokio::net::lookup_host(name).await {
                Ok(found) => found.peekable(),
                Err(error) => {
                    tries.unresolved(name, error);
                    continue;
                }
            };
            if found.peek().is_none() {
                tries.unresolved(name, nothing_found());
            }
            for address in found {
                if tries.is_over() {
                    break;
                }
                match self.connect_to_async(address).await {
                    Ok(stream) => return Ok(stream),
                    Err(error) => tries.failed(error),
                }
            }
        }
        Err(tries.into_error())
    }

    #[cfg(feature = "tokio")]
    async fn connect_to_async(&self, address: SocketAddr) -> io::Result<tokio::net::TcpStream> {
        use brolly_sync::TimerExt;
        let connected = tokio::net::TcpStream::connect(address);
        let connected = self.timer.timeout(self.connect_timeout, connected).await;
        let stream =
            connected.map_err(|elapsed| io::Error::new(ErrorKind::TimedOut, elapsed))??;
        self.set_up(&SockRef::from(&stream))?;
        Ok(stream)
    }

    fn set_up(&self, socket: &SockRef<'_>) -> io::Result<()> {
        socket.set_tcp_nodelay(self.nodelay)?;
        match self.keepalive {
            Some(after) => socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(after)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_creation_asks_more_than_so_many() {
        let mut tries = Tries::default();
        for _ in 0..TcpManager::MAX_ADDRESSES {
            assert!(!tries.is_over());
            tries.failed(ErrorKind::ConnectionRefused.into());
        }
        assert!(tries.is_over());
        assert!(matches!(
            tries.into_error(),
            TcpError::Connect { tried: 16, .. }
        ));
    }
}
