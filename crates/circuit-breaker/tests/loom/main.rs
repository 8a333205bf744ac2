//! The interleavings of the state word: who is let through, what a result changes, and that each
//! change of state happens once and is told once.
//!
//! Run with `RUSTFLAGS="--cfg brolly_loom" cargo test -p brolly-circuit-breaker --test loom --release`.
//!
//! Totals are off there, since a thread of loom is not one of the system: their cells, the real
//! source included by path, have models of their own. Time stands where a model puts it before its
//! threads begin.

#![cfg(brolly_loom)]
#![expect(
    clippy::unwrap_used,
    reason = "clippy knows tests by their attribute and not the helpers they call"
)]

#[path = "../../src/totals/cells.rs"]
#[allow(
    dead_code,
    reason = "the included source has more than the models need"
)]
mod cells;
mod primitive;
mod totals;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use brolly_circuit_breaker::{CircuitBreaker, CircuitBreakerBuilder, Event, State};
use brolly_sync::Clock;
use loom::thread;

/// A clock that loom does not look at: no model depends on when it is moved.
#[derive(Clone, Debug, Default)]
struct Clock0(Arc<AtomicU64>);

impl Clock for Clock0 {
    fn now(&self) -> Duration {
        Duration::from_secs(self.0.load(SeqCst))
    }
}

struct Bench {
    breaker: CircuitBreaker,
    clock: Clock0,
    events: Arc<std::sync::Mutex<Vec<Event>>>,
}

fn bench(builder: CircuitBreakerBuilder) -> Bench {
    let clock = Clock0::default();
    let events: Arc<std::sync::Mutex<Vec<Event>>> = Arc::default();
    let told = Arc::clone(&events);
    let breaker = builder
        .totals(false)
        .open_for(Duration::from_secs(10))
        .max_half_open_wait(Duration::from_secs(10))
        .clock(clock.clone())
        .on_transition(move |event| told.lock().unwrap().push(event.clone()))
        .build()
        .unwrap();
    Bench {
        breaker,
        clock,
        events,
    }
}

impl Bench {
    /// Opens it, and lets the open time pass.
    fn due(self) -> Self {
        while self.breaker.state() == State::Closed {
            self.breaker.try_acquire().unwrap().failure();
        }
        self.clock.0.store(10, SeqCst);
        self
    }

    fn told(&self) -> Vec<State> {
        let events = self.events.lock().unwrap();
        assert!(events.windows(2).all(|pair| pair[0].to == pair[1].from));
        assert!(
            events
                .windows(2)
                .all(|pair| pair[0].generation < pair[1].generation)
        );
        assert_eq!(self.breaker.lost_events(), (0, 0));
        assert_eq!(*events, self.breaker.events());
        events.iter().map(|event| event.to).collect()
    }
}

/// Explores what happens with at most this many preemptions.
fn bounded(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    builder.check(model);
}

fn one_failure() -> CircuitBreakerBuilder {
    CircuitBreaker::builder().consecutive_failures(1)
}

#[test]
fn of_several_that_find_the_open_time_over_as_many_probe_as_are_permitted() {
    for permitted in 1..=2 {
        bounded(2, move || {
            let bench = bench(one_failure().permitted_probes(permitted)).due();
            let breaker = bench.breaker.clone();
            let other = thread::spawn(move || breaker.try_acquire_owned().ok());
            let mut permits = vec![bench.breaker.try_acquire_owned().ok()];
            if permitted == 2 {
                permits.push(bench.breaker.try_acquire_owned().ok());
            }
            permits.push(other.join().unwrap());
            let admitted = permits.iter().flatten().count();
            assert_eq!(admitted, permitted as usize);
            assert_eq!(bench.breaker.snapshot().probes_in_flight, permitted);
            assert_eq!(bench.told(), [State::Open, State::HalfOpen]);
            drop(permits);
            assert_eq!(bench.breaker.snapshot().probes_in_flight, 0);
        });
    }
}

