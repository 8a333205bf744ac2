//! [`TcpManager`]: connections to a server, for threads and for tokio's tasks.

mod connect;
mod quiet;

use std::fmt;
use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use brolly_sync::{ThreadTimer, Timer};
use thiserror::Error;

use crate::builder::PoolBuilder;
use crate::error::ConfigError;
use crate::manager::{Blocking, BlockingManager, Usage};
use crate::pool::Pool;
use quiet::{Peek, look};

/// Connects to the first of its addresses that answers, and hands no connection on that its peer has
/// closed or that has bytes which nobody has read.
///
/// As a [`BlockingManager`] it makes `std::net::TcpStream`, and with feature `tokio`, as a
/// [`Manager`](crate::Manager), `tokio::net::TcpStream`. [`pool`](Self::pool) and
/// [`pool_blocking`](Self::pool_blocking) begin a pool of either, which looks at each connection
/// whenever it is handed out; that costs one system call, and three for those of `std`.
///
/// A connection is looked at when it comes back too: what has unread bytes, or a peer that is gone,
/// is closed. A connection that was never handed out may have unread bytes, since many servers speak
/// first.
///
/// What a holder sets on a connection stays, as its time limits; one that was shut down in the
/// sending direction looks the same as any other until the peer closes it. Discard those.
///
/// ```
/// use brolly_resource_pool::TcpManager;
/// use std::io::{Read, Write};
/// # use std::net::TcpListener;
///
/// # let server = TcpListener::bind("127.0.0.1:0").unwrap();
/// # let address = server.local_addr().unwrap().to_string();
/// # std::thread::spawn(move || {
/// #     let (mut stream, _) = server.accept().unwrap();
/// #     let mut bytes = [0; 4];
/// #     stream.read_exact(&mut bytes).unwrap();
/// #     stream.write_all(&bytes).unwrap();
/// # });
/// let manager = TcpManager::builder().address(address).build()?;
/// let pool = manager.pool_blocking().max_size(4).build()?;
/// let mut stream = pool.acquire_blocking().unwrap();
/// stream.write_all(b"ping").unwrap();
/// let mut answer = [0; 4];
/// stream.read_exact(&mut answer).unwrap();
/// assert_eq!(&answer, b"ping");
/// # Ok::<(), brolly_resource_pool::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct TcpManager {
    addresses: Arc<[String]>,
    connect_timeout: Duration,
    nodelay: bool,
    keepalive: Option<Duration>,
    timer: Arc<dyn Timer>,
}

/// Why there is no connection, or why one is of no more use.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TcpError {
    /// None of the addresses answered.
    #[error("no connection to any of {tried} addresses")]
    Connect {
        /// How many were tried.
        tried: usize,
        /// What came of the last one.
        #[source]
        source: io::Error,
    },
    /// No name has an address.
    #[error("no address for `{name}`")]
    Resolve {
        /// The last one that was asked for.
        name: String,
        /// What came of it.
        #[source]
        source: io::Error,
    },
    /// The peer has closed it.
    #[error("the peer has closed the connection")]
    Closed,
    /// There are bytes that nobody has read.
    #[error("the connection has bytes that nobody has read")]
    Unread,
    /// The system says so.
    #[error("the connection is broken")]
    Io(#[from] io::Error),
}

/// How a [`TcpManager`] is to be. Made by [`TcpManager::builder`].
#[derive(Clone)]
#[must_use = "nothing is built yet"]
pub struct TcpManagerBuilder {
    manager: TcpManager,
    addresses: Vec<String>,
}

impl TcpManager {
    /// How many names may be given, and how many addresses one creation tries. Each name has one of
    /// them at least.
    const MAX_ADDRESSES: usize = 16;

    /// What the system takes at most, on Linux.
    const MAX_KEEPALIVE: Duration = Duration::from_secs(32_767);

    /// Settings to begin with.
    pub fn builder() -> TcpManagerBuilder {
        TcpManagerBuilder {
            manager: Self {
                addresses: Arc::from([]),
                connect_timeout: Duration::from_secs(5),
                nodelay: true,
                keepalive: None,
                timer: Arc::new(ThreadTimer::new()),
            },
            addresses: Vec::new(),
        }
    }

    /// The settings of a pool of tokio's connections. It looks at each one before it is handed out,
    /// by way of [`before_acquire`](PoolBuilder::before_acquire): another hook in its place has to do
    /// the same.
    #[cfg(feature = "tokio")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
    pub fn pool(self) -> PoolBuilder<Self> {
        Pool::builder(self).before_acquire(|stream, usage| is_clean(&*stream, usage))
    }

