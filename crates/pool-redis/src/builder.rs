//! [`RedisManagerBuilder`]: the settings and their ranges.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::{AsyncConnectionConfig, Client};

use crate::error::ConfigError;
use crate::manager::RedisManager;
use crate::setup;

/// What happens to the state that a holder leaves on a connection: database, user, name, watches,
/// an open transaction, tracking.
///
/// Where the server does not know `RESET` (before Redis 6.2), the connection is closed instead.
/// Subscriptions, `MONITOR` and `CLIENT REPLY` always close it, since answers cannot be told apart
/// any more, and so does what `RESET` does not undo, as `CLIENT NO-EVICT`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reset {
    /// It is reset before the next holder's first command, if a command was seen that changes it.
    #[default]
    IfChanged,
    /// It is reset before each holder's first command: one more round trip. For servers with
    /// commands of their own that change connections.
    Always,
    /// The connection is closed, if a command was seen that changes it.
    Never,
}

/// The settings of a [`RedisManager`].
#[must_use = "a builder does nothing until it builds"]
pub struct RedisManagerBuilder {
    client: Client,
    reset: Reset,
    connect_timeout: Option<Duration>,
    response_timeout: Option<Duration>,
}

impl RedisManagerBuilder {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            reset: Reset::default(),
            connect_timeout: Some(Duration::from_secs(5)),
            response_timeout: Some(Duration::from_secs(5)),
        }
    }

    /// What happens to the state that a holder leaves; [`Reset::IfChanged`] by default.
    pub fn reset(mut self, reset: Reset) -> Self {
        self.reset = reset;
        self
    }

    /// How long connecting may take, beside the pool's own limit; 5 s by default.
    pub fn connect_timeout(mut self, limit: Option<Duration>) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// How long an answer may take; 5 s by default. Commands that wait at the server, as `BLPOP`,
    /// need more, or none.
    pub fn response_timeout(mut self, limit: Option<Duration>) -> Self {
        self.response_timeout = limit;
        self
    }

    /// Builds the manager. Nothing is connected.
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: a limit is zero.
    pub fn build(self) -> Result<RedisManager, ConfigError> {
        for (field, limit) in [
            ("connect_timeout", self.connect_timeout),
            ("response_timeout", self.response_timeout),
        ] {
            if limit.is_some_and(|it| it.is_zero()) {
                return Err(ConfigError {
                    field,
                    value: String::from("zero"),
                    allowed: "more than zero, or none",
                });
            }
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(self.connect_timeout)
            .set_response_timeout(self.response_timeout);
        let info = self.client.get_connection_info().redis_settings();
        let reset_pipeline = Arc::new(setup::reset(info));
        Ok(RedisManager {
            client: self.client,
            config,
            reset: self.reset,
            reset_pipeline,
        })
    }
}

impl fmt::Debug for RedisManagerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisManagerBuilder")
            .field("reset", &self.reset)
            .field("connect_timeout", &self.connect_timeout)
            .field("response_timeout", &self.response_timeout)
            .finish_non_exhaustive()
    }
}
