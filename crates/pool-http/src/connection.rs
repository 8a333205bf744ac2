//! [`HttpConnection`]: one connection, the task that moves its bytes, and whether it may be used
//! again.

use std::fmt;
use std::time::Duration;

use brolly_resource_pool::Usage;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::rt::{Read, Write};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::error::HttpError;
use crate::keep_alive::{Terms, Verdict};
use crate::request::RequestBody;

/// A connection of the pool. Requests are sent through [`HttpPool::send`](crate::HttpPool::send).
pub struct HttpConnection {
    pub(crate) sender: SendRequest<RequestBody>,
    driver: Driver,
    phase: Phase,
    terms: Terms,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing is under way.
    Idle,
    /// A request was begun, and not all of it is sent or not all of its answer is read.
    Busy,
    /// One side has said that this was the last request.
    Spent,
}

/// The task that reads and writes. It ends with the connection, at the latest when this is dropped.
struct Driver {
    task: JoinHandle<()>,
    runtime: Handle,
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl HttpConnection {
    /// Begins to speak HTTP through a stream.
    pub(crate) async fn over<I>(stream: I, runtime: Handle) -> Result<Self, HttpError>
    where
        I: Read + Write + Send + Unpin + 'static,
    {
        let (sender, connection) = http1::handshake(stream)
            .await
            .map_err(HttpError::Handshake)?;
        let task = runtime.spawn(async move {
            // Whoever waits for an answer is told the error; who does not, does not want it.
            let _ = connection.await;
        });
        Ok(Self {
            sender,
            driver: Driver { task, runtime },
            phase: Phase::Idle,
            terms: Terms::default(),
        })
    }

    /// Whether it is known to be closed, by either side.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed() || self.driver.task.is_finished()
    }

    /// For how long the server said that it keeps an idle connection, if it did.
    #[must_use]
    pub fn idle_limit(&self) -> Option<Duration> {
        self.terms.idle
    }

    /// Whether another request may be sent now.
    pub(crate) fn is_reusable(&self) -> bool {
        self.phase == Phase::Idle && !self.is_closed()
    }

    /// The same for one that has been idle.
    pub(crate) fn check(&self, usage: &Usage) -> Result<(), HttpError> {
        if !self.is_reusable() {
            return Err(HttpError::Closed);
        }
        match self.terms.is_over(usage.idle_for) {
            true => Err(HttpError::IdleForTooLong {
                idle_for: usage.idle_for,
            }),
            false => Ok(()),
        }
    }

    pub(crate) fn begin(&mut self) {
        self.phase = Phase::Busy;
    }

    /// It is of no more use.
    pub(crate) fn fail(&mut self) {
        self.phase = Phase::Spent;
    }

    /// All of the answer is here. Where the request is not, its rest is under way until the end.
    pub(crate) fn end(&mut self, verdict: Verdict, is_request_sent: bool) {
        self.phase = match verdict {
            _ if !is_request_sent => Phase::Busy,
            Verdict::Keep(terms) => {
                self.terms = terms;
                Phase::Idle
            }
            Verdict::Close => Phase::Spent,
        };
    }

    pub(crate) fn runtime(&self) -> &Handle {
        &self.driver.runtime
    }

    /// Says good-bye where that makes sense, and waits until the task has ended.
    pub(crate) async fn close(self) {
        let Self {
            sender,
            mut driver,
            phase,
            ..
        } = self;
        drop(sender);
        if phase == Phase::Busy {
            driver.task.abort();
        }
        let _ = (&mut driver.task).await;
    }
}

impl fmt::Debug for HttpConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpConnection")
            .field("phase", &self.phase)
            .field("terms", &self.terms)
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
