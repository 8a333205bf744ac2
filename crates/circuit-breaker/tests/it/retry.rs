//! Another attempt, when and as often as it may be.

use std::cell::RefCell;
use std::future::Future;
use std::io::{Error, ErrorKind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use brolly_circuit_breaker::{
    CallError, CircuitBreaker, Classify, Decision, ErrorClass, ErrorCode, GaveUp, Jitter, Retry,
    RetryBudget, RetryBuilder, RetryError,
};
use brolly_sync::{Clock, ManualClock, ThreadTimer};

use crate::support::{SECOND, pending, poll};

/// Runs a future to its end, taking the clock from one deadline to the next.
fn drive<T>(clock: &ManualClock, future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        match poll(future.as_mut()) {
            Poll::Ready(value) => return value,
            Poll::Pending => clock.set(clock.next_deadline().unwrap()),
        }
    }
}

fn refused() -> Error {
    Error::from(ErrorKind::ConnectionRefused)
}

/// When each attempt began, and how it ended.
fn starts(builder: RetryBuilder, attempts: u32) -> (Vec<Duration>, Result<u32, RetryError<Error>>) {
    let clock = ManualClock::new();
    let retry = builder.timer(clock.clone()).build().unwrap();
    let times = RefCell::new(Vec::new());
    let result = drive(
        &clock,
        retry.run(|attempt| {
            times.borrow_mut().push(clock.now());
            async move {
                if attempt < attempts {
                    Err(refused())
                } else {
                    Ok(attempt)
                }
            }
        }),
    );
    (times.into_inner(), result)
}

#[test]
fn the_waits_double_up_to_the_limit_and_are_up_to_a_tenth_longer() {
    let (times, result) = starts(Retry::builder().max_attempts(8), 8);
    assert_eq!(result.unwrap(), 8);
    let waits: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (wait, base) in waits.iter().zip([1, 2, 4, 8, 16, 30, 30]) {
        let base = SECOND * base;
        assert!(
            (base..=base + base / 10).contains(wait),
            "{wait:?} for {base:?}"
        );
    }
    assert!(
        waits.iter().any(|wait| wait.subsec_nanos() != 0),
        "they are spread"
    );
}

#[test]
fn three_attempts_are_the_default() {
    for preset in [Retry::builder(), Retry::github(), Retry::network()] {
        let (times, result) = starts(preset, u32::MAX);
        let error = result.unwrap_err();
        assert_eq!(
            (times.len(), error.attempts, error.reason),
            (3, 3, GaveUp::Attempts)
        );
        assert_eq!(
            error.to_string(),
            "failed after 3 attempts, no attempt is left"
        );
        assert_eq!(error.last.unwrap().kind(), ErrorKind::ConnectionRefused);
    }
}

#[test]
fn full_jitter_spreads_over_the_whole_wait_and_a_seed_repeats_it() {
    let builder = || {
        Retry::builder()
            .max_attempts(50)
            .factor(1.0)
            .jitter(Jitter::Full)
            .seed(7)
    };
    let (times, _) = starts(builder(), 50);
    assert_eq!(times, starts(builder(), 50).0);
    let waits: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(waits.iter().all(|wait| *wait <= SECOND));
    assert!(waits.iter().any(|wait| *wait < SECOND / 5));
    assert!(waits.iter().any(|wait| *wait > SECOND * 4 / 5));
    assert_ne!(starts(builder().seed(8), 50).0, times);
}

#[test]
fn runs_without_a_seed_do_not_wait_together() {
    let builder = || Retry::builder().jitter(Jitter::Full);
    assert_ne!(starts(builder(), 3).0, starts(builder(), 3).0);
}

