//! Requests as the pool sends them: addressed to its origin, with a body that tells when it is sent.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{HOST, HeaderValue};
use http::{Method, Request, Uri, Version};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Body, Frame, SizeHint};

use crate::error::SendError;
use crate::keep_alive::{has_token, says_close};
use crate::origin::Origin;

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// A body that sets a flag when nobody reads it any more.
pub(crate) struct RequestBody {
    inner: UnsyncBoxBody<Bytes, BoxError>,
    sent: Arc<AtomicBool>,
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        self.sent.store(true, Release);
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A request on its way.
pub(crate) struct Outgoing {
    pub(crate) request: Request<RequestBody>,
    pub(crate) facts: Facts,
}

/// What is known of a request after it has left.
pub(crate) struct Facts {
    sent: Arc<AtomicBool>,
    /// It says itself that its connection is to end.
    pub(crate) says_close: bool,
}

impl Facts {
    /// Whether all of its body is on its way. An answer may be complete before that is.
    pub(crate) fn is_sent(&self) -> bool {
        self.sent.load(Acquire)
    }
}

/// Makes a request fit for a connection to `origin`: a path as its address, a `Host`, version 1.1.
pub(crate) fn prepare<B>(
    request: Request<B>,
    origin: &Origin,
    host: &HeaderValue,
) -> Result<Outgoing, SendError>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let (mut head, body) = request.into_parts();
    if !origin.covers(&head.uri) {
        return Err(SendError::OtherOrigin {
            asked: head.uri.to_string(),
            origin: origin.clone(),
        });
    }
    if head.method == Method::CONNECT {
        return Err(SendError::Unsupported { what: "CONNECT" });
    }
    if has_token(&head.headers, "upgrade") {
        return Err(SendError::Unsupported { what: "an upgrade" });
    }
    let is_options = head.method == Method::OPTIONS && head.uri.path() == "*";
    if !is_options {
        head.uri = path_of(&head.uri);
    }
    head.version = Version::HTTP_11;
    head.headers.entry(HOST).or_insert_with(|| host.clone());
    let sent = Arc::new(AtomicBool::new(false));
    let facts = Facts {
        sent: Arc::clone(&sent),
        says_close: says_close(&head.headers),
    };
    let inner = body.map_err(Into::into).boxed_unsync();
    let request = Request::from_parts(head, RequestBody { inner, sent });
    Ok(Outgoing { request, facts })
}

fn path_of(uri: &Uri) -> Uri {
    match uri.path_and_query() {
        Some(path) if !path.as_str().is_empty() => Uri::from(path.clone()),
        _ => Uri::from_static("/"),
    }
}
