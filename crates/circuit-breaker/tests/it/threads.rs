//! Many threads on one breaker.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread;

use brolly_circuit_breaker::{CircuitBreaker, State};

use crate::support::{SECOND, fail, succeed, with_clock};

#[test]
fn no_call_is_lost_in_windows_and_totals() {
    const CALLS: u64 = 50_000;
    for builder in [
        CircuitBreaker::builder().count_window(64).failures(64),
        CircuitBreaker::builder()
            .count_window(1_000)
            .failures(1_000),
        CircuitBreaker::builder()
            .time_window(SECOND)
            .failures(u32::MAX),
    ] {
        let (breaker, _) = with_clock(builder);
        breaker.metrics_only();
        thread::scope(|scope| {
            for thread in 0..4 {
                let breaker = &breaker;
                scope.spawn(move || {
                    for call in 0..CALLS {
                        let _ = match (call + thread) % 10 {
                            0 => fail(breaker),
                            _ => succeed(breaker),
                        };
                    }
                });
            }
        });
        let snapshot = breaker.snapshot();
        assert_eq!(snapshot.totals.successes, 4 * CALLS / 10 * 9);
        assert_eq!(snapshot.totals.failures, 4 * CALLS / 10);
        let calls = u64::from(snapshot.window.calls);
        assert!([64, 1_000, 4 * CALLS].contains(&calls), "{calls}");
        if calls == 4 * CALLS {
            assert_eq!(u64::from(snapshot.window.failures), 4 * CALLS / 10);
        }
    }
}

#[test]
fn probes_in_flight_never_exceed_what_is_permitted() {
    let builder = CircuitBreaker::builder()
        .consecutive_failures(1)
        .permitted_probes(3);
    let (breaker, clock) = with_clock(builder.success_threshold(65_535).open_for(SECOND));
    fail(&breaker).unwrap();
    clock.advance(SECOND);
    let (in_flight, most) = (AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        for thread in 0..6_u32 {
            let (breaker, in_flight, most) = (&breaker, &in_flight, &most);
            scope.spawn(move || {
                for round in 0..5_000 {
                    let Ok(probe) = breaker.try_acquire() else {
                        thread::yield_now();
                        continue;
                    };
                    most.fetch_max(in_flight.fetch_add(1, SeqCst) + 1, SeqCst);
                    if (round + thread) % 3 == 0 {
                        thread::yield_now();
                    }
                    in_flight.fetch_sub(1, SeqCst);
                    match round % 3 {
                        0 => probe.success(),
                        1 => probe.ignore(),
                        _ => drop(probe),
                    }
                }
            });
        }
    });
    assert!(most.load(SeqCst) <= 3);
    assert_eq!(breaker.snapshot().probes_in_flight, 0);
    assert_eq!(breaker.state(), State::HalfOpen);
    succeed(&breaker).unwrap();
}

#[test]
fn of_many_threads_that_find_the_open_time_over_as_many_probe_as_are_permitted() {
    for _ in 0..200 {
        let builder = CircuitBreaker::builder()
            .consecutive_failures(1)
            .permitted_probes(2);
        let (breaker, clock) = with_clock(builder);
        fail(&breaker).unwrap();
        clock.advance(60 * SECOND);
        let probes: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| breaker.try_acquire().ok()))
                .collect();
            threads
                .into_iter()
                .filter_map(|it| it.join().unwrap())
                .collect()
        });
        assert_eq!(probes.len(), 2);
        let changes = breaker.events().len();
        assert_eq!(changes, 2, "opened once, half-open once");
    }
}

/// With failures in a large window, threads put their successes off until the next failure.
#[test]
fn successes_beside_failures_are_all_taken_in() {
    const CALLS: u32 = 10_000;
    let builder = CircuitBreaker::builder()
        .count_window(65_536)
        .failures(65_536);
    let (breaker, _) = with_clock(builder);
    for round in 1..=2 {
        breaker.reset();
        thread::scope(|scope| {
            for thread in 0..4 {
                let breaker = &breaker;
                scope.spawn(move || {
                    for call in 0..CALLS {
                        let _ = match (call + thread) % 10 {
                            0 => fail(breaker),
                            _ => succeed(breaker),
                        };
                    }
                });
            }
        });
        let window = breaker.snapshot().window;
        assert_eq!(
            (window.calls, window.failures),
            (4 * CALLS, 4 * CALLS / 10),
            "round {round}"
        );
        let totals = breaker.snapshot().totals;
        assert_eq!(totals.failures, u64::from(round * 4 * CALLS / 10));
    }
}

/// Successes of threads that have ended push the failures out as those of others do.
#[test]
fn failures_leave_a_window_whoever_succeeds() {
    let builder = CircuitBreaker::builder()
        .count_window(100)
        .failures(100)
        .minimum_calls(1);
    let (breaker, _) = with_clock(builder);
    for _ in 0..99 {
        fail(&breaker).unwrap();
    }
    for left in (0..99).rev() {
        thread::scope(|scope| {
            scope.spawn(|| succeed(&breaker).unwrap());
        });
        // The first one only fills the window.
        assert_eq!(breaker.snapshot().window.failures, (left + 1).min(99));
    }
    for _ in 0..2 {
        thread::scope(|scope| {
            scope.spawn(|| succeed(&breaker).unwrap());
        });
    }
    assert_eq!(breaker.snapshot().window.failures, 0);
}
