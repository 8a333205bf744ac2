//! What a breaker has learned can be taken along.

use brolly_circuit_breaker::{
    CircuitBreaker, CircuitBreakerBuilder, ImportError, SavedWindow, State,
};

use crate::support::{SECOND, fail, succeed, with_clock};

fn kinds() -> Vec<fn() -> CircuitBreakerBuilder> {
    vec![
        || CircuitBreaker::builder().consecutive_failures(20),
        || CircuitBreaker::builder().count_window(20).failures(20),
        || CircuitBreaker::builder().count_window(100).failures(20),
        || {
            CircuitBreaker::builder()
                .count_window(30)
                .slow_call_rate(SECOND, 1.0)
                .failures(20)
        },
        || {
            CircuitBreaker::builder()
                .time_window(100 * SECOND)
                .failures(20)
        },
    ]
}

#[test]
fn an_import_continues_where_the_export_was() {
    for builder in kinds() {
        let (first, clock) = with_clock(builder());
        for round in 0..60 {
            drop(if round < 30 && round % 7 == 0 {
                succeed(&first)
            } else {
                fail(&first)
            });
            clock.advance(SECOND / 2);
            let (second, other_clock) = with_clock(builder());
            other_clock.advance(12_345 * SECOND);
            second.import(&first.export()).unwrap();
            assert_eq!(second.state(), first.state());
            let (ours, theirs) = (second.snapshot(), first.snapshot());
            assert_eq!(
                (ours.retry_after, ours.openings_in_a_row),
                (theirs.retry_after, theirs.openings_in_a_row)
            );
            if first.state() == State::Closed {
                assert_eq!(ours.window, theirs.window);
            }
            assert_eq!(second.export(), first.export());
        }
        assert_eq!(first.state(), State::Open);
    }
}

#[test]
fn a_half_open_breaker_arrives_ready_to_probe() {
    let builder = || CircuitBreaker::builder().consecutive_failures(1);
    let (first, clock) = with_clock(builder());
    fail(&first).unwrap();
    clock.advance(60 * SECOND);
    let _probe = first.try_acquire().unwrap();
    let (second, _) = with_clock(builder());
    second.import(&first.export()).unwrap();
    assert_eq!(second.state(), State::HalfOpen);
    succeed(&second).unwrap();
    assert_eq!(second.state(), State::Closed);
}

#[test]
fn the_latest_calls_go_into_a_smaller_window() {
    let (large, _) = with_clock(CircuitBreaker::builder().count_window(100).failures(100));
    for _ in 0..10 {
        fail(&large).unwrap();
    }
    for _ in 0..8 {
        succeed(&large).unwrap();
    }
    let (small, _) = with_clock(CircuitBreaker::builder().count_window(10).failures(10));
    small.import(&large.export()).unwrap();
    let window = small.snapshot().window;
    assert_eq!((window.calls, window.failures), (10, 2));
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let (consecutive, _) = with_clock(CircuitBreaker::builder());
    fail(&consecutive).unwrap();
    let (count, _) = with_clock(CircuitBreaker::builder().count_window(10));
    fail(&count).unwrap();
    let error = consecutive.import(&count.export()).unwrap_err();
    assert!(matches!(error, ImportError::OtherWindow { .. }));
    assert_eq!(consecutive.snapshot().window.failures, 1);
    let mut saved = count.export();
    saved.window = SavedWindow::Calls {
        calls: "..x?".into(),
    };
    let error = count.import(&saved).unwrap_err();
    assert_eq!(error, ImportError::UnknownCall { at: 3, letter: '?' });
    assert_eq!(count.snapshot().generation, 0);
    saved.window = SavedWindow::Empty;
    count.import(&saved).unwrap();
    assert_eq!(count.snapshot().window.calls, 0);
}

#[cfg(feature = "serde")]
#[test]
fn saved_state_and_snapshots_are_plain_data() {
    for builder in kinds() {
        let (breaker, clock) = with_clock(builder().name("n"));
        for _ in 0..30 {
            drop(fail(&breaker));
            clock.advance(SECOND / 4);
        }
        let text = serde_json::to_string(&breaker.export()).unwrap();
        assert_eq!(
            serde_json::from_str::<brolly_circuit_breaker::SavedState>(&text).unwrap(),
            breaker.export()
        );
        let snapshot = serde_json::to_value(breaker.snapshot()).unwrap();
        assert_eq!(snapshot["name"], "n");
        assert_eq!(snapshot["state"], "open");
        assert!(snapshot["retry_after"].is_string());
    }
    let (breaker, _) = with_clock(CircuitBreaker::builder().count_window(70));
    succeed(&breaker).unwrap();
    fail(&breaker).unwrap();
    let text = serde_json::to_string(&breaker.export()).unwrap();
    assert_eq!(
        text,
        r#"{"state":"closed","open_for":null,"openings_in_a_row":0,"window":{"calls":{"calls":".x"}}}"#
    );
    let hostile = r#"{"state":"closed","window":{"slices":{"slices":[{"age":0,"calls":1,"failures":2,"slow_calls":0}]}}}"#;
    let (time, _) = with_clock(CircuitBreaker::builder().time_window(SECOND));
    let error = time
        .import(&serde_json::from_str(hostile).unwrap())
        .unwrap_err();
    assert!(matches!(
        error,
        ImportError::SliceDoesNotAddUp {
            part: 2,
            calls: 1,
            ..
        }
    ));
    let most = format!(
        r#"{{"state":"closed","openings_in_a_row":{m},"window":{{"slices":{{"slices":[{s},{s}]}}}}}}"#,
        m = u32::MAX,
        s = format_args!(
            r#"{{"age":1,"calls":{m},"failures":{m},"slow_calls":{m}}}"#,
            m = u32::MAX
        ),
    );
    time.import(&serde_json::from_str(&most).unwrap()).unwrap();
    let _ = (fail(&time), time.snapshot());
}

#[test]
fn calls_keep_their_age_in_a_window_with_other_slices() {
    let of = |seconds| {
        let builder = CircuitBreaker::builder().time_window(seconds * SECOND);
        with_clock(builder.failures(1_000))
    };
    let (long, clock) = of(100);
    for _ in 0..10 {
        fail(&long).unwrap();
        clock.advance(10 * SECOND);
    }
    succeed(&long).unwrap();
    let (short, _) = of(20);
    short.import(&long.export()).unwrap();
    // Of a second slice of ten seconds, which is just over, and the one that begins.
    let window = short.snapshot().window;
    assert_eq!((window.calls, window.failures), (2, 1));
    let (longer, clock) = of(1_000);
    longer.import(&long.export()).unwrap();
    let window = longer.snapshot().window;
    assert_eq!((window.calls, window.failures), (10, 9));
    clock.advance(1_000 * SECOND);
    assert_eq!(longer.snapshot().window.calls, 0);
}