    /// The same of connections for threads.
    pub fn pool_blocking(self) -> PoolBuilder<Blocking<Self>> {
        Pool::builder(Blocking(self)).before_acquire(|stream, usage| is_clean(&*stream, usage))
    }
}

/// Before it is handed out, which is counted already.
fn is_clean(stream: &impl Peek, usage: &Usage) -> bool {
    look(stream, usage.uses > 1).is_ok()
}

impl TcpManagerBuilder {
    /// Where to connect to, as `host:port`. Called again, the next choice: the first that answers is
    /// taken, each time. Names are resolved at each creation, so that a move is noticed. 1 to 16, and
    /// as many of the addresses that they stand for are tried by one creation.
    pub fn address(mut self, address: impl Into<String>) -> Self {
        self.addresses.push(address.into());
        self
    }

    /// How long one address may take to answer: more than zero, by default 5 s. All of them together
    /// have the pool's [`create_timeout`](PoolBuilder::create_timeout), which threads cannot keep.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.manager.connect_timeout = limit;
        self
    }

    /// Whether what is written is sent at once: by default it is.
    pub fn nodelay(mut self, nodelay: bool) -> Self {
        self.manager.nodelay = nodelay;
        self
    }

    /// After how long a silence the system asks whether the peer is there, from 1 s: by default never.
    /// More than the system takes, which is 32 767 s, is that.
    pub fn keepalive(mut self, after: impl Into<Option<Duration>>) -> Self {
        self.manager.keepalive = after.into();
        self
    }

    /// What the limit on one address is kept with in tasks. By default a thread that starts when
    /// somebody waits.
    pub fn timer(mut self, timer: impl Timer + 'static) -> Self {
        self.manager.timer = Arc::new(timer);
        self
    }

    /// A manager with these settings. It connects nowhere yet.
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: a setting is out of its range.
    pub fn build(mut self) -> Result<TcpManager, ConfigError> {
        let count = self.addresses.len();
        if !(1..=TcpManager::MAX_ADDRESSES).contains(&count) {
            return Err(ConfigError::new("address", count, "1 to 16 addresses"));
        }
        let manager = &mut self.manager;
        if manager.connect_timeout.is_zero() {
            let limit = manager.connect_timeout;
            return Err(ConfigError::new("connect_timeout", limit, "more than zero"));
        }
        if let Some(after) = &mut manager.keepalive {
            if *after < Duration::from_secs(1) {
                return Err(ConfigError::new("keepalive", *after, "1 s or more"));
            }
            *after = (*after).min(TcpManager::MAX_KEEPALIVE);
        }
        manager.addresses = self.addresses.into();
        Ok(self.manager)
    }
}

impl BlockingManager for TcpManager {
    type Resource = TcpStream;
    type Error = TcpError;

    fn create(&self) -> Result<TcpStream, TcpError> {
        self.connect_blocking()
    }

    fn recycle(&self, stream: &mut TcpStream, usage: &Usage) -> Result<(), TcpError> {
        look(&*stream, usage.uses > 0)
    }

    fn is_broken(&self, stream: &mut TcpStream) -> bool {
        look(&*stream, true).is_err()
    }

    fn is_transient(&self, error: &TcpError) -> bool {
        error.is_transient()
    }
}

#[cfg(feature = "tokio")]
#[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
impl crate::manager::Manager for TcpManager {
    type Resource = tokio::net::TcpStream;
    type Error = TcpError;

    async fn create(&self) -> Result<tokio::net::TcpStream, TcpError> {
        self.connect().await
    }

    async fn recycle(
        &self,
        stream: &mut tokio::net::TcpStream,
        usage: &Usage,
    ) -> Result<(), TcpError> {
        look(&*stream, usage.uses > 0)
    }

    fn is_broken(&self, stream: &mut tokio::net::TcpStream) -> bool {
        look(&*stream, true).is_err()
    }

    fn is_transient(&self, error: &TcpError) -> bool {
        error.is_transient()
    }
}

impl TcpError {
    fn is_transient(&self) -> bool {
        use io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
        match self {
            Self::Connect { source, .. } | Self::Resolve { source, .. } => {
                !matches!(source.kind(), InvalidInput | PermissionDenied | Unsupported)
            }
            _ => true,
        }
    }
}

impl fmt::Debug for TcpManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpManager")
            .field("addresses", &self.addresses)
            .field("connect_timeout", &self.connect_timeout)
            .field("nodelay", &self.nodelay)
            .field("keepalive", &self.keepalive)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for TcpManagerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpManagerBuilder")
            .field("addresses", &self.addresses)
            .field("manager", &self.manager)
            .finish()
    }
}
