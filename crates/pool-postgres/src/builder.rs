//! [`PostgresManagerBuilder`]: the settings and their ranges.

use std::fmt;

use tokio_postgres::{Config, NoTls};

use crate::error::ConfigError;
use crate::manager::PostgresManager;
use crate::recycle::Recycle;

/// Statements a connection may keep at most.
const MOST_STATEMENTS: usize = 65_536;

/// The settings of a [`PostgresManager`].
#[must_use = "a builder does nothing until it builds"]
pub struct PostgresManagerBuilder<T = NoTls> {
    config: Config,
    tls: T,
    recycle: Recycle,
    statement_limit: usize,
    cancel_on_drop: bool,
}

impl PostgresManagerBuilder<NoTls> {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            config,
            tls: NoTls,
            recycle: Recycle::default(),
            statement_limit: 64,
            cancel_on_drop: true,
        }
    }
}

impl<T> PostgresManagerBuilder<T> {
    /// What encrypts connections, and cancel requests; none by default.
    pub fn tls<U>(self, tls: U) -> PostgresManagerBuilder<U> {
        PostgresManagerBuilder {
            config: self.config,
            tls,
            recycle: self.recycle,
            statement_limit: self.statement_limit,
            cancel_on_drop: self.cancel_on_drop,
        }
    }

    /// What a check of an idle connection does; [`Recycle::Verified`] by default.
    pub fn recycle(mut self, recycle: Recycle) -> Self {
        self.recycle = recycle;
        self
    }

    /// How many prepared statements a connection keeps at most; 64 by default, 0 for none.
    pub fn statement_limit(mut self, limit: usize) -> Self {
        self.statement_limit = limit;
        self
    }

    /// Whether the server is asked to end a query whose holder has left; true by default. A request
    /// opens a connection of its own for a moment. Without it the server goes on with a query that
    /// nobody waits for until it has something to send.
    pub fn cancel_on_drop(mut self, cancel: bool) -> Self {
        self.cancel_on_drop = cancel;
        self
    }

    /// Builds the manager. Nothing is connected.
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: there is no host, the limit is above 65,536, or the text of
    /// [`Recycle::Sql`] is empty.
    pub fn build(self) -> Result<PostgresManager<T>, ConfigError> {
        if self.config.get_hosts().is_empty() && self.config.get_hostaddrs().is_empty() {
            return Err(ConfigError::new("config", "without a host", "one or more"));
        }
        if self.statement_limit > MOST_STATEMENTS {
            let value = self.statement_limit;
            return Err(ConfigError::new("statement_limit", value, "0 to 65536"));
        }
        if self.recycle.text().is_some_and(|it| it.trim().is_empty()) {
            return Err(ConfigError::new("recycle", "an empty text", "a statement"));
        }
        Ok(PostgresManager {
            config: self.config,
            tls: self.tls,
            recycle: self.recycle,
            statement_limit: self.statement_limit,
            cancel_on_drop: self.cancel_on_drop,
        })
    }
}

impl<T> fmt::Debug for PostgresManagerBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresManagerBuilder")
            .field("recycle", &self.recycle)
            .field("statement_limit", &self.statement_limit)
            .field("cancel_on_drop", &self.cancel_on_drop)
            .finish_non_exhaustive()
    }
}
