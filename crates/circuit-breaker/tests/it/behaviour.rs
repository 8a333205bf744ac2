//! The states, and the calls that change them.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use brolly_circuit_breaker::{CallError, CircuitBreaker, Jitter, Outcome, State};
use brolly_sync::{Clock, ManualClock};

use crate::support::{SECOND, fail, pending, succeed, with_clock};

#[test]
fn it_opens_after_five_failures_in_a_row_and_probes_after_a_minute() {
    let (breaker, clock) = with_clock(CircuitBreaker::builder());
    for _ in 0..4 {
        fail(&breaker).unwrap();
    }
    succeed(&breaker).unwrap();
    for _ in 0..5 {
        assert_eq!(breaker.state(), State::Closed);
        fail(&breaker).unwrap();
    }
    assert_eq!(breaker.state(), State::Open);
    clock.advance(59 * SECOND);
    let rejected = fail(&breaker).unwrap_err();
    assert_eq!(rejected.rejection().unwrap().retry_after(), Some(SECOND));
    clock.advance(SECOND);
    assert_eq!(breaker.state(), State::HalfOpen);
    succeed(&breaker).unwrap();
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test]
async fn results_and_errors_keep_their_types() {
    let (breaker, _) = with_clock(CircuitBreaker::builder().consecutive_failures(1));
    let value: Result<Vec<u8>, CallError<std::num::ParseIntError>> =
        breaker.call(|| async { Ok(vec![1]) }).await;
    assert_eq!(value, Ok(vec![1]));
    let failed = breaker.call(|| async { "x".parse::<u8>() }).await;
    assert_eq!(failed.unwrap_err().into_inner(), "x".parse::<u8>().err());
    let rejected = breaker.call(|| async { "7".parse::<u8>() }).await;
    assert!(rejected.unwrap_err().is_rejected());
}

#[test]
fn a_rejection_names_breaker_state_and_time_and_has_a_stable_text() {
    let builder = CircuitBreaker::builder()
        .name("search")
        .consecutive_failures(1);
    let (breaker, clock) = with_clock(builder.open_for(90 * SECOND));
    fail(&breaker).unwrap();
    clock.advance(Duration::from_millis(500));
    let error = breaker
        .call_sync(|| Ok::<_, std::io::Error>(()))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "circuit breaker \"search\" is open, retry after 89.5s"
    );
    let rejection = error.rejection().unwrap();
    assert_eq!(*rejection.name(), "search");
    assert_eq!(
        (rejection.state(), rejection.generation()),
        (State::Open, 1)
    );
    breaker.force_open();
    let error = breaker.try_acquire().unwrap_err();
    assert_eq!(
        error.to_string(),
        "circuit breaker \"search\" is forced open"
    );
    assert_eq!(error.retry_after(), None);
}

#[test]
fn what_an_inner_error_wraps_can_be_reached() {
    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] std::fmt::Error);
    let (breaker, _) = with_clock(CircuitBreaker::builder());
    let error = breaker
        .call_sync(|| Err::<(), _>(Outer(std::fmt::Error)))
        .unwrap_err();
    let source = std::error::Error::source(&error).unwrap();
    assert!(source.is::<std::fmt::Error>());
    assert_eq!(error.to_string(), "outer");
}

#[test]
fn a_rejected_operation_does_not_run() {
    let (breaker, _) = with_clock(CircuitBreaker::builder());
    breaker.force_open();
    let mut ran = false;
    let result = breaker.call_sync(|| {
        ran = true;
        Ok::<_, ()>(())
    });
    assert!(result.is_err() && !ran);
}

