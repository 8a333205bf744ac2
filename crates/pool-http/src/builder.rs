//! [`HttpPoolBuilder`]: where to, and within which limits.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use brolly_resource_pool::{ConfigError, Pool, PoolBuilder};
use brolly_sync::{ThreadTimer, Timer};
use http::HeaderValue;

use crate::body::Limits;
use crate::connect::Connect;
use crate::manager::HttpManager;
use crate::origin::{ALLOWED, Origin, Scheme};
use crate::pool::HttpPool;

type Adjust<C> = Box<dyn FnOnce(PoolBuilder<HttpManager<C>>) -> PoolBuilder<HttpManager<C>> + Send>;

/// How an [`HttpPool`] is to be. Made by [`HttpPool::builder`] and [`HttpPool::with_connector`].
#[must_use = "nothing is built yet"]
pub struct HttpPoolBuilder<C: Connect> {
    origin: String,
    connector: C,
    max_size: usize,
    acquire_timeout: Duration,
    connect_timeout: Duration,
    response_timeout: Duration,
    body_timeout: Option<Duration>,
    drain_limit: u64,
    timer: Option<Arc<dyn Timer>>,
    adjust: Vec<Adjust<C>>,
}

impl<C: Connect> HttpPoolBuilder<C> {
    pub(crate) fn new(origin: &str, connector: C) -> Self {
        Self {
            origin: origin.to_owned(),
            connector,
            max_size: 20,
            acquire_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            response_timeout: Duration::from_secs(30),
            body_timeout: Some(Duration::from_secs(30)),
            drain_limit: 64 * 1024,
            timer: None,
            adjust: Vec::new(),
        }
    }

    /// How many connections there may be, from 1 to 65536: by default 20. Each has one request under
    /// way at most.
    pub fn max_size(mut self, max: usize) -> Self {
        self.max_size = max;
        self
    }

    /// How long a request may wait for a connection, with connecting: more than zero, by default
    /// 30 s.
    pub fn acquire_timeout(mut self, limit: Duration) -> Self {
        self.acquire_timeout = limit;
        self
    }

    /// How long connecting may take: more than zero, by default 10 s.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// How long the head of an answer may take once there is a connection, with sending the request:
    /// more than zero, by default 30 s.
    pub fn response_timeout(mut self, limit: Duration) -> Self {
        self.response_timeout = limit;
        self
    }

    /// For how long nothing may come of the body of an answer: more than zero, by default 30 s;
    /// `None` is for ever.
    pub fn body_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.body_timeout = limit.into();
        self
    }

    /// Up to how many bytes of a body that is dropped before its end are read so that the connection
    /// can be used again, in the background and within a second: by default 65536. Zero closes it.
    /// A body of unknown length closes it too.
    pub fn drain_limit(mut self, bytes: u64) -> Self {
        self.drain_limit = bytes;
        self
    }

    /// What the timeouts wait with, those of the pool as well. By default a thread that starts when
    /// somebody waits.
    pub fn timer(mut self, timer: impl Timer + 'static) -> Self {
        self.timer = Some(Arc::new(timer));
        self
    }

    /// Changes the other settings of the pool: name, minimum, lifetimes, pauses, listeners.
    ///
    /// A `before_acquire` of its own takes the place of the look at
    /// [`is_closed`](crate::HttpConnection::is_closed) and the server's limit at each checkout.
    pub fn pool(
        mut self,
        adjust: impl FnOnce(PoolBuilder<HttpManager<C>>) -> PoolBuilder<HttpManager<C>> + Send + 'static,
    ) -> Self {
        self.adjust.push(Box::new(adjust));
        self
    }

    /// A pool without connections. Built inside of a tokio runtime, it keeps itself up there.
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: the origin is not one, or a setting is out of its range.
    pub fn build(self) -> Result<HttpPool<C>, ConfigError> {
        let origin = self.check()?;
        let host = HeaderValue::try_from(origin.authority()).map_err(|_| self.refuse_origin())?;
        let timer: Arc<dyn Timer> = match self.timer {
            Some(timer) => timer,
            None => Arc::new(ThreadTimer::new()),
        };
        let name = origin.to_string();
        let manager = HttpManager::new(origin, self.connector);
        let mut builder = Pool::builder(manager)
            .name(name)
            .timer(Arc::clone(&timer))
            .before_acquire(|it, usage| it.check(usage).is_ok());
        for adjust in self.adjust {
            builder = adjust(builder);
        }
        let pool = builder
            .max_size(self.max_size)
            .acquire_timeout(self.acquire_timeout)
            .create_timeout(self.connect_timeout)
            .build()?;
        let limits = Limits {
            timer,
            frame: self.body_timeout,
            drain: self.drain_limit,
        };
        Ok(HttpPool::new(
            pool,
            host,
            self.acquire_timeout,
            self.response_timeout,
            limits,
        ))
    }

    fn check(&self) -> Result<Origin, ConfigError> {
        let origin: Origin = self.origin.parse().map_err(|()| self.refuse_origin())?;
        if origin.scheme() == Scheme::Https && !self.connector.is_secure() {
            let allowed = "http, or https with a connector that is secure";
            return Err(ConfigError::new("origin", &self.origin, allowed));
        }
        let limits = [
            ("acquire_timeout", Some(self.acquire_timeout)),
            ("connect_timeout", Some(self.connect_timeout)),
            ("response_timeout", Some(self.response_timeout)),
            ("body_timeout", self.body_timeout),
        ];
        for (field, limit) in limits {
            if limit == Some(Duration::ZERO) {
                return Err(ConfigError::new(field, Duration::ZERO, "more than zero"));
            }
        }
        Ok(origin)
    }

    fn refuse_origin(&self) -> ConfigError {
        ConfigError::new("origin", &self.origin, ALLOWED)
    }
}

impl<C: Connect> fmt::Debug for HttpPoolBuilder<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpPoolBuilder")
            .field("origin", &self.origin)
            .field("max_size", &self.max_size)
            .field("acquire_timeout", &self.acquire_timeout)
            .field("response_timeout", &self.response_timeout)
            .finish_non_exhaustive()
    }
}
