//! [`RedisManager`]: makes, judges and ends connections.

use std::fmt;
use std::sync::Arc;

use brolly_resource_pool::{Manager, Pool, PoolBuilder, Usage};
use redis::{AsyncConnectionConfig, Client, Pipeline, RedisError};

use crate::builder::{RedisManagerBuilder, Reset};
use crate::connection::Connection;
use crate::error::{is_fatal, is_transient};

/// Makes, judges and ends Redis connections.
///
/// Connections are made in a tokio runtime with I/O and time enabled; a task there moves their
/// bytes, and ends with them.
pub struct RedisManager {
    pub(crate) client: Client,
    pub(crate) config: AsyncConnectionConfig,
    pub(crate) reset: Reset,
    pub(crate) reset_pipeline: Arc<Pipeline>,
}

impl RedisManager {
    /// Begins the settings for connections of this client.
    pub fn builder(client: Client) -> RedisManagerBuilder {
        RedisManagerBuilder::new(client)
    }

    /// The settings of a pool of these.
    pub fn pool(self) -> PoolBuilder<Self> {
        Pool::builder(self)
    }
}

impl Manager for RedisManager {
    type Resource = Connection;
    type Error = RedisError;

    async fn create(&self) -> Result<Connection, RedisError> {
        let connecting = self
            .client
            .get_multiplexed_async_connection_with_config(&self.config);
        let reset = Arc::clone(&self.reset_pipeline);
        let mut connection = Connection::new(connecting.await?, reset);
        // A server that lets nobody in without a password says so here and not before.
        connection.ping().await?;
        if self.reset != Reset::Never {
            connection.try_reset().await?;
        }
        Ok(connection)
    }

    async fn recycle(&self, connection: &mut Connection, _: &Usage) -> Result<(), RedisError> {
        connection.ping().await
    }

    fn is_broken(&self, connection: &mut Connection) -> bool {
        connection.is_done_for(self.reset == Reset::Always)
    }

    fn is_fatal(&self, error: &RedisError) -> bool {
        is_fatal(error)
    }

    fn is_transient(&self, error: &RedisError) -> bool {
        is_transient(error)
    }
}

impl fmt::Debug for RedisManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The others hold a password.
        f.debug_struct("RedisManager")
            .field("reset", &self.reset)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
