//! [`Client`]: a connection in somebody's hands, that notes what is left open on it.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::task::JoinHandle;
use tokio_postgres::types::ToSql;
use tokio_postgres::{CancelToken, Error, Row, SimpleQueryMessage, Statement};

use crate::queries::queries;
use crate::rows::Rows;
use crate::session::Session;
use crate::sql::Sql;
use crate::transaction::Transaction;

/// A connection.
///
/// Calls of one holder may run beside each other: they are sent in the order of their first polls.
///
/// The connection's task ends with it. Dropped outside of a pool it says goodbye to the server,
/// unless an answer is still to come: then it is cut.
pub struct Client {
    // In this order: statements that outlive the driver's half have nobody left to tell.
    inner: tokio_postgres::Client,
    driver: Driver,
    session: Arc<Session>,
}

impl Client {
    pub(crate) fn new(
        inner: tokio_postgres::Client,
        driver: JoinHandle<()>,
        statement_limit: usize,
    ) -> Self {
        let session = Arc::new(Session::new(statement_limit));
        let driver = Driver {
            task: driver,
            session: Arc::clone(&session),
            must_end: false,
        };
        Self {
            inner,
            driver,
            session,
        }
    }

    fn inner(&self) -> &tokio_postgres::Client {
        &self.inner
    }

    fn session(&self) -> &Session {
        &self.session
    }

    /// Done when all answers begun before are.
    async fn rest(&self) -> Result<(), Error> {
        self.inner.check_connection().await
    }

    queries!();

    /// Begins a transaction, which is rolled back unless it is committed.
    ///
    /// # Errors
    ///
    /// What the server or the connection says.
    ///
    /// # Cancel safety
    ///
    /// Once polled, dropping the future closes the connection when it comes back.
    pub async fn transaction(&mut self) -> Result<Transaction<'_>, Error> {
        let begun = self.session.run(Some("BEGIN"), self.inner.transaction());
        Ok(Transaction::new(begun.await?, &self.session))
    }

    /// The driver's connection, for what is not here: `COPY`, portals, typed queries.
    ///
    /// What is done with it is not seen, so the connection is closed when it comes back.
    pub fn raw(&mut self) -> &mut tokio_postgres::Client {
        self.session.break_up();
        &mut self.inner
    }

    /// What asks the server, over a connection of its own, to end the query that runs here. Used
    /// after the connection has come back, it ends a query of the next holder.
    pub fn cancel_token(&self) -> CancelToken {
        self.inner.cancel_token()
    }

    /// Whether the connection is known to be closed. No traffic.
    pub fn is_closed(&self) -> bool {
        self.inner.is_closed()
    }

    /// How many prepared statements it keeps.
    pub fn statement_count(&self) -> usize {
        self.session.statement_count()
    }

    /// Whether the next holder could not use it.
    pub(crate) fn is_unfit(&self) -> bool {
        self.inner.is_closed() || self.session.is_unfit()
    }

    pub(crate) fn is_out_of_step(&self) -> bool {
        self.session.is_out_of_step()
    }

    pub(crate) fn is_cut_short(&self) -> bool {
        self.session.is_cut_short()
    }

    /// Rolls back what may be open. The request goes out here and is not waited for: requests are
    /// served in their order, so it is done before anything the next holder asks. The server
    /// answers it with success whether there is a transaction or not, so there is nothing to hear.
    pub(crate) fn settle(&self) {
        if !self.session.take_transaction() {
            return;
        }
        let sent = pin!(self.inner.batch_execute("ROLLBACK"));
        // The first poll hands the request over.
        let polled = sent.poll(&mut Context::from_waker(Waker::noop()));
        if let Poll::Ready(Err(_)) = polled {
            self.session.break_up();
        }
    }

    /// A sign of life.
    pub(crate) async fn ping(&self) -> Result<(), Error> {
        self.session.run(None, self.rest()).await
    }

    /// Says goodbye and waits until the connection is closed.
    pub(crate) async fn end(self) {
        let Self {
            inner, mut driver, ..
        } = self;
        driver.must_end = true;
        drop(inner);
        // An error is a panic of the driver, which has ended it as well.
        let _ = (&mut driver.task).await;
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("is_closed", &self.is_closed())
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

/// The task that moves the bytes. By itself it ends once the client is gone and all answers are
/// there: for answers nobody waits for, and a server that is silent, it is ended here.
struct Driver {
    task: JoinHandle<()>,
    session: Arc<Session>,
    must_end: bool,
}

impl Drop for Driver {
    fn drop(&mut self) {
        if self.must_end || self.session.is_unfit() {
            self.task.abort();
        }
    }
}
