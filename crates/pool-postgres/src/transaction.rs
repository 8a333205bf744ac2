//! [`Transaction`]: rolled back unless it is committed.

use std::fmt;

use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row, SimpleQueryMessage, Statement};

use crate::queries::queries;
use crate::rows::Rows;
use crate::session::Session;
use crate::sql::Sql;

/// A transaction, or a savepoint within one. Dropped, it is rolled back, before anybody uses the
/// connection again.
#[must_use = "a transaction that is dropped is rolled back"]
pub struct Transaction<'a> {
    // In this order: it is rolled back before it counts as over.
    inner: tokio_postgres::Transaction<'a>,
    over: Over<'a>,
    session: &'a Session,
}

/// Notes that the transaction is over; none for a savepoint. One that is leaked notes nothing, and
/// so is rolled back when the connection comes back.
struct Over<'a>(Option<&'a Session>);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        if let Some(session) = self.0 {
            session.transaction_is_over();
        }
    }
}

impl<'a> Transaction<'a> {
    pub(crate) fn new(inner: tokio_postgres::Transaction<'a>, session: &'a Session) -> Self {
        let over = Over(Some(session));
        Self {
            inner,
            over,
            session,
        }
    }

    fn inner(&self) -> &tokio_postgres::Transaction<'a> {
        &self.inner
    }

    fn session(&self) -> &'a Session {
        self.session
    }

    /// Done when all answers begun before are.
    async fn rest(&self) -> Result<(), Error> {
        self.inner.client().check_connection().await
    }

    queries!();

    /// A savepoint: what is done in it can be rolled back alone.
    ///
    /// # Errors
    ///
    /// What the server or the connection says.
    ///
    /// # Cancel safety
    ///
    /// Once polled, dropping the future closes the connection when it comes back.
    pub async fn transaction(&mut self) -> Result<Transaction<'_>, Error> {
        let inner = self.session.run(None, self.inner.transaction()).await?;
        Ok(Transaction {
            inner,
            over: Over(None),
            session: self.session,
        })
    }

    /// Makes it hold. A transaction in which a statement has failed is rolled back instead, which the
    /// driver does not tell.
    ///
    /// # Errors
    ///
    /// What the server or the connection says. Where the connection failed, nobody knows whether it
    /// holds.
    ///
    /// # Cancel safety
    ///
    /// Once polled, whoever drops the future does not learn whether it holds; the connection is
    /// closed when it comes back.
    pub async fn commit(self) -> Result<(), Error> {
        let Self {
            inner,
            over: _over,
            session,
        } = self;
        session.run(None, inner.commit()).await
    }

    /// Undoes it, and waits for that.
    ///
    /// # Errors
    ///
    /// What the server or the connection says.
    ///
    /// # Cancel safety
    ///
    /// It is undone on every path.
    pub async fn rollback(self) -> Result<(), Error> {
        let Self {
            inner,
            over: _over,
            session,
        } = self;
        session.run(None, inner.rollback()).await
    }
}

impl fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").finish_non_exhaustive()
    }
}