#[test]
fn half_open_lets_so_many_probes_run_at_a_time_and_no_more() {
    let builder = CircuitBreaker::builder()
        .consecutive_failures(1)
        .permitted_probes(3);
    let (breaker, clock) = with_clock(builder.success_threshold(4).open_for(30 * SECOND));
    fail(&breaker).unwrap();
    clock.advance(30 * SECOND);
    let mut probes: Vec<_> = (0..3).map(|_| breaker.try_acquire().unwrap()).collect();
    assert!(probes.iter().all(|probe| probe.is_probe()));
    let rejection = breaker.try_acquire().unwrap_err();
    assert_eq!(rejection.state(), State::HalfOpen);
    // Nobody knows when a probe ends; should it fail, it would be open for 30 seconds.
    assert_eq!(rejection.retry_after(), Some(30 * SECOND));
    probes.pop().unwrap().success();
    probes.push(breaker.try_acquire().unwrap());
    assert!(breaker.try_acquire().is_err());
    assert_eq!(breaker.snapshot().probes_in_flight, 3);
    drop(probes);
    for _ in 0..3 {
        assert_eq!(breaker.state(), State::HalfOpen);
        succeed(&breaker).unwrap();
    }
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn a_failed_probe_opens_it_again_and_the_time_starts_anew() {
    let builder = CircuitBreaker::builder()
        .consecutive_failures(1)
        .success_threshold(2);
    let (breaker, clock) = with_clock(builder.open_for(10 * SECOND));
    fail(&breaker).unwrap();
    clock.advance(10 * SECOND);
    succeed(&breaker).unwrap();
    clock.advance(3 * SECOND);
    fail(&breaker).unwrap();
    assert_eq!(breaker.snapshot().retry_after, Some(10 * SECOND));
    clock.advance(10 * SECOND);
    // The success of the time before does not count.
    succeed(&breaker).unwrap();
    assert_eq!(breaker.state(), State::HalfOpen);
    succeed(&breaker).unwrap();
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn a_share_of_probes_decides_as_soon_as_it_is_certain() {
    let builder = CircuitBreaker::builder()
        .consecutive_failures(1)
        .permitted_probes(10);
    let (breaker, clock) = with_clock(builder.success_rate(4, 0.75).open_for(SECOND));
    fail(&breaker).unwrap();
    clock.advance(SECOND);
    fail(&breaker).unwrap();
    succeed(&breaker).unwrap();
    assert_eq!(breaker.state(), State::HalfOpen);
    succeed(&breaker).unwrap();
    succeed(&breaker).unwrap();
    assert_eq!(breaker.state(), State::Closed);
    fail(&breaker).unwrap();
    clock.advance(SECOND);
    fail(&breaker).unwrap();
    fail(&breaker).unwrap();
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn a_probe_that_never_ends_gives_way_after_the_longest_wait() {
    let builder = CircuitBreaker::builder()
        .consecutive_failures(1)
        .open_for(SECOND);
    let (breaker, clock) = with_clock(builder.max_half_open_wait(5 * SECOND));
    fail(&breaker).unwrap();
    clock.advance(SECOND);
    std::mem::forget(breaker.try_acquire().unwrap());
    clock.advance(4 * SECOND);
    // What is left for the probe is longer than it would be open.
    assert_eq!(
        breaker.try_acquire().unwrap_err().retry_after(),
        Some(SECOND)
    );
    clock.advance(SECOND);
    assert_eq!(breaker.state(), State::Open);
    assert_eq!(breaker.try_acquire().unwrap_err().state(), State::Open);
    clock.advance(SECOND);
    succeed(&breaker).unwrap();
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn a_probe_that_ends_after_its_time_changes_nothing() {
    let builder = CircuitBreaker::builder()
        .consecutive_failures(1)
        .open_for(SECOND);
    let (breaker, clock) = with_clock(builder.max_half_open_wait(5 * SECOND));
    fail(&breaker).unwrap();
    clock.advance(SECOND);
    let late = breaker.try_acquire().unwrap();
    clock.advance(5 * SECOND);
    assert!(breaker.try_acquire().is_err());
    clock.advance(SECOND);
    let probe = breaker.try_acquire().unwrap();
    late.success();
    assert_eq!(breaker.state(), State::HalfOpen);
    assert_eq!(breaker.snapshot().probes_in_flight, 1);
    probe.success();
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn ignored_results_count_nowhere_and_give_back_their_probe() {
    let (breaker, clock) = with_clock(CircuitBreaker::builder().consecutive_failures(2));
    fail(&breaker).unwrap();
    breaker.try_acquire().unwrap().ignore();
    fail(&breaker).unwrap();
    assert_eq!(breaker.state(), State::Open);
    clock.advance(60 * SECOND);
    for _ in 0..100 {
        breaker.try_acquire().unwrap().ignore();
    }
    assert_eq!(breaker.state(), State::HalfOpen);
    succeed(&breaker).unwrap();
    assert_eq!(breaker.snapshot().totals.ignored, 101);
}

#[test]
fn errors_and_results_are_told_apart_three_ways() {
    let by_status = |result: &Result<u16, &str>| match result {
        Err(_) | Ok(500..) => Outcome::Failure,
        Ok(400..) => Outcome::Ignored,
        Ok(_) => Outcome::Success,
    };
    let breaker = CircuitBreaker::builder()
        .consecutive_failures(3)
        .classify(by_status);
    let breaker = breaker.clock(ManualClock::new()).build().unwrap();
    for result in [Ok(503), Ok(404), Err("refused"), Ok(400)] {
        assert_eq!(
            breaker.call_sync(|| result),
            result.map_err(CallError::Inner)
        );
    }
    assert_eq!(breaker.snapshot().window.failures, 2);
    let _ = breaker.call_sync(|| Ok(200));
    assert_eq!(breaker.snapshot().window.failures, 0);
    let errors = breaker.with_classifier(|result: &Result<(), u8>| match result {
        Err(1) => Outcome::Ignored,
        _ => Outcome::Failure,
    });
    for error in [1, 2, 2, 2] {
        let _ = errors.call_sync(|| Err::<(), _>(error));
    }
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn errors_can_be_classified_alone() {
    let builder = CircuitBreaker::builder().consecutive_failures(1);
    let breaker = builder
        .classify_errors(|error: &std::fmt::Error| {
            let _ = error;
            Outcome::Ignored
        })
        .build()
        .unwrap();
    let _ = breaker.call_sync(|| Err::<(), _>(std::fmt::Error));
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn bad_requests_never_open_a_breaker_that_goes_by_error_class() {
    use std::io::{Error, ErrorKind};
    let builder = CircuitBreaker::builder().consecutive_failures(2);
    let breaker = builder.classify_by_error_class().build().unwrap();
    for _ in 0..100 {
        let _ = breaker.call_sync(|| Err::<(), _>(Error::from(ErrorKind::InvalidInput)));
    }
    assert_eq!(breaker.state(), State::Closed);
    for _ in 0..2 {
        let _ = breaker.call_sync(|| Err::<(), _>(Error::from(ErrorKind::ConnectionRefused)));
    }
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn a_batch_of_failures_counts_once() {
    let (breaker, _) = with_clock(CircuitBreaker::builder());
    let batch = [Err::<(), _>("down"); 25];
    let _ = breaker.call_sync(|| batch.into_iter().collect::<Result<Vec<_>, _>>());
    assert_eq!(breaker.snapshot().window.failures, 1);
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn slow_calls_open_it_whether_or_not_they_fail() {
    let builder = CircuitBreaker::builder().count_window(4).minimum_calls(4);
    let (breaker, clock) = with_clock(builder.slow_call_rate(SECOND, 0.5));
    let call = |takes: Duration, result: Result<(), &'static str>| {
        breaker.call_sync(|| {
            clock.advance(takes);
            result
        })
    };
    let _ = call(SECOND, Err("at the limit is not slow"));
    let _ = call(2 * SECOND, Ok(()));
    let _ = call(SECOND, Ok(()));
    assert_eq!(breaker.state(), State::Closed);
    let _ = call(SECOND + Duration::from_nanos(1), Err("slow"));
    assert_eq!(breaker.state(), State::Open);
    assert_eq!(breaker.snapshot().totals.slow_calls, 2);
    // A probe that is right but slow shows that the service is not well.
    clock.advance(60 * SECOND);
    let _ = call(2 * SECOND, Ok(()));
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn a_success_can_be_the_call_that_completes_the_minimum() {
    let builder = CircuitBreaker::builder()
        .count_window(10)
        .failure_rate(0.5)
        .minimum_calls(4);
    let (breaker, _) = with_clock(builder);
    fail(&breaker).unwrap();
    fail(&breaker).unwrap();
    succeed(&breaker).unwrap();
    assert_eq!(breaker.state(), State::Closed);
    succeed(&breaker).unwrap();
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn old_failures_leave_a_time_window() {
    let (breaker, clock) = with_clock(CircuitBreaker::github());
    for _ in 0..20 {
        for _ in 0..4 {
            fail(&breaker).unwrap();
        }
        clock.advance(120 * SECOND);
    }
    assert_eq!(breaker.snapshot().window.failures, 0);
    assert_eq!(breaker.state(), State::Closed);
    for _ in 0..5 {
        clock.advance(20 * SECOND);
        fail(&breaker).unwrap();
    }
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn the_presets_are_those_of_their_names() {
    for (preset, name, failures, open_for, span) in [
        (CircuitBreaker::github(), "github", 5, 60, 120),
        (CircuitBreaker::network(), "network", 3, 30, 60),
    ] {
        let (breaker, clock) = with_clock(preset);
        assert_eq!(*breaker.name(), name);
        fail(&breaker).unwrap();
        clock.advance(span * SECOND);
        for _ in 0..failures {
            assert_eq!(breaker.state(), State::Closed);
            fail(&breaker).unwrap();
        }
        clock.advance(open_for * SECOND - Duration::from_nanos(1));
        assert_eq!(breaker.state(), State::Open);
        clock.advance(Duration::from_nanos(1));
        succeed(&breaker).unwrap();
        assert_eq!(breaker.state(), State::HalfOpen);
        succeed(&breaker).unwrap();
        assert_eq!(breaker.state(), State::Closed);
    }
}

#[test]
fn each_opening_in_a_row_lasts_longer_up_to_the_limit() {
    let builder = CircuitBreaker::builder().consecutive_failures(1);
    let (breaker, clock) = with_clock(builder.open_for(SECOND).backoff(3.0, 10 * SECOND));
    for lasts in [1, 3, 9, 10, 10] {
        fail(&breaker).unwrap();
        assert_eq!(breaker.snapshot().retry_after, Some(lasts * SECOND));
        clock.advance(lasts * SECOND);
    }
    assert_eq!(breaker.snapshot().openings_in_a_row, 5);
    succeed(&breaker).unwrap();
    fail(&breaker).unwrap();
    assert_eq!(breaker.snapshot().retry_after, Some(SECOND));
}

#[test]
fn jittered_open_times_stay_in_their_range_and_repeat_with_a_seed() {
    let times = |name: &str, seed| {
        let builder = CircuitBreaker::builder().name(name).consecutive_failures(1);
        let builder = builder
            .open_for(10 * SECOND)
            .jitter(Jitter::Above(0.5))
            .seed(seed);
        let (breaker, clock) = with_clock(builder);
        (0..50)
            .map(|_| {
                fail(&breaker).unwrap();
                let lasts = breaker.snapshot().retry_after.unwrap();
                assert!((10 * SECOND..=15 * SECOND).contains(&lasts), "{lasts:?}");
                clock.advance(lasts);
                lasts
            })
            .collect::<Vec<_>>()
    };
    let first = times("a", 1);
    assert_eq!(first, times("a", 1));
    assert_ne!(first, times("b", 1));
    assert_ne!(first, times("a", 2));
    assert!(
        first
            .iter()
            .max()
            .unwrap()
            .abs_diff(*first.iter().min().unwrap())
            > 3 * SECOND
    );
}

#[test]
fn breakers_of_one_template_do_not_open_for_the_same_time_without_a_seed() {
    let builder = CircuitBreaker::builder()
        .consecutive_failures(1)
        .jitter(Jitter::Full);
    let template = builder.clock(ManualClock::new()).template().unwrap();
    let breakers: Vec<_> = (0..20).map(|_| template.create()).collect();
    let open_for = |breaker: &CircuitBreaker| {
        fail(breaker).unwrap();
        breaker.export().open_for
    };
    let mut times: Vec<_> = breakers.iter().map(open_for).collect();
    times.sort();
    times.dedup();
    assert!(times.len() > 10);
}

#[test]
fn what_is_set_by_hand_stays_until_it_is_reset() {
    let (breaker, clock) = with_clock(CircuitBreaker::builder().consecutive_failures(1));
    assert!(breaker.force_open() && !breaker.force_open());
    clock.advance(Duration::MAX);
    assert!(breaker.try_acquire().is_err());
    assert!(breaker.disable() && !breaker.disable());
    for _ in 0..10 {
        fail(&breaker).unwrap();
    }
    assert_eq!(breaker.state(), State::Disabled);
    assert_eq!(breaker.snapshot().window.failures, 0);
    assert!(breaker.metrics_only());
    for _ in 0..10 {
        fail(&breaker).unwrap();
    }
    assert_eq!(breaker.state(), State::MetricsOnly);
    assert_eq!(breaker.snapshot().window.failures, 10);
    assert!(breaker.reset() && !breaker.reset());
    assert_eq!(breaker.snapshot().window.failures, 0);
    assert_eq!(breaker.snapshot().totals.failures, 20);
    fail(&breaker).unwrap();
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn a_reset_forgets_what_is_in_flight() {
    let (breaker, _) = with_clock(CircuitBreaker::builder().consecutive_failures(1));
    let before = breaker.try_acquire().unwrap();
    breaker.reset();
    before.failure();
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(breaker.snapshot().totals.failures, 1);
}

#[test]
fn the_totals_add_up() {
    let (breaker, clock) = with_clock(CircuitBreaker::builder().consecutive_failures(3));
    succeed(&breaker).unwrap();
    breaker.try_acquire().unwrap().ignore();
    drop(breaker.try_acquire().unwrap());
    for _ in 0..3 {
        fail(&breaker).unwrap();
    }
    clock.advance(7 * SECOND);
    for _ in 0..5 {
        assert!(fail(&breaker).is_err());
    }
    let snapshot = breaker.snapshot();
    let totals = snapshot.totals;
    assert_eq!(
        (totals.successes, totals.failures, totals.ignored),
        (1, 3, 1)
    );
    assert_eq!(
        (totals.cancelled, totals.rejected, totals.opened),
        (1, 5, 1)
    );
    assert_eq!(snapshot.last_failure_age, Some(7 * SECOND));
}

#[test]
fn a_breaker_without_totals_works_the_same() {
    let (breaker, clock) = with_clock(CircuitBreaker::builder().totals(false));
    for _ in 0..5 {
        fail(&breaker).unwrap();
    }
    assert!(succeed(&breaker).is_err());
    clock.advance(60 * SECOND);
    succeed(&breaker).unwrap();
    let snapshot = breaker.snapshot();
    assert_eq!(
        (snapshot.state, snapshot.totals.failures),
        (State::Closed, 0)
    );
    assert_eq!(snapshot.last_failure_age, None);
}

#[tokio::test]
async fn a_fallback_is_told_the_cause_and_its_errors_are_its_own() {
    let (breaker, _) = with_clock(CircuitBreaker::builder().consecutive_failures(1));
    let failing = || async { Err::<u8, _>("down") };
    let told = breaker.call_or(failing, |cause| async move {
        Err::<u8, _>(cause.to_string().len())
    });
    assert_eq!(told.await, Err("down".len()));
    let told = breaker.call_or(failing, |cause| async move {
        Ok::<_, ()>(u8::from(cause.is_rejected()))
    });
    assert_eq!(told.await, Ok(1));
    assert_eq!(
        breaker.call_sync_or(|| Ok::<_, &str>(5), |_| Ok::<_, ()>(6)),
        Ok(6)
    );
    breaker.reset();
    assert_eq!(
        breaker.call_sync_or(|| Ok::<_, &str>(5), |_| Ok::<_, ()>(6)),
        Ok(5)
    );
}

#[tokio::test]
async fn calls_in_flight_from_before_an_outage_do_not_touch_it() {
    let (breaker, clock) = with_clock(CircuitBreaker::builder().consecutive_failures(1));
    let mut slow = Box::pin(breaker.call(|| async {
        pending(1).await;
        Ok::<_, ()>(())
    }));
    assert!(crate::support::poll(slow.as_mut()).is_pending());
    fail(&breaker).unwrap();
    assert!(slow.await.is_ok());
    assert_eq!(breaker.state(), State::Open);
    clock.advance(60 * SECOND);
    assert_eq!(breaker.state(), State::HalfOpen);
}

#[test]
fn ten_years_later_it_still_works() {
    let (breaker, clock) = with_clock(CircuitBreaker::network());
    for _ in 0..120 {
        for _ in 0..3 {
            fail(&breaker).unwrap();
        }
        assert_eq!(breaker.state(), State::Open);
        clock.advance(30 * 24 * 3600 * SECOND);
        succeed(&breaker).unwrap();
        succeed(&breaker).unwrap();
        assert_eq!(breaker.state(), State::Closed);
    }
}

#[test]
fn with_the_longest_open_time_only_a_reset_closes_it() {
    let builder = CircuitBreaker::builder()
        .consecutive_failures(1)
        .open_for(Duration::MAX);
    let (breaker, clock) = with_clock(builder);
    fail(&breaker).unwrap();
    clock.advance(Duration::MAX);
    assert_eq!(breaker.try_acquire().unwrap_err().retry_after(), None);
    assert_eq!(breaker.state(), State::Open);
    breaker.reset();
    succeed(&breaker).unwrap();
}

#[test]
fn a_snapshot_shows_what_opened_it_and_never_takes_probes_for_a_window() {
    for builder in [
        CircuitBreaker::builder().consecutive_failures(3),
        CircuitBreaker::builder().count_window(10).failures(3),
        CircuitBreaker::builder().count_window(100).failures(3),
        CircuitBreaker::builder()
            .time_window(90 * SECOND)
            .failures(3),
    ] {
        let (breaker, clock) = with_clock(builder.permitted_probes(5).success_threshold(5));
        for _ in 0..3 {
            fail(&breaker).unwrap();
        }
        assert_eq!(breaker.snapshot().window.failures, 3);
        clock.advance(60 * SECOND);
        let _running = [(); 3].map(|()| breaker.try_acquire().unwrap());
        succeed(&breaker).unwrap();
        assert_eq!(breaker.snapshot().window, Default::default());
        fail(&breaker).unwrap();
        let snapshot = breaker.snapshot();
        assert_eq!(
            (snapshot.state, snapshot.window),
            (State::Open, Default::default())
        );
        assert_eq!(
            (snapshot.probes_in_flight, snapshot.probe_successes),
            (0, 0)
        );
    }
}

/// A clock whose coarse reading stands still between ticks of ten milliseconds.
#[derive(Clone, Debug)]
struct Ticking(ManualClock);

const TICK: Duration = Duration::from_millis(10);

impl Clock for Ticking {
    fn now(&self) -> Duration {
        self.0.now()
    }

    fn coarse(&self) -> Duration {
        let now = self.0.now();
        now - Duration::from_nanos((now.as_nanos() % TICK.as_nanos()) as u64)
    }

    fn coarse_lag(&self) -> Duration {
        TICK
    }
}

#[test]
fn who_waited_as_long_as_told_is_let_through_however_the_clock_ticks() {
    for (opened_at, asked_after) in [(3, 0), (3, 4), (9, 7), (0, 1), (1, 998)] {
        let clock = ManualClock::new();
        let breaker = CircuitBreaker::builder()
            .consecutive_failures(1)
            .open_for(Duration::from_millis(1_004))
            .clock(Ticking(clock.clone()))
            .build()
            .unwrap();
        clock.advance(Duration::from_millis(opened_at));
        fail(&breaker).unwrap();
        clock.advance(Duration::from_millis(asked_after));
        let wait = breaker.try_acquire().unwrap_err().retry_after().unwrap();
        clock.advance(wait);
        assert!(breaker.try_acquire().is_ok(), "{opened_at}, {asked_after}");
        // And never early.
        let passed = u128::from(asked_after) + wait.as_millis();
        assert!(passed >= 1_004, "{opened_at}, {asked_after}");
    }
}

/// A clock that moves on whenever it is read.
#[derive(Debug, Default)]
struct Hasty(AtomicU64);

impl Clock for Hasty {
    fn now(&self) -> Duration {
        let reading = self.0.fetch_add(10, SeqCst);
        assert!(reading < 1_000_000, "a call reads the clock without end");
        Duration::from_nanos(reading)
    }
}

#[test]
fn a_call_ends_however_short_the_times_are() {
    let breaker = CircuitBreaker::builder()
        .consecutive_failures(1)
        .open_for(Duration::from_nanos(1))
        .max_half_open_wait(Duration::from_nanos(1))
        .clock(Hasty::default())
        .build()
        .unwrap();
    fail(&breaker).unwrap();
    for _ in 0..10 {
        drop(breaker.try_acquire());
    }
    assert!(breaker.snapshot().generation < 30);
}

#[test]
fn a_snapshot_tells_a_rest_of_the_open_time_only_while_it_is_open() {
    let (breaker, clock) = with_clock(CircuitBreaker::builder().consecutive_failures(1));
    fail(&breaker).unwrap();
    clock.advance(59 * SECOND);
    assert_eq!(breaker.snapshot().retry_after, Some(SECOND));
    clock.advance(SECOND);
    let snapshot = breaker.snapshot();
    assert_eq!(
        (snapshot.state, snapshot.retry_after),
        (State::HalfOpen, None)
    );
}