/// With a third thread, within a few preemptions.
#[test]
fn of_three_threads_one_begins_to_probe() {
    bounded(1, || {
        let bench = bench(one_failure()).due();
        let callers = [(); 2].map(|()| {
            let breaker = bench.breaker.clone();
            thread::spawn(move || breaker.try_acquire_owned().ok())
        });
        let mine = bench.breaker.try_acquire_owned().ok();
        let theirs = callers.map(|caller| caller.join().unwrap());
        let admitted = theirs.iter().chain([&mine]).flatten().count();
        assert_eq!(admitted, 1);
        assert_eq!(bench.told(), [State::Open, State::HalfOpen]);
    });
}

#[test]
fn results_of_two_probes_change_the_state_once() {
    for outcomes in [[true, true], [true, false], [false, false]] {
        loom::model(move || {
            let bench = bench(one_failure().permitted_probes(2)).due();
            let probes = [(); 2].map(|()| bench.breaker.try_acquire_owned().unwrap());
            let [first, second] = probes;
            let other = thread::spawn(move || match outcomes[0] {
                true => first.success(),
                false => first.failure(),
            });
            match outcomes[1] {
                true => second.success(),
                false => second.failure(),
            }
            other.join().unwrap();
            let told = bench.told();
            assert_eq!(told[..2], [State::Open, State::HalfOpen]);
            assert_eq!(told.len(), 3);
            match outcomes {
                [true, true] => assert_eq!(told[2], State::Closed),
                [false, false] => assert_eq!(told[2], State::Open),
                _ => assert!([State::Open, State::Closed].contains(&told[2])),
            }
        });
    }
}

#[test]
fn failures_at_the_threshold_open_it_once() {
    for builder in [
        || CircuitBreaker::builder().consecutive_failures(2),
        || CircuitBreaker::builder().count_window(4).failures(2),
        || CircuitBreaker::builder().count_window(65).failures(2),
        || {
            CircuitBreaker::builder()
                .time_window(Duration::from_secs(9))
                .failures(2)
        },
    ] {
        bounded(3, move || {
            let bench = bench(builder());
            let permits: Vec<_> = (0..2)
                .map(|_| bench.breaker.try_acquire_owned().unwrap())
                .collect();
            let threads: Vec<_> = permits
                .into_iter()
                .map(|permit| thread::spawn(move || permit.failure()))
                .collect();
            for thread in threads {
                thread.join().unwrap();
            }
            assert_eq!(bench.told(), [State::Open]);
        });
    }
}

#[test]
fn no_call_is_lost_from_a_window() {
    for builder in [
        || CircuitBreaker::builder().count_window(3).failures(3),
        || CircuitBreaker::builder().count_window(65).failures(9),
        || {
            CircuitBreaker::builder()
                .time_window(Duration::from_secs(9))
                .failures(9)
        },
    ] {
        bounded(3, move || {
            let bench = bench(builder());
            let breaker = bench.breaker.clone();
            let other = thread::spawn(move || {
                breaker.try_acquire().unwrap().failure();
            });
            bench.breaker.try_acquire().unwrap().success();
            bench.breaker.try_acquire().unwrap().failure();
            other.join().unwrap();
            let window = bench.breaker.snapshot().window;
            assert_eq!((window.calls, window.failures), (3, 2));
        });
    }
}

/// A result that is told while the state changes counts in the state that it belongs to, or nowhere.
#[test]
fn a_result_of_an_older_state_changes_nothing() {
    loom::model(|| {
        let bench = bench(CircuitBreaker::builder().count_window(4).failures(2));
        let stale = bench.breaker.try_acquire_owned().unwrap();
        let late = thread::spawn(move || stale.failure());
        bench.breaker.reset();
        bench.breaker.try_acquire().unwrap().failure();
        late.join().unwrap();
        assert_eq!(bench.breaker.state(), State::Closed);
        assert_eq!(bench.breaker.snapshot().window.failures, 1);
        assert!(bench.told().is_empty());
    });
}

/// The state has come round to closed again by the time that the old result is told.
#[test]
fn a_result_from_before_an_outage_changes_nothing_after_it() {
    bounded(4, || {
        let bench = bench(one_failure()).due();
        let probe = bench.breaker.try_acquire_owned().unwrap();
        let breaker = bench.breaker.clone();
        let stale = {
            bench.breaker.reset();
            let stale = bench.breaker.try_acquire_owned().unwrap();
            bench.breaker.force_open();
            stale
        };
        let late = thread::spawn(move || {
            probe.success();
            stale.failure();
        });
        breaker.reset();
        late.join().unwrap();
        assert_eq!(breaker.state(), State::Closed);
        assert_eq!(breaker.snapshot().window.failures, 0);
    });
}

