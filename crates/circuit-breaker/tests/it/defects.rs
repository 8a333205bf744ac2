//! What goes wrong in other breakers, and must not here.

use brolly_circuit_breaker::{CircuitBreaker, State};

use crate::support::{SECOND, fail, succeed, with_clock};

/// One that never forgets needs as many failures as it has seen successes.
#[test]
fn after_a_hundred_thousand_successes_a_count_window_still_opens_within_its_size() {
    let (breaker, _) = with_clock(
        CircuitBreaker::builder()
            .count_window(100)
            .failure_rate(0.5),
    );
    for _ in 0..100_000 {
        succeed(&breaker).unwrap();
    }
    let failures = (0..).take_while(|_| fail(&breaker).is_ok()).count();
    assert_eq!(failures, 50);
}

/// One that is fed by nobody lets everything through.
#[test]
fn a_time_window_is_fed_by_the_calls() {
    let (breaker, _) = with_clock(CircuitBreaker::builder().time_window(10 * SECOND));
    let failures = (0..10_000).take_while(|_| fail(&breaker).is_ok()).count();
    assert_eq!(failures, 10);
}

/// One whose ring has to be full first lets a dead service be called that often.
#[test]
fn a_window_need_not_be_full_to_open() {
    let builder = CircuitBreaker::builder()
        .count_window(1_000)
        .minimum_calls(10);
    let (breaker, _) = with_clock(builder);
    let failures = (0..10_000).take_while(|_| fail(&breaker).is_ok()).count();
    assert_eq!(failures, 10);
}

/// A failure that began before the outage ended reopens some, and loses the probe's success.
#[test]
fn a_late_failure_does_not_open_it_again_while_a_good_probe_runs() {
    let (breaker, clock) = with_clock(CircuitBreaker::builder().consecutive_failures(1));
    let stale = breaker.try_acquire().unwrap();
    fail(&breaker).unwrap();
    clock.advance(60 * SECOND);
    let probe = breaker.try_acquire().unwrap();
    stale.failure();
    assert_eq!(breaker.state(), State::HalfOpen);
    probe.success();
    assert_eq!(breaker.state(), State::Closed);
}

/// The permit of an earlier state, given back later, adds one to the probes of some.
#[test]
fn a_permit_of_an_earlier_state_frees_no_probe() {
    let (breaker, clock) = with_clock(CircuitBreaker::builder().consecutive_failures(1));
    let stale: Vec<_> = (0..5).map(|_| breaker.try_acquire().unwrap()).collect();
    fail(&breaker).unwrap();
    clock.advance(60 * SECOND);
    let probe = breaker.try_acquire().unwrap();
    drop(stale);
    assert!(breaker.try_acquire().is_err(), "the one probe is out");
    drop(probe);
    assert!(breaker.try_acquire().is_ok());
}

/// Some admit every caller once the open time is over.
#[test]
fn of_a_crowd_that_waited_for_the_open_time_one_probe_runs() {
    let (breaker, clock) = with_clock(CircuitBreaker::builder().consecutive_failures(1));
    fail(&breaker).unwrap();
    clock.advance(60 * SECOND);
    let admitted: Vec<_> = (0..32).filter_map(|_| breaker.try_acquire().ok()).collect();
    assert_eq!(admitted.len(), 1);
}

/// One failure that was not meant for it wedged one; panics wedged another.
#[test]
fn no_outcome_of_a_probe_wedges_it() {
    let builder = CircuitBreaker::builder()
        .consecutive_failures(1)
        .success_threshold(2);
    let (breaker, clock) = with_clock(builder);
    fail(&breaker).unwrap();
    // A leaked probe is overdue after a minute, and then it is open for another.
    let probe = || loop {
        match breaker.try_acquire() {
            Ok(probe) => break probe,
            Err(rejection) => clock.advance(rejection.retry_after().unwrap()),
        }
    };
    for round in 0..1_000 {
        match (probe(), round % 5) {
            (probe, 0) => probe.failure(),
            (probe, 1) => probe.success(),
            (probe, 2) => probe.ignore(),
            (probe, 3) => std::mem::forget(probe),
            (probe, _) => drop(probe),
        }
        assert_ne!(breaker.snapshot().state, State::Closed);
    }
    probe().success();
    probe().success();
    assert_eq!(breaker.state(), State::Closed);
}

/// Half-open, a time window lets the successes of probes expire before the last one is in.
#[test]
fn the_results_of_probes_do_not_expire_with_a_time_window() {
    let builder = CircuitBreaker::builder()
        .time_window(SECOND)
        .failures(1)
        .success_threshold(3);
    let (breaker, clock) = with_clock(builder.max_half_open_wait(None));
    fail(&breaker).unwrap();
    for _ in 0..3 {
        clock.advance(60 * SECOND);
        succeed(&breaker).unwrap();
    }
    assert_eq!(breaker.state(), State::Closed);
}

/// A failure of the first probe reopened the original only by the count of the closed time.
#[test]
fn the_first_failed_probe_opens_it_again_whatever_the_threshold() {
    let (breaker, clock) = with_clock(CircuitBreaker::builder().consecutive_failures(50));
    for _ in 0..50 {
        fail(&breaker).unwrap();
    }
    clock.advance(60 * SECOND);
    fail(&breaker).unwrap();
    assert_eq!(breaker.state(), State::Open);
}

/// A window of one slice is not a special case.
#[test]
fn the_smallest_windows_work() {
    for builder in [
        CircuitBreaker::builder().count_window(1).failures(1),
        CircuitBreaker::builder()
            .time_window_in(SECOND, 1)
            .failures(1),
    ] {
        let (breaker, clock) = with_clock(builder);
        succeed(&breaker).unwrap();
        clock.advance(5 * SECOND);
        fail(&breaker).unwrap();
        assert_eq!(breaker.state(), State::Open);
    }
}
