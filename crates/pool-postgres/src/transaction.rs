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
    inner: tokio_postgres::Transaction<'a>,
    session: &'a Session,
}

impl<'a> Transaction<'a> {
    pub(crate) fn new(inner: tokio_postgres::Transaction<'a>, session: &'a Session) -> Self {
        Self { inner, session }
    }

    fn inner(&self) -> &tokio_postgres::Transaction<'a> {
        &self.inner
    }

    fn session(&self) -> &'a Session {
        self.session
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
        Ok(Transaction::new(inner, self.session))
    }

    /// Makes it hold.
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
        self.session.run(None, self.inner.commit()).await
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
        self.session.run(None, self.inner.rollback()).await
    }
}

impl fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").finish_non_exhaustive()
    }
}
