//! A breaker around a tower service, without any runtime.

use std::future::{Ready, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use brolly_circuit_breaker::tower::{CircuitBreakerLayer, CircuitBreakerService};
use brolly_circuit_breaker::{CallError, CircuitBreaker, Outcome, State};
use tower_layer::Layer;
use tower_service::Service;

use crate::support::{SECOND, pending, poll, with_clock};

#[derive(Clone)]
struct Echo;

impl Service<Result<u8, &'static str>> for Echo {
    type Response = u8;
    type Error = &'static str;
    type Future = Ready<Result<u8, &'static str>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Result<u8, &'static str>) -> Self::Future {
        ready(request)
    }
}

fn now<F: Future>(future: F) -> F::Output {
    match poll(std::pin::pin!(future)) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it is ready"),
    }
}

#[test]
fn requests_go_through_the_breaker() {
    let (breaker, clock) = with_clock(CircuitBreaker::builder().consecutive_failures(2));
    let layer = CircuitBreakerLayer::new(breaker.clone());
    let (mut first, mut second) = (layer.layer(Echo), layer.layer(Echo));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(first.poll_ready(&mut cx).is_ready());
    assert_eq!(now(first.call(Ok(1))), Ok(1));
    assert_eq!(now(first.call(Err("down"))), Err(CallError::Inner("down")));
    assert_eq!(now(second.call(Err("down"))), Err(CallError::Inner("down")));
    assert_eq!(breaker.state(), State::Open);
    // It stays ready: a request is what is rejected.
    assert!(first.poll_ready(&mut cx).is_ready());
    assert!(now(first.call(Ok(1))).unwrap_err().is_rejected());
    clock.advance(60 * SECOND);
    assert_eq!(now(second.call(Ok(2))), Ok(2));
    assert_eq!(first.breaker().state(), State::Closed);
}

#[test]
fn responses_can_be_failures() {
    let breaker = CircuitBreaker::builder().consecutive_failures(1);
    let breaker = breaker.classify(|result: &Result<u8, &'static str>| match result {
        Ok(5) => Outcome::Failure,
        _ => Outcome::Success,
    });
    let mut service = CircuitBreakerService::new(Echo, breaker.build().unwrap());
    assert_eq!(
        now(service.call(Err("fine"))),
        Err(CallError::Inner("fine"))
    );
    assert_eq!(now(service.call(Ok(5))), Ok(5));
    assert!(now(service.call(Ok(1))).unwrap_err().is_rejected());
}

/// Pending twice, then what it is told, or a panic.
#[derive(Clone)]
struct Slow;

impl Service<bool> for Slow {
    type Response = ();
    type Error = ();
    type Future = Pin<Box<dyn Future<Output = Result<(), ()>>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ()>> {
        Poll::Pending
    }

    fn call(&mut self, panics: bool) -> Self::Future {
        Box::pin(async move {
            pending(2).await;
            assert!(!panics, "the service");
            Ok(())
        })
    }
}

#[test]
fn a_response_dropped_at_any_poll_was_cancelled_and_frees_its_probe() {
    let (breaker, clock) = with_clock(CircuitBreaker::builder().consecutive_failures(1));
    let mut service = CircuitBreakerService::new(Slow, breaker.clone());
    breaker.try_acquire().unwrap().failure();
    clock.advance(60 * SECOND);
    for polls in 0..=2 {
        let mut response = Box::pin(service.call(false));
        for _ in 0..polls {
            assert!(poll(response.as_mut()).is_pending());
        }
        assert_eq!(breaker.snapshot().probes_in_flight, 1);
        drop(response);
        assert_eq!(breaker.snapshot().probes_in_flight, 0);
    }
    assert_eq!(breaker.snapshot().totals.cancelled, 3);
}

#[test]
fn a_service_that_is_not_ready_holds_no_probe() {
    let (breaker, clock) = with_clock(CircuitBreaker::builder().consecutive_failures(1));
    breaker.try_acquire().unwrap().failure();
    clock.advance(60 * SECOND);
    let mut service = CircuitBreakerService::new(Slow, breaker.clone());
    let mut cx = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut cx).is_pending());
    assert!(breaker.try_acquire().is_ok());
}

#[test]
fn a_response_that_panics_is_a_failure_even_if_it_is_dropped_later() {
    let (breaker, _) = with_clock(CircuitBreaker::builder().consecutive_failures(1));
    let mut service = CircuitBreakerService::new(Slow, breaker.clone());
    let mut response = Box::pin(service.call(true));
    for _ in 0..2 {
        assert!(poll(response.as_mut()).is_pending());
    }
    let panicked = catch_unwind(AssertUnwindSafe(|| poll(response.as_mut()).is_ready()));
    assert!(panicked.is_err());
    assert_eq!(breaker.state(), State::Open);
    drop(response);
    assert_eq!(breaker.snapshot().totals.failures, 1);
}

#[test]
fn a_response_that_waits_while_its_neighbour_panics_was_cancelled() {
    let (breaker, _) = with_clock(CircuitBreaker::builder().consecutive_failures(1));
    let mut service = CircuitBreakerService::new(Slow, breaker.clone());
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let mut response = Box::pin(service.call(true));
        assert!(poll(response.as_mut()).is_pending());
        panic!("elsewhere");
    }));
    assert!(panicked.is_err());
    assert_eq!(breaker.state(), State::Closed);
    let totals = breaker.snapshot().totals;
    assert_eq!((totals.cancelled, totals.failures), (1, 0));
}

#[test]
fn a_classifier_that_panics_is_a_panic_even_if_the_response_is_dropped_later() {
    let breaker = CircuitBreaker::builder()
        .consecutive_failures(1)
        .classify(|_: &Result<u8, &'static str>| -> Outcome { panic!("classifier") })
        .build()
        .unwrap();
    let mut service = CircuitBreakerService::new(Echo, breaker.clone());
    let mut response = Box::pin(service.call(Ok(1)));
    let polled = catch_unwind(AssertUnwindSafe(|| poll(response.as_mut())));
    assert!(polled.is_err());
    drop(response);
    assert_eq!(breaker.state(), State::Open);
    assert_eq!(breaker.snapshot().totals.failures, 1);
}
