//! [`Rows`]: the rows of an answer, one by one.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use tokio_postgres::{Error, Row, RowStream};

use crate::session::Session;

/// The rows of an answer, one by one, as a stream.
///
/// It borrows the connection, so that no rows of one holder are left for the next to wait behind.
/// Dropped before its end, it costs the connection: that is closed when it comes back.
#[must_use = "a stream that is not read to its end closes the connection"]
pub struct Rows<'a> {
    stream: Pin<Box<RowStream>>,
    /// None once the end was seen.
    session: Option<&'a Session>,
}

impl<'a> Rows<'a> {
    /// `session` was told that an answer is waited for.
    pub(crate) fn new(stream: RowStream, session: &'a Session) -> Self {
        Self {
            stream: Box::pin(stream),
            session: Some(session),
        }
    }

    /// The next row; none at the end.
    ///
    /// # Errors
    ///
    /// What the server or the connection says. Nothing comes after it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no row.
    pub async fn next(&mut self) -> Option<Result<Row, Error>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl Stream for Rows<'_> {
    type Item = Result<Row, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(session) = self.session else {
            return Poll::Ready(None);
        };
        let item = ready!(self.stream.as_mut().poll_next(cx));
        match &item {
            Some(Ok(_)) => return Poll::Ready(item),
            Some(Err(error)) => session.failed(error),
            None => {}
        }
        self.session = None;
        session.end();
        Poll::Ready(item)
    }
}

impl fmt::Debug for Rows<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Rows");
        debug.field("is_done", &self.session.is_none()).finish()
    }
}