#[test]
fn permanent_errors_are_not_tried_again() {
    let clock = ManualClock::new();
    let retry = Retry::builder().timer(clock.clone()).build().unwrap();
    for kind in [ErrorKind::InvalidInput, ErrorKind::PermissionDenied] {
        let error = drive(
            &clock,
            retry.run(|_| async move { Err::<(), _>(Error::from(kind)) }),
        );
        let error = error.unwrap_err();
        assert_eq!((error.attempts, error.reason), (1, GaveUp::Permanent));
        let text = "failed at the first attempt, the error is permanent";
        assert_eq!(error.to_string(), text);
        assert!(std::error::Error::source(&error).unwrap().is::<Error>());
    }
    assert_eq!(clock.now(), Duration::ZERO);
}

#[test]
fn words_in_an_error_s_text_decide_nothing() {
    let clock = ManualClock::new();
    let retry = Retry::builder().timer(clock.clone()).build().unwrap();
    let misleading = || Error::new(ErrorKind::TimedOut, "authentication validation permanent");
    let error = drive(&clock, retry.run(|_| async { Err::<(), _>(misleading()) })).unwrap_err();
    assert_eq!((error.attempts, error.reason), (3, GaveUp::Attempts));
}

#[test]
fn an_open_breaker_is_not_called_before_its_time() {
    let clock = ManualClock::new();
    let breaker = CircuitBreaker::builder()
        .consecutive_failures(1)
        .clock(clock.clone());
    let breaker = breaker.open_for(45 * SECOND).build().unwrap();
    let retry = Retry::builder().timer(clock.clone()).build().unwrap();
    let calls = RefCell::new(Vec::new());
    let value = drive(
        &clock,
        retry.run(|attempt| {
            let (breaker, calls, clock) = (&breaker, &calls, &clock);
            async move {
                breaker
                    .call(|| async {
                        calls.borrow_mut().push(clock.now());
                        if attempt == 1 {
                            Err(refused())
                        } else {
                            Ok(attempt)
                        }
                    })
                    .await
            }
        }),
    );
    // The first one opens it, the second is rejected, and the third is the probe.
    assert_eq!(value.unwrap(), 3);
    assert_eq!(*calls.borrow(), [Duration::ZERO, 45 * SECOND]);
    assert_eq!(breaker.snapshot().totals.rejected, 1);
}

#[test]
fn a_breaker_that_no_time_opens_is_not_called_again() {
    let clock = ManualClock::new();
    let breaker = CircuitBreaker::builder()
        .clock(clock.clone())
        .build()
        .unwrap();
    breaker.force_open();
    let retry = Retry::builder().timer(clock.clone()).build().unwrap();
    let error = drive(
        &clock,
        retry.run(|_| breaker.call(|| async { Err::<(), _>(refused()) })),
    );
    let error = error.unwrap_err();
    assert_eq!((error.attempts, error.reason), (1, GaveUp::Permanent));
    assert!(matches!(error.last, Some(CallError::Rejected(_))));
}

#[test]
fn an_attempt_whose_time_is_over_is_dropped_and_tried_again() {
    let clock = ManualClock::new();
    let retry = Retry::builder()
        .attempt_timeout(5 * SECOND)
        .jitter(Jitter::None);
    let retry = retry.timer(clock.clone()).build().unwrap();
    let value = drive(
        &clock,
        retry.run(|attempt| async move {
            match attempt {
                1 => std::future::pending().await,
                _ => Ok::<_, Error>(attempt),
            }
        }),
    );
    assert_eq!((value.unwrap(), clock.now()), (2, 6 * SECOND));
    let never = retry.run(|_| std::future::pending::<Result<(), Error>>());
    let error = drive(&clock, never).unwrap_err();
    assert!(error.last.is_none());
    assert_eq!(
        error.to_string(),
        "not ready in time after 3 attempts, no attempt is left"
    );
}

