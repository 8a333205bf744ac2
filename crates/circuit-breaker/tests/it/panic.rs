//! Panics of operations, classifiers, listeners and clocks.

use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use brolly_circuit_breaker::{CircuitBreaker, Outcome, State};
use brolly_sync::{Clock, ManualClock};

use crate::support::{SECOND, fail, pending, poll, succeed, with_clock};

fn panics(code: impl FnOnce()) {
    assert!(catch_unwind(AssertUnwindSafe(code)).is_err());
}

#[test]
fn a_panic_is_a_failure_unless_it_is_said_otherwise() {
    for is_failure in [true, false] {
        let builder = CircuitBreaker::builder().consecutive_failures(1);
        let (breaker, _) = with_clock(builder.count_panic_as_failure(is_failure));
        panics(|| drop(breaker.call_sync(|| -> Result<(), ()> { panic!("operation") })));
        let expected = if is_failure {
            State::Open
        } else {
            State::Closed
        };
        assert_eq!(breaker.state(), expected);
        breaker.reset();
        panics(|| {
            let _permit = breaker.try_acquire().unwrap();
            panic!("while a permit is held");
        });
        assert_eq!(breaker.state(), expected);
        breaker.reset();
        let mut call = Box::pin(breaker.call(|| async {
            pending(1).await;
            panic!("future") as Result<(), ()>
        }));
        assert!(poll(call.as_mut()).is_pending());
        panics(|| drop(poll(call.as_mut())));
        drop(call);
        assert_eq!(breaker.state(), expected);
    }
}

#[test]
fn a_classifier_that_panics_harms_its_own_call_only() {
    let breaker = CircuitBreaker::builder()
        .consecutive_failures(1)
        .classify(|_: &Result<(), ()>| -> Outcome { panic!("classifier") })
        .build()
        .unwrap();
    panics(|| drop(breaker.call_sync(|| Ok(()))));
    assert_eq!(breaker.state(), State::Open);
    assert_eq!(breaker.snapshot().totals.failures, 1);
}

#[test]
fn a_listener_that_panics_harms_nobody_and_is_counted() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                panic!("what the panic carries");
            }
        }
    }
    let builder = CircuitBreaker::builder().consecutive_failures(1);
    let told = Arc::new(AtomicBool::new(false));
    let second = Arc::clone(&told);
    let builder = builder
        .on_transition(|_| panic_any(Bomb))
        .on_transition(move |_| second.store(true, SeqCst));
    let (breaker, clock) = with_clock(builder);
    fail(&breaker).unwrap();
    assert!(told.load(SeqCst), "the other listener was told");
    clock.advance(60 * SECOND);
    succeed(&breaker).unwrap();
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(breaker.lost_events(), (0, 3));
}

#[test]
fn what_a_destructor_drops_during_a_panic_was_cancelled() {
    struct CallsAtTheEnd<'a>(&'a CircuitBreaker);
    impl Drop for CallsAtTheEnd<'_> {
        fn drop(&mut self) {
            // Taken while the thread unwinds already: this is not its panic.
            drop(self.0.try_acquire().unwrap());
            let mut call = Box::pin(self.0.call(|| async {
                pending(1).await;
                Ok::<_, ()>(())
            }));
            assert!(poll(call.as_mut()).is_pending());
        }
    }
    let (breaker, _) = with_clock(CircuitBreaker::builder().consecutive_failures(1));
    panics(|| {
        let _calls = CallsAtTheEnd(&breaker);
        panic!("elsewhere");
    });
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(breaker.snapshot().totals.cancelled, 2);
}

#[derive(Clone, Debug)]
struct FaultyClock {
    clock: ManualClock,
    is_faulty: Arc<AtomicBool>,
}

impl Clock for FaultyClock {
    fn now(&self) -> Duration {
        assert!(!self.is_faulty.load(SeqCst), "the clock is out of order");
        self.clock.now()
    }
}

