//! One request on one connection, up to the head of its answer.

use std::time::Duration;

use brolly_resource_pool::OwnedGuard;
use brolly_sync::{Timer, TimerExt};
use http::{Request, Response};
use hyper::body::Incoming;

use crate::connect::Connect;
use crate::error::SendError;
use crate::manager::HttpManager;
use crate::request::RequestBody;

pub(crate) type Held<C> = OwnedGuard<HttpManager<C>>;

/// What became of it.
pub(crate) enum Outcome<C: Connect> {
    Answered(Response<Incoming>, Held<C>),
    /// The connection turned out to be closed, and nothing was sent.
    Unsent(Request<RequestBody>, hyper::Error),
    Failed(SendError),
}

/// # Cancel safety
///
/// Dropping the future gives the connection back as one on which something is under way, which
/// closes it: nobody reads another's answer.
pub(crate) async fn exchange<C: Connect>(
    mut held: Held<C>,
    request: Request<RequestBody>,
    timer: &dyn Timer,
    limit: Duration,
) -> Outcome<C> {
    held.begin();
    let sender = &mut held.sender;
    let sent = async {
        // Whoever had it before may have got the end of the answer before the connection itself
        // looks for the next request.
        if let Err(error) = sender.ready().await {
            return Err((Some(request), error));
        }
        let answer = sender.try_send_request(request).await;
        answer.map_err(|mut error| (error.take_message(), error.into_error()))
    };
    match timer.timeout(limit, sent).await {
        Ok(Ok(answer)) => Outcome::Answered(answer, held),
        Ok(Err((Some(request), error))) => {
            held.fail();
            Outcome::Unsent(request, error)
        }
        Ok(Err((None, error))) => {
            held.fail();
            Outcome::Failed(classify(error))
        }
        Err(_) => Outcome::Failed(SendError::Timeout { after: limit }),
    }
}

fn classify(error: hyper::Error) -> SendError {
    if error.is_user() {
        SendError::Request(error)
    } else if error.is_parse() {
        SendError::BadAnswer(error)
    } else {
        SendError::Lost {
            may_have_been_sent: true,
            source: error,
        }
    }
}