#[test]
fn no_wait_is_begun_that_would_end_too_late() {
    let builder = || Retry::builder().max_attempts(100).jitter(Jitter::None);
    let (times, result) = starts(builder().max_elapsed(10 * SECOND), u32::MAX);
    // 0, 1, 3, 7, and then 15 would be too late.
    assert_eq!(times.last(), Some(&(7 * SECOND)));
    assert_eq!(result.unwrap_err().reason, GaveUp::Elapsed);
    let (times, _) = starts(builder().max_elapsed(7 * SECOND), u32::MAX);
    assert_eq!(times.len(), 4, "a wait that ends just in time is");
}

#[test]
fn a_budget_limits_retries_over_all_runs() {
    let clock = ManualClock::new();
    let budget = RetryBudget::new(0.1, 10).unwrap();
    let retry = Retry::builder()
        .max_attempts(10)
        .budget(budget.clone())
        .timer(clock.clone());
    let retry = retry.build().unwrap();
    let attempts = RefCell::new(0);
    let mut reasons = Vec::new();
    for _ in 0..1_000 {
        let run = retry.run(|_| {
            *attempts.borrow_mut() += 1;
            async { Err::<(), _>(refused()) }
        });
        reasons.push(drive(&clock, run).unwrap_err().reason);
    }
    // A thousand first attempts, ten retries saved up, and one for each ten runs.
    let attempts = *attempts.borrow();
    assert!((1_105..=1_110).contains(&attempts), "{attempts}");
    assert_eq!(reasons.last(), Some(&GaveUp::Budget));
    assert_eq!(budget.available(), 0);
}

#[test]
fn a_run_dropped_at_any_poll_leaves_nothing_behind() {
    for polls in 0..12 {
        let clock = ManualClock::new();
        let retry = Retry::builder()
            .attempt_timeout(60 * SECOND)
            .timer(clock.clone());
        let retry = retry.build().unwrap();
        let breaker = CircuitBreaker::builder()
            .clock(clock.clone())
            .build()
            .unwrap();
        let mut run = Box::pin(retry.run(|_| {
            breaker.call(|| async {
                pending(2).await;
                Err::<(), _>(refused())
            })
        }));
        let mut is_done = false;
        for _ in 0..polls {
            match poll(run.as_mut()) {
                Poll::Ready(result) => {
                    assert_eq!(result.unwrap_err().attempts, 3);
                    is_done = true;
                    break;
                }
                // Whatever waits for the time waits for a retry, or no longer than a second.
                Poll::Pending => clock.advance(3 * SECOND),
            }
        }
        drop(run);
        assert_eq!(clock.sleeping(), 0, "after {polls} polls");
        assert_eq!(is_done, polls > 9 - 1);
        assert!(breaker.try_acquire().is_ok());
    }
}

#[test]
fn threads_retry_too_and_sleep_meanwhile() {
    let retry = Retry::builder()
        .initial(Duration::from_millis(2))
        .timer(ThreadTimer::new());
    let retry = retry.build().unwrap();
    let value = retry.run_blocking(|attempt| {
        if attempt < 3 {
            Err(refused())
        } else {
            Ok(attempt)
        }
    });
    assert_eq!(value.unwrap(), 3);
    let error = retry
        .run_blocking_if(|_| Decision::GiveUp, |_| Err::<(), _>("no"))
        .unwrap_err();
    assert_eq!((error.attempts, error.last), (1, Some("no")));
}

#[test]
fn what_an_error_asks_for_may_be_longer_than_the_longest_wait() {
    let clock = ManualClock::new();
    let retry = Retry::builder().timer(clock.clone()).build().unwrap();
    let decide = |_: &&str| Decision::RetryAfter(100 * SECOND);
    let run = retry.run_if(decide, |attempt| async move {
        if attempt == 1 { Err("later") } else { Ok(()) }
    });
    drive(&clock, run).unwrap();
    assert_eq!(clock.now(), 100 * SECOND);
}

