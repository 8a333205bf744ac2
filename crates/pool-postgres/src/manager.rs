//! [`PostgresManager`]: makes, judges and ends connections.

use std::fmt;

use brolly_resource_pool::{Check, CloseReason, Manager, Pool, PoolBuilder, Usage};
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{Config, Error, NoTls, Socket};

use crate::builder::PostgresManagerBuilder;
use crate::client::Client;
use crate::error::{is_fatal, is_transient};
use crate::recycle::Recycle;

/// Makes, judges and ends PostgreSQL connections.
///
/// Connections are made in a tokio runtime with I/O enabled; a task there moves their bytes.
pub struct PostgresManager<T = NoTls> {
    pub(crate) config: Config,
    pub(crate) tls: T,
    pub(crate) recycle: Recycle,
    pub(crate) statement_limit: usize,
    pub(crate) cancel_on_drop: bool,
}

impl PostgresManager<NoTls> {
    /// Begins the settings for connections like this.
    pub fn builder(config: Config) -> PostgresManagerBuilder<NoTls> {
        PostgresManagerBuilder::new(config)
    }
}

impl<T> PostgresManager<T>
where
    Self: Manager<Resource = Client>,
{
    /// The settings of a pool of these: connections known to be closed are never handed out, and
    /// checks are made as [`Recycle`] needs them (never, after 500 ms idle, or always).
    pub fn pool(self) -> PoolBuilder<Self> {
        let check = match &self.recycle {
            Recycle::Fast => Some(Check::Never),
            Recycle::Verified => None,
            Recycle::Clean | Recycle::Sql(_) => Some(Check::Always),
        };
        let builder = Pool::builder(self).before_acquire(|client, _| !client.is_closed());
        match check {
            Some(check) => builder.check(check),
            None => builder,
        }
    }
}

impl<T> Manager for PostgresManager<T>
where
    T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
    T::Stream: Send + 'static,
    T::TlsConnect: Send,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    type Resource = Client;
    type Error = Error;

    async fn create(&self) -> Result<Client, Error> {
        let (client, connection) = self.config.connect(self.tls.clone()).await?;
        let driver = tokio::spawn(async move {
            // Whoever uses the connection is told by its own calls.
            let _ = connection.await;
        });
        Ok(Client::new(client, driver, self.statement_limit))
    }

    async fn recycle(&self, client: &mut Client, _: &Usage) -> Result<(), Error> {
        match self.recycle.text() {
            Some(text) => client.batch_execute(text).await,
            None if self.recycle == Recycle::Fast && !client.is_closed() => Ok(()),
            None => client.ping().await,
        }
    }

    fn is_broken(&self, client: &mut Client) -> bool {
        if !client.is_unfit() {
            client.settle();
        }
        client.is_unfit()
    }

    fn is_fatal(&self, error: &Error) -> bool {
        is_fatal(error)
    }

    fn is_transient(&self, error: &Error) -> bool {
        is_transient(error)
    }

    async fn close(&self, client: Client, _: CloseReason) {
        if client.is_out_of_step() {
            return;
        }
        if client.is_cut_short() {
            if !self.cancel_on_drop {
                return;
            }
            let token = client.cancel_token();
            if token.cancel_query(self.tls.clone()).await.is_err() {
                return;
            }
        }
        client.end().await;
    }
}

impl<T> fmt::Debug for PostgresManager<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresManager")
            .field("recycle", &self.recycle)
            .field("statement_limit", &self.statement_limit)
            .field("cancel_on_drop", &self.cancel_on_drop)
            .finish_non_exhaustive()
    }
}
