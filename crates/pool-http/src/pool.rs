//! [`HttpPool`]: requests to one origin.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use brolly_resource_pool::{DrainReport, Pool};
use brolly_sync::TimerExt;
use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use hyper::body::Body;

use crate::body::{Limits, PooledBody};
use crate::builder::HttpPoolBuilder;
use crate::connect::{Connect, TcpConnector};
use crate::error::SendError;
use crate::exchange::{Held, Outcome, exchange};
use crate::keep_alive::{Verdict, judge};
use crate::manager::HttpManager;
use crate::origin::Origin;
use crate::request::{BoxError, Facts, Outgoing, prepare};

/// HTTP/1.1 requests to one origin, over as many connections as may be. Clones are handles to the
/// same pool.
pub struct HttpPool<C: Connect = TcpConnector> {
    pool: Pool<HttpManager<C>>,
    shared: Arc<Shared>,
}

struct Shared {
    host: HeaderValue,
    acquire_timeout: Duration,
    response_timeout: Duration,
    limits: Limits,
}

impl HttpPool {
    /// Settings for an origin in the clear, as `http://127.0.0.1:8080`.
    pub fn builder(origin: impl AsRef<str>) -> HttpPoolBuilder<TcpConnector> {
        HttpPoolBuilder::new(origin.as_ref(), TcpConnector)
    }
}

impl<C: Connect> HttpPool<C> {
    /// Settings for an origin that is reached through a connector of one's own, with TLS for
    /// instance.
    pub fn with_connector(origin: impl AsRef<str>, connector: C) -> HttpPoolBuilder<C> {
        HttpPoolBuilder::new(origin.as_ref(), connector)
    }

    pub(crate) fn new(
        pool: Pool<HttpManager<C>>,
        host: HeaderValue,
        acquire_timeout: Duration,
        response_timeout: Duration,
        limits: Limits,
    ) -> Self {
        let shared = Shared {
            host,
            acquire_timeout,
            response_timeout,
            limits,
        };
        Self {
            pool,
            shared: Arc::new(shared),
        }
    }

    /// The pool itself: its figures, who holds what, its end. Who holds a connection is named by the
    /// line that called [`send`](Self::send).
    #[must_use]
    pub fn connections(&self) -> &Pool<HttpManager<C>> {
        &self.pool
    }

    /// Where requests go.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        self.pool.manager().origin()
    }

    /// Sends a request, and returns the answer when its head is there. The body that comes with it
    /// has the connection until it ends or is dropped.
    ///
    /// The request's address is a path, or one of this origin. A `Host` is added if there is none.
    /// What the connection turns out to have been closed for before anything was sent is sent once
    /// more, on another connection, at most twice; nothing else is repeated.
    ///
    /// # Errors
    ///
    /// [`SendError`]: no connection, no answer in time, a connection that was lost. An answer with
    /// any status is an answer.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future while it waits for a connection leaves the line. Dropped later, it closes
    /// the connection, so that nobody else reads the answer; the server may have handled the request.
    #[track_caller]
    pub fn send<B>(
        &self,
        request: Request<B>,
    ) -> impl Future<Output = Result<Response<PooledBody<C>>, SendError>> + Send
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        // Made here, where the caller is known; none stands in line before it is looked at.
        let attempts = [
            self.pool.acquire_owned(),
            self.pool.acquire_owned(),
            self.pool.acquire_owned(),
        ];
        let prepared = prepare(request, self.origin(), &self.shared.host);
        async move {
            let Outgoing { mut request, facts } = prepared?;
            let limits = &self.shared.limits;
            let timer = &limits.timer;
            let began = timer.now();
            let mut lost = None;
            for (attempt, acquired) in attempts.into_iter().enumerate() {
                let held: Held<C> = if attempt == 0 {
                    acquired.await?
                } else {
                    // All attempts together have the time of one.
                    let spent = timer.now().saturating_sub(began);
                    let left = self.shared.acquire_timeout.saturating_sub(spent);
                    match timer.timeout(left, acquired).await {
                        Ok(acquired) => acquired?,
                        Err(_) => break,
                    }
                };
                let limit = self.shared.response_timeout;
                match exchange(held, request, &**timer, limit).await {
                    Outcome::Answered(answer, held) => {
                        return Ok(self.answer(answer, held, facts));
                    }
                    Outcome::Failed(error) => return Err(error),
                    Outcome::Unsent(unsent, error) => {
                        request = unsent;
                        lost = Some(error);
                    }
                }
            }
            Err(SendError::Lost {
                may_have_been_sent: false,
                source: lost.expect("another attempt is made only after one was lost"),
            })
        }
    }

    fn answer(
        &self,
        answer: Response<hyper::body::Incoming>,
        held: Held<C>,
        facts: Facts,
    ) -> Response<PooledBody<C>> {
        let (head, body) = answer.into_parts();
        let verdict = match facts.says_close {
            true => Verdict::Close,
            false => judge(head.version, head.status, &head.headers),
        };
        let limits = self.shared.limits.clone();
        let body = PooledBody::new(body, held, verdict, facts, limits);
        Response::from_parts(head, body)
    }

    /// Ends the pool: whoever waits or comes later is told so, idle connections are closed, the
    /// others when their answers have ended.
    pub fn close(&self) {
        self.pool.close();
    }

    /// Closes, and waits until all connections are closed, for so long at most.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops waiting; the pool is closed all the same.
    pub async fn drain(&self, limit: Duration) -> DrainReport {
        self.pool.drain(limit).await
    }
}

impl<C: Connect> Clone for HttpPool<C> {
    fn clone(&self) -> Self {
        Self {
            pool: self.pool.clone(),
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<C: Connect> fmt::Debug for HttpPool<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpPool")
            .field("origin", &self.origin().to_string())
            .field("pool", &self.pool)
            .finish_non_exhaustive()
    }
}
