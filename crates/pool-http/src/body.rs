//! [`PooledBody`]: the body of an answer, which has the connection until it ends.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use brolly_sync::{Sleep, Timer, TimerExt};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use crate::connect::{Connect, TcpConnector};
use crate::error::BodyError;
use crate::exchange::Held;
use crate::keep_alive::Verdict;
use crate::request::Facts;

/// How long the rest of a body that nobody wants may take.
const DRAIN: Duration = Duration::from_secs(1);

/// The body of an answer. It has its connection, which goes back as soon as the body has ended.
///
/// Dropped before that, the rest is read in the background where its length is known to be within
/// the drain limit; otherwise the connection is closed.
///
/// `http_body_util::BodyExt` has the adapters: `frame`, `collect`, and others.
pub struct PooledBody<C: Connect = TcpConnector> {
    /// Until the end, whichever it is.
    live: Option<Live<C>>,
    limits: Limits,
    sleep: Option<Sleep>,
}

struct Live<C: Connect> {
    body: Incoming,
    held: Held<C>,
    verdict: Verdict,
    facts: Facts,
}

#[derive(Clone)]
pub(crate) struct Limits {
    pub(crate) timer: Arc<dyn Timer>,
    pub(crate) frame: Option<Duration>,
    pub(crate) drain: u64,
}

impl<C: Connect> PooledBody<C> {
    pub(crate) fn new(
        body: Incoming,
        held: Held<C>,
        verdict: Verdict,
        facts: Facts,
        limits: Limits,
    ) -> Self {
        let has_ended = body.is_end_stream();
        let mut this = Self {
            live: Some(Live {
                body,
                held,
                verdict,
                facts,
            }),
            limits,
            sleep: None,
        };
        if has_ended {
            this.end();
        }
        this
    }

    /// All of the body, if it is not longer than `limit` bytes. Trailers are dropped.
    ///
    /// # Errors
    ///
    /// [`BodyError`]: too long, too late, or lost. The connection is closed, unless a body that is too
    /// long is short enough to be drained.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the body.
    pub async fn bytes(mut self, limit: usize) -> Result<Bytes, BodyError> {
        let too_long = || BodyError::TooLong { limit };
        let announced = usize::try_from(self.size_hint().lower()).unwrap_or(usize::MAX);
        if announced > limit {
            return Err(too_long());
        }
        let mut whole = Bytes::new();
        let mut joined = BytesMut::new();
        while let Some(frame) = self.frame().await {
            let Ok(data) = frame?.into_data() else {
                continue;
            };
            if whole.len().max(joined.len()).saturating_add(data.len()) > limit {
                return Err(too_long());
            }
            // One piece is what most bodies are, and it need not be copied.
            if whole.is_empty() && joined.is_empty() {
                whole = data;
            } else {
                joined.extend_from_slice(&std::mem::take(&mut whole));
                joined.extend_from_slice(&data);
            }
        }
        Ok(if joined.is_empty() {
            whole
        } else {
            joined.freeze()
        })
    }

    /// The connection is free for the next request, unless something speaks against it.
    fn end(&mut self) {
        self.sleep = None;
        if let Some(mut live) = self.live.take() {
            live.held.end(live.verdict, live.facts.is_sent());
        }
    }

    /// Closes the connection: what is under way on it is given up.
    fn give_up(&mut self) {
        self.sleep = None;
        self.live = None;
    }

    fn poll_limit(&mut self, cx: &mut Context<'_>) -> Poll<BodyError> {
        let Some(after) = self.limits.frame else {
            return Poll::Pending;
        };
        let timer = &self.limits.timer;
        let sleep = self.sleep.get_or_insert_with(|| timer.sleep(after));
        ready!(Pin::new(sleep).poll(cx));
        Poll::Ready(BodyError::Timeout { after })
    }
}

impl<C: Connect> Body for PooledBody<C> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let Some(live) = &mut this.live else {
            return Poll::Ready(None);
        };
        match Pin::new(&mut live.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                this.sleep = None;
                if live.body.is_end_stream() {
                    this.end();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                this.give_up();
                Poll::Ready(Some(Err(BodyError::Lost(error))))
            }
            Poll::Ready(None) => {
                this.end();
                Poll::Ready(None)
            }
            Poll::Pending => {
                let error = ready!(this.poll_limit(cx));
                this.give_up();
                Poll::Ready(Some(Err(error)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.live.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.live {
            Some(live) => live.body.size_hint(),
            None => SizeHint::with_exact(0),
        }
    }
}

impl<C: Connect> Drop for PooledBody<C> {
    fn drop(&mut self) {
        let Some(live) = self.live.take() else {
            return;
        };
        let left = live.body.size_hint().upper();
        let is_kept = matches!(live.verdict, Verdict::Keep(_));
        if !is_kept || left.is_none_or(|it| it > self.limits.drain) {
            return; // it comes back with something under way, and is closed
        }
        let runtime = live.held.runtime().clone();
        let timer = Arc::clone(&self.limits.timer);
        let mut body = Self {
            live: Some(live),
            // Should the runtime drop this, it is not begun again.
            limits: Limits {
                timer: Arc::clone(&timer),
                frame: None,
                drain: 0,
            },
            sleep: None,
        };
        runtime.spawn(async move {
            let rest = async { while let Some(Ok(_)) = body.frame().await {} };
            if timer.timeout(DRAIN, rest).await.is_err() {
                body.give_up();
            }
        });
    }
}

impl<C: Connect> fmt::Debug for PooledBody<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PooledBody")
            .field("has_ended", &self.live.is_none())
            .field("size_hint", &self.size_hint())
            .finish_non_exhaustive()
    }
}
