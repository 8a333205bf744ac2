//! Calls that are dropped before they end.

use brolly_circuit_breaker::{CircuitBreaker, State};

use crate::support::{SECOND, fail, pending, poll, succeed, with_clock};

#[test]
fn a_call_dropped_at_any_poll_says_nothing_about_the_service() {
    const POLLS: usize = 5;
    for state in [State::Closed, State::HalfOpen] {
        for polls in 0..=POLLS {
            let (breaker, clock) = with_clock(CircuitBreaker::builder().consecutive_failures(1));
            if state == State::HalfOpen {
                fail(&breaker).unwrap();
                clock.advance(60 * SECOND);
            }
            let mut call = Box::pin(breaker.call(|| async {
                pending(POLLS).await;
                Err::<(), _>("only if it ends")
            }));
            for _ in 0..polls {
                assert!(poll(call.as_mut()).is_pending());
            }
            if state == State::HalfOpen && polls > 0 {
                assert!(breaker.try_acquire().is_err());
            }
            drop(call);
            assert_eq!(breaker.state(), state, "after {polls} polls");
            assert_eq!(breaker.snapshot().probes_in_flight, 0);
            assert_eq!(breaker.snapshot().totals.cancelled, u64::from(polls > 0));
            succeed(&breaker).unwrap();
            assert_eq!(breaker.state(), State::Closed);
        }
    }
}

#[test]
fn a_fallback_dropped_at_any_poll_changes_nothing() {
    for polls in 0..=4 {
        let (breaker, _) = with_clock(CircuitBreaker::builder());
        let mut call = Box::pin(breaker.call_or(
            || async {
                pending(2).await;
                Err::<(), _>("down")
            },
            |_| async {
                pending(2).await;
                Ok::<_, ()>(())
            },
        ));
        for _ in 0..polls {
            assert!(poll(call.as_mut()).is_pending());
        }
        drop(call);
        let failures = u32::from(polls > 2);
        assert_eq!(
            breaker.snapshot().window.failures,
            failures,
            "after {polls} polls"
        );
    }
}

#[test]
fn cancelled_calls_count_as_failures_where_that_is_asked_for() {
    let builder = CircuitBreaker::builder().consecutive_failures(2);
    let (breaker, clock) = with_clock(builder.count_cancel_as_failure(true));
    for _ in 0..2 {
        let mut call = Box::pin(breaker.call(|| async {
            pending(1).await;
            Ok::<_, ()>(())
        }));
        assert!(poll(call.as_mut()).is_pending());
    }
    assert_eq!(breaker.state(), State::Open);
    clock.advance(60 * SECOND);
    drop(breaker.try_acquire().unwrap());
    assert_eq!(breaker.state(), State::Open);
    assert_eq!(breaker.snapshot().totals.failures, 3);
}

#[test]
fn ten_thousand_cancelled_or_panicking_probes_do_not_wedge_it() {
    let builder = CircuitBreaker::builder()
        .consecutive_failures(1)
        .permitted_probes(3);
    let builder = builder.open_for(SECOND).count_panic_as_failure(false);
    let (breaker, clock) = with_clock(builder);
    fail(&breaker).unwrap();
    clock.advance(SECOND);
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    for round in 0..10_000 {
        if round % 2 == 0 {
            let mut call = Box::pin(breaker.call(|| async {
                pending(1).await;
                Ok::<_, ()>(())
            }));
            assert!(poll(call.as_mut()).is_pending());
        } else {
            let call = || breaker.call_sync(|| -> Result<(), ()> { panic!("in a probe") });
            let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(call));
            assert!(panicked.is_err());
        }
    }
    std::panic::set_hook(hook);
    assert_eq!(breaker.state(), State::HalfOpen);
    assert_eq!(breaker.snapshot().probes_in_flight, 0);
    assert_eq!(breaker.snapshot().totals.cancelled, 10_000);
    succeed(&breaker).unwrap();
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn a_call_that_was_never_polled_takes_no_probe() {
    let (breaker, clock) = with_clock(CircuitBreaker::builder().consecutive_failures(1));
    fail(&breaker).unwrap();
    clock.advance(60 * SECOND);
    let waiting: Vec<_> = (0..10)
        .map(|_| breaker.call(|| async { Ok::<_, ()>(()) }))
        .collect();
    assert_eq!(breaker.snapshot().probes_in_flight, 0);
    drop(waiting);
    succeed(&breaker).unwrap();
}

#[test]
fn an_owned_permit_outlives_its_handle_and_gives_its_probe_back() {
    let (breaker, clock) = with_clock(CircuitBreaker::builder().consecutive_failures(1));
    fail(&breaker).unwrap();
    clock.advance(60 * SECOND);
    let other = breaker.clone();
    let permit = breaker.try_acquire_owned().unwrap();
    drop(breaker);
    std::thread::spawn(move || drop(permit)).join().unwrap();
    succeed(&other).unwrap();
    assert_eq!(other.state(), State::Closed);
}