#[test]
fn a_cancelled_probe_gives_its_place_to_one_that_waits_for_it() {
    loom::model(|| {
        let bench = bench(one_failure()).due();
        let probe = bench.breaker.try_acquire_owned().unwrap();
        let other = thread::spawn(move || drop(probe));
        let mine = bench.breaker.try_acquire();
        let was_admitted = mine.is_ok();
        other.join().unwrap();
        if was_admitted {
            assert!(bench.breaker.try_acquire().is_err(), "one at a time");
        }
        drop(mine);
        bench.breaker.try_acquire().unwrap().success();
        assert_eq!(bench.breaker.state(), State::Closed);
    });
}

/// Whoever reads a deadline while the state changes must not take it for that of another state.
#[test]
fn a_rejection_carries_the_deadline_of_its_own_state() {
    bounded(4, || {
        let bench = bench(one_failure().permitted_probes(1));
        bench.breaker.try_acquire().unwrap().failure();
        bench.clock.0.store(7, SeqCst);
        let breaker = bench.breaker.clone();
        let other = thread::spawn(move || {
            breaker.reset();
            breaker.try_acquire().unwrap().failure();
        });
        match bench.breaker.try_acquire() {
            Ok(permit) => permit.ignore(),
            Err(rejection) => {
                let left = rejection.retry_after().unwrap().as_secs();
                let expected = if rejection.generation() == 1 { 3 } else { 10 };
                assert_eq!(left, expected);
            }
        }
        other.join().unwrap();
        assert_eq!(bench.told(), [State::Open, State::Closed, State::Open]);
    });
}

#[test]
fn a_success_beside_a_failure_leaves_the_count_of_the_later_one() {
    loom::model(|| {
        let bench = bench(CircuitBreaker::builder().consecutive_failures(3));
        bench.breaker.try_acquire().unwrap().failure();
        let breaker = bench.breaker.clone();
        let other = thread::spawn(move || breaker.try_acquire().unwrap().success());
        bench.breaker.try_acquire().unwrap().failure();
        other.join().unwrap();
        let failures = bench.breaker.snapshot().window.failures;
        assert!(failures == 0 || failures == 1, "{failures}");
        // And it is not quiet if there is one: the next success is taken in.
        bench.breaker.try_acquire().unwrap().success();
        assert_eq!(bench.breaker.snapshot().window.failures, 0);
    });
}

#[test]
fn changes_by_hand_from_two_sides_are_told_in_their_order() {
    bounded(3, || {
        let bench = bench(one_failure());
        let breaker = bench.breaker.clone();
        let other = thread::spawn(move || {
            breaker.force_open();
            breaker.reset();
        });
        bench.breaker.disable();
        other.join().unwrap();
        let told = bench.told();
        assert!((2..=3).contains(&told.len()), "{told:?}");
        assert_eq!(bench.breaker.state(), *told.last().unwrap());
    });
}

/// Whoever is telling of one breaker's change may come upon another's as soon as it is entered.
#[test]
fn no_listener_is_let_through_by_the_state_before_its_event() {
    bounded(3, || {
        let breakers: Arc<std::sync::OnceLock<[CircuitBreaker; 2]>> = Arc::default();
        let told = Arc::clone(&breakers);
        let let_through = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&let_through);
        let template = CircuitBreaker::builder()
            .totals(false)
            .clock(Clock0::default())
            .on_transition(move |event| {
                let [first, second] = told.get().unwrap();
                let breaker = match event.name.as_str() {
                    "first" => first,
                    _ => second,
                };
                if breaker.try_acquire().is_ok() {
                    count.fetch_add(1, SeqCst);
                }
            })
            .template()
            .unwrap();
        let named = |name| template.create_named(name).unwrap();
        let pair = [named("first"), named("second")];
        let second = pair[1].clone();
        assert!(breakers.set(pair.clone()).is_ok());
        let other = thread::spawn(move || second.force_open());
        assert!(pair[0].force_open());
        assert!(other.join().unwrap());
        assert_eq!(let_through.load(SeqCst), 0);
        assert_eq!(pair[0].lost_events(), (0, 0));
    });
}
