//! Connecting: one address after the other, each for its time, until one answers.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

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
    /// Whether one more address may be tried, where each of so many later choices is to have its turn.
    fn has_room_for(&self, later: usize) -> bool {
        self.tried + later < TcpManager::MAX_ADDRESSES
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
        for (later, name) in self.choices() {
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
                if !tries.has_room_for(later) {
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

    /// The names in their order, each with how many come after it.
    fn choices(&self) -> impl Iterator<Item = (usize, &str)> {
        let count = self.addresses.len();
        let names = self.addresses.iter().enumerate();
        names.map(move |(position, name)| (count - 1 - position, name.as_str()))
    }

    fn connect_to(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream::connect_timeout(&address, self.connect_timeout)?;
        self.set_up(&SockRef::from(&stream))?;
        Ok(stream)
    }

    #[cfg(feature = "tokio")]
    pub(super) async fn connect(&self) -> Result<tokio::net::TcpStream, TcpError> {
        let mut tries = Tries::default();
        for (later, name) in self.choices() {
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
                if !tries.has_room_for(later) {
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
        refuse_itself(socket)?;
        socket.set_tcp_nodelay(self.nodelay)?;
        match self.keepalive {
            Some(after) => socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(after)),
            None => Ok(()),
        }
    }
}

/// A server of this machine that is down may have a port that the system gives out: whoever tries
/// long enough is given that one, and is connected to itself. Such a connection answers with what it
/// was sent, and the server cannot come back as long as it is there.
fn refuse_itself(socket: &SockRef<'_>) -> io::Result<()> {
    if socket.local_addr()? != socket.peer_addr()? {
        return Ok(());
    }
    // Closed the usual way, it would occupy the port for another minute.
    socket.set_linger(Some(Duration::ZERO))?;
    let text = "nobody listens, and the connection was one to itself";
    Err(io::Error::new(ErrorKind::ConnectionRefused, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_creation_asks_more_than_so_many() {
        let mut tries = Tries::default();
        for _ in 0..TcpManager::MAX_ADDRESSES {
            assert!(tries.has_room_for(0));
            tries.failed(ErrorKind::ConnectionRefused.into());
        }
        assert!(!tries.has_room_for(0));
        assert!(matches!(
            tries.into_error(),
            TcpError::Connect { tried: 16, .. }
        ));
    }

    #[test]
    fn a_name_of_many_addresses_leaves_the_next_choice_its_turn() {
        let builder = TcpManager::builder().address("many:1").address("next:1");
        let manager = builder.build().expect("two addresses are in range");
        let mut tries = Tries::default();
        let mut turns = [0; 2];
        for ((later, _), turns) in manager.choices().zip(&mut turns) {
            while tries.has_room_for(later) {
                tries.failed(ErrorKind::ConnectionRefused.into());
                *turns += 1;
            }
        }
        assert_eq!(turns, [15, 1]);
    }
}
