//! [`HttpManager`]: makes, checks and ends the connections to one origin.

use std::fmt;

use brolly_resource_pool::{CloseReason, Manager, Usage};
use tokio::runtime::Handle;

use crate::connect::{Connect, TcpConnector};
use crate::connection::HttpConnection;
use crate::error::HttpError;
use crate::origin::Origin;

/// What the pool of an [`HttpPool`](crate::HttpPool) asks about connections.
pub struct HttpManager<C = TcpConnector> {
    origin: Origin,
    connector: C,
}

impl<C: Connect> HttpManager<C> {
    pub(crate) fn new(origin: Origin, connector: C) -> Self {
        Self { origin, connector }
    }

    /// Where the connections lead to.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// What makes the streams.
    #[must_use]
    pub fn connector(&self) -> &C {
        &self.connector
    }
}

impl<C: Connect> Manager for HttpManager<C> {
    type Resource = HttpConnection;
    type Error = HttpError;

    async fn create(&self) -> Result<HttpConnection, HttpError> {
        // Looked at here, since streams of tokio's panic without one.
        let runtime = Handle::try_current().map_err(|_| HttpError::NoRuntime)?;
        let connected = self.connector.connect(&self.origin).await;
        let stream = connected.map_err(|source| HttpError::Connect {
            origin: self.origin.clone(),
            source,
        })?;
        HttpConnection::over(stream, runtime).await
    }

    async fn recycle(
        &self,
        connection: &mut HttpConnection,
        usage: &Usage,
    ) -> Result<(), HttpError> {
        connection.check(usage)?;
        let ready = connection.sender.ready().await;
        ready.map_err(|_| HttpError::Closed)
    }

    fn is_broken(&self, connection: &mut HttpConnection) -> bool {
        !connection.is_reusable()
    }

    async fn close(&self, connection: HttpConnection, _: CloseReason) {
        connection.close().await;
    }
}

impl<C> fmt::Debug for HttpManager<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpManager")
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}