#[test]
fn settings_out_of_range_are_refused_by_name() {
    let builder = Retry::builder;
    for (settings, field) in [
        (builder().max_attempts(0), "max_attempts"),
        (builder().factor(0.99), "factor"),
        (builder().factor(f64::NAN), "factor"),
        (builder().initial(Duration::ZERO), "initial"),
        (builder().initial(31 * SECOND), "initial"),
        (builder().max(Duration::ZERO), "max"),
        (builder().jitter(Jitter::Above(2.0)), "jitter"),
        (builder().attempt_timeout(Duration::ZERO), "attempt_timeout"),
        (builder().max_elapsed(Duration::ZERO), "max_elapsed"),
    ] {
        let error = settings.build().unwrap_err();
        assert_eq!(error.field(), field, "{error}");
        assert!(error.to_string().contains("allowed is"));
    }
    for share in [0.0, 1.1, f64::NAN] {
        assert_eq!(RetryBudget::new(share, 1).unwrap_err().field(), "share");
    }
    assert_eq!(RetryBudget::new(0.5, 0).unwrap_err().field(), "reserve");
    let most = builder()
        .max(Duration::MAX)
        .initial(Duration::MAX)
        .factor(f64::MAX);
    most.max_attempts(u32::MAX)
        .max_elapsed(Duration::MAX)
        .build()
        .unwrap();
}

#[test]
fn the_longest_waits_do_not_wrap() {
    let clock = ManualClock::new();
    let retry = Retry::builder()
        .max(Duration::MAX)
        .initial(Duration::MAX)
        .timer(clock.clone());
    let retry = retry.max_elapsed(Duration::MAX).build().unwrap();
    clock.advance(SECOND);
    let mut run = Box::pin(retry.run(|_| async { Err::<(), _>(refused()) }));
    assert!(poll(run.as_mut()).is_pending());
    clock.advance(Duration::from_secs(3600 * 24 * 3650));
    assert!(poll(run.as_mut()).is_pending());
}

#[test]
fn every_code_has_a_class_a_severity_and_a_hint() {
    use ErrorCode::*;
    for (code, name, class) in [
        (GithubRateLimit, "GITHUB_RATE_LIMIT", ErrorClass::Transient),
        (NetworkError, "NETWORK_ERROR", ErrorClass::Transient),
        (AuthError, "AUTH_ERROR", ErrorClass::Permanent),
        (ValidationError, "VALIDATION_ERROR", ErrorClass::Permanent),
        (TimeoutError, "TIMEOUT_ERROR", ErrorClass::Transient),
        (
            ServiceUnavailable,
            "SERVICE_UNAVAILABLE",
            ErrorClass::Transient,
        ),
        (UnknownError, "UNKNOWN_ERROR", ErrorClass::Unknown),
    ] {
        assert_eq!((code.to_string().as_str(), code.class()), (name, class));
        assert!(
            !code.hint().is_empty() && code.severity() >= brolly_circuit_breaker::Severity::Low
        );
        #[cfg(feature = "serde")]
        assert_eq!(serde_json::to_value(code).unwrap(), name);
    }
    for (status, code) in [
        (200, None),
        (304, None),
        (400, Some(ValidationError)),
        (401, Some(AuthError)),
        (404, Some(ValidationError)),
        (408, Some(TimeoutError)),
        (429, Some(GithubRateLimit)),
        (500, Some(ServiceUnavailable)),
        (503, Some(ServiceUnavailable)),
        (504, Some(TimeoutError)),
        (599, Some(UnknownError)),
        (u16::MAX, Some(UnknownError)),
    ] {
        assert_eq!(ErrorCode::from_http_status(status), code, "{status}");
    }
    for (exit, code) in [
        (0, None),
        (1, Some(UnknownError)),
        (124, Some(TimeoutError)),
        (127, Some(ValidationError)),
        (-1, Some(UnknownError)),
    ] {
        assert_eq!(ErrorCode::from_exit_code(exit), code, "{exit}");
    }
    assert_eq!(refused().code(), NetworkError);
    assert_eq!(Box::new(ErrorKind::TimedOut).class(), ErrorClass::Transient);
}
