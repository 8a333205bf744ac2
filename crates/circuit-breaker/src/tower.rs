//! A breaker around a tower service, and the layer that puts it there.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::breaker::CircuitBreaker;
use crate::error::{CallError, Rejection};
use crate::gate::Ending;
use crate::outcome::{AnyError, Classifier};
use crate::permit::Permit;

/// Puts a breaker around services. All that come from one layer share the breaker.
///
/// ```
/// use brolly_circuit_breaker::{CircuitBreaker, tower::CircuitBreakerLayer};
///
/// let breaker = CircuitBreaker::builder().name("search").build()?;
/// let layer = CircuitBreakerLayer::new(breaker.clone());
/// # let _ = layer;
/// # Ok::<(), brolly_circuit_breaker::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct CircuitBreakerLayer<C = AnyError> {
    breaker: CircuitBreaker<C>,
}

impl<C> CircuitBreakerLayer<C> {
    /// A layer for this breaker.
    pub fn new(breaker: CircuitBreaker<C>) -> Self {
        Self { breaker }
    }
}

impl<S, C: Clone> Layer<S> for CircuitBreakerLayer<C> {
    type Service = CircuitBreakerService<S, C>;

    fn layer(&self, inner: S) -> Self::Service {
        CircuitBreakerService::new(inner, self.breaker.clone())
    }
}

/// A service whose requests go through a breaker.
///
/// It is ready when the inner service is: a service that is not ready must not hold a probe. The
/// breaker is asked when a request comes, and a rejected request is answered at once without
/// calling the inner service. No runtime is needed, and nothing is allocated.
///
/// A response future that is dropped was cancelled; see
/// [`count_cancel_as_failure`](crate::CircuitBreakerBuilder::count_cancel_as_failure). Errors of
/// `poll_ready` are passed on, and the breaker learns nothing from them.
#[derive(Clone)]
pub struct CircuitBreakerService<S, C = AnyError> {
    inner: S,
    breaker: CircuitBreaker<C>,
}

impl<S, C> CircuitBreakerService<S, C> {
    /// A breaker around this service.
    pub fn new(inner: S, breaker: CircuitBreaker<C>) -> Self {
        Self { inner, breaker }
    }

    /// The breaker.
    pub fn breaker(&self) -> &CircuitBreaker<C> {
        &self.breaker
    }

    /// The service within.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The service within.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, C, R> Service<R> for CircuitBreakerService<S, C>
where
    S: Service<R>,
    C: Classifier<S::Response, S::Error> + Clone,
{
    type Response = S::Response;
    type Error = CallError<S::Error>;
    type Future = ResponseFuture<S::Future, C>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(CallError::Inner)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let state = match self.breaker.try_acquire_owned() {
            Ok(permit) => State::Running {
                // The permit last: until then it is told of a panic by its own destructor.
                classifier: self.breaker.classifier().clone(),
                future: self.inner.call(request),
                permit: Held(Some(permit)),
            },
            Err(rejection) => State::Rejected {
                rejection: Some(rejection),
            },
        };
        ResponseFuture { state }
    }
}

pin_project! {
    /// The response to a request that went through a breaker, or was rejected.
    ///
    /// # Panics
    ///
    /// Polled again after its end, as futures may.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F, C> {
        #[pin]
        state: State<F, C>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F, C> {
        Running {
            #[pin]
            future: F,
            permit: Held,
            classifier: C,
        },
        Rejected {
            rejection: Option<Rejection>,
        },
    }
}

impl<F, C, T, E> Future for ResponseFuture<F, C>
where
    F: Future<Output = Result<T, E>>,
    C: Classifier<T, E>,
{
    type Output = Result<T, CallError<E>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Running {
                future,
                permit,
                classifier,
            } => {
                let at_work = AtWork(&mut permit.0);
                let polled = future.poll(cx).map(|result| {
                    let outcome = classifier.classify(&result);
                    (result, outcome)
                });
                std::mem::forget(at_work);
                let (result, outcome) = ready!(polled);
                if let Some(permit) = permit.0.take() {
                    permit.record(outcome);
                }
                Poll::Ready(result.map_err(CallError::Inner))
            }
            StateProjection::Rejected { rejection } => {
                let rejection = rejection.take().expect("it is not polled after its end");
                Poll::Ready(Err(CallError::Rejected(rejection)))
            }
        }
    }
}

/// The permit of a request that waits. Dropped then, it was cancelled, whatever else goes on in the
/// thread.
struct Held(Option<Permit<'static>>);

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(permit) = self.0.take() {
            permit.end_as(Ending::Cancelled);
        }
    }
}

/// Ends the permit while the inner future or the classifier unwinds, if it does: later, when the
/// response future is dropped, nobody could tell a panic from a cancelled call.
struct AtWork<'a>(&'a mut Option<Permit<'static>>);

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        if let Some(permit) = self.0.take() {
            permit.end_as(Ending::Panicked);
        }
    }
}

impl<C> fmt::Debug for CircuitBreakerLayer<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CircuitBreakerLayer")
            .field(&self.breaker)
            .finish()
    }
}

impl<S: fmt::Debug, C> fmt::Debug for CircuitBreakerService<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreakerService")
            .field("inner", &self.inner)
            .field("breaker", &self.breaker)
            .finish()
    }
}

impl<F, C> fmt::Debug for ResponseFuture<F, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_rejected = matches!(self.state, State::Rejected { .. });
        f.debug_struct("ResponseFuture")
            .field("is_rejected", &is_rejected)
            .finish_non_exhaustive()
    }
}