#[test]
fn a_clock_that_panics_leaves_the_breaker_usable() {
    let clock = FaultyClock {
        clock: ManualClock::new(),
        is_faulty: Arc::default(),
    };
    for builder in [
        CircuitBreaker::builder().consecutive_failures(2),
        CircuitBreaker::builder()
            .time_window(10 * SECOND)
            .failures(2),
        CircuitBreaker::builder()
            .count_window(10)
            .slow_call_rate(SECOND, 0.5)
            .failures(2),
    ] {
        let breaker = builder.totals(false).clock(clock.clone()).build().unwrap();
        fail(&breaker).unwrap();
        clock.is_faulty.store(true, SeqCst);
        panics(|| drop(fail(&breaker)));
        panics(|| drop(breaker.snapshot()));
        panics(|| assert!(breaker.force_open()));
        clock.is_faulty.store(false, SeqCst);
        while breaker.state() == State::Closed {
            fail(&breaker).unwrap();
        }
        clock.clock.advance(60 * SECOND);
        clock.is_faulty.store(true, SeqCst);
        panics(|| drop(breaker.try_acquire()));
        clock.is_faulty.store(false, SeqCst);
        succeed(&breaker).unwrap();
        assert_eq!(breaker.state(), State::Closed);
    }
}

#[derive(Debug)]
struct JumpingClock(std::sync::atomic::AtomicU64);

impl Clock for JumpingClock {
    fn now(&self) -> Duration {
        // From one end to the other, and everything between.
        let step = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, SeqCst);
        match step % 5 {
            0 => Duration::ZERO,
            1 => Duration::MAX,
            _ => Duration::from_nanos(step),
        }
    }
}

#[test]
fn a_clock_that_jumps_to_and_fro_causes_no_panic() {
    for builder in [
        CircuitBreaker::builder(),
        CircuitBreaker::builder()
            .count_window(100)
            .slow_call_rate(SECOND, 0.5),
        CircuitBreaker::builder()
            .time_window(SECOND)
            .slow_call_rate(SECOND, 0.5),
        CircuitBreaker::builder()
            .time_window_in(Duration::MAX, 3)
            .open_for(Duration::MAX),
    ] {
        let breaker = builder.clock(JumpingClock(1.into())).build().unwrap();
        for round in 0..10_000 {
            let _ = if round % 3 == 0 {
                succeed(&breaker)
            } else {
                fail(&breaker)
            };
            let saved = breaker.export();
            if round % 100 == 0 {
                breaker.reset();
                breaker.import(&saved).unwrap();
            }
            let _ = (breaker.snapshot(), breaker.state());
        }
    }
}

#[test]
fn a_call_that_waits_while_its_neighbour_panics_was_cancelled() {
    let (breaker, _) = with_clock(CircuitBreaker::builder().consecutive_failures(1));
    panics(|| {
        let mut call = Box::pin(breaker.call(|| async {
            pending(2).await;
            Ok::<_, ()>(())
        }));
        assert!(poll(call.as_mut()).is_pending());
        panic!("elsewhere");
    });
    assert_eq!(breaker.state(), State::Closed);
    let totals = breaker.snapshot().totals;
    assert_eq!((totals.cancelled, totals.failures), (1, 0));
}

#[test]
fn a_probe_whose_end_meets_a_clock_that_panics_gives_its_place_back() {
    let clock = FaultyClock {
        clock: ManualClock::new(),
        is_faulty: Arc::default(),
    };
    for (keeps_totals, longer_than) in [(true, None), (false, None), (false, Some(SECOND))] {
        for outcome in [Outcome::Success, Outcome::Failure, Outcome::Ignored] {
            let mut builder = CircuitBreaker::builder().count_window(1).failures(1);
            if let Some(longer_than) = longer_than {
                builder = builder.slow_call_rate(longer_than, 1.0);
            }
            let breaker = builder
                .max_half_open_wait(None)
                .totals(keeps_totals)
                .clock(clock.clone())
                .build()
                .unwrap();
            fail(&breaker).unwrap();
            clock.clock.advance(60 * SECOND);
            let probe = breaker.try_acquire().unwrap();
            assert!(breaker.try_acquire().is_err());
            clock.is_faulty.store(true, SeqCst);
            panics(|| probe.record(outcome));
            clock.is_faulty.store(false, SeqCst);
            assert_eq!(breaker.snapshot().probes_in_flight, 0);
            succeed(&breaker).unwrap();
            assert_eq!(breaker.state(), State::Closed);
        }
    }
}
