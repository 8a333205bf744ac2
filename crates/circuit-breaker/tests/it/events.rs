//! Each change is told once, in order, to listeners that may do what they like.

use std::sync::{Arc, Mutex, OnceLock};

use brolly_circuit_breaker::{CircuitBreaker, Event, Reason, State};

use crate::support::{SECOND, fail, succeed, with_clock};

fn recorder() -> (
    Arc<Mutex<Vec<Event>>>,
    impl Fn(&Event) + Send + Sync + 'static,
) {
    let events = Arc::new(Mutex::new(Vec::new()));
    let recorded = Arc::clone(&events);
    (events, move |event: &Event| {
        recorded.lock().unwrap().push(event.clone())
    })
}

#[test]
fn a_listener_is_told_of_each_change_with_its_reason() {
    let (events, listener) = recorder();
    let builder = CircuitBreaker::builder()
        .name("search")
        .consecutive_failures(1);
    let (breaker, clock) = with_clock(builder.on_transition(listener));
    fail(&breaker).unwrap();
    clock.advance(60 * SECOND);
    fail(&breaker).unwrap();
    clock.advance(60 * SECOND);
    std::mem::forget(breaker.try_acquire().unwrap());
    clock.advance(60 * SECOND);
    assert!(breaker.try_acquire().is_err());
    clock.advance(60 * SECOND);
    succeed(&breaker).unwrap();
    breaker.reset();
    breaker.force_open();
    breaker.force_open();
    breaker.reset();
    let events = events.lock().unwrap();
    let told: Vec<_> = events
        .iter()
        .map(|it| (it.to, it.reason, it.at.as_secs()))
        .collect();
    assert_eq!(
        told,
        [
            (State::Open, Reason::Failures, 0),
            (State::HalfOpen, Reason::OpenTimeOver, 60),
            (State::Open, Reason::ProbesFailed, 60),
            (State::HalfOpen, Reason::OpenTimeOver, 120),
            (State::Open, Reason::ProbesOverdue, 180),
            (State::HalfOpen, Reason::OpenTimeOver, 240),
            (State::Closed, Reason::ProbesSucceeded, 240),
            (State::ForcedOpen, Reason::Manual, 240),
            (State::Closed, Reason::Manual, 240),
        ]
    );
    assert!(events.iter().all(|event| event.name == "search"));
    assert_eq!(*events, breaker.events());
    assert!(events.windows(2).all(|pair| pair[0].to == pair[1].from));
    assert!(
        events
            .windows(2)
            .all(|pair| pair[0].generation < pair[1].generation)
    );
}

#[test]
fn a_listener_sees_the_new_state_and_may_call_the_breaker() {
    static BREAKER: OnceLock<CircuitBreaker> = OnceLock::new();
    let (events, listener) = recorder();
    let builder = CircuitBreaker::builder()
        .consecutive_failures(1)
        .on_transition(listener);
    let (breaker, _) = with_clock(builder.on_transition(|event| {
        let breaker = BREAKER.get().unwrap();
        assert_eq!(breaker.state(), event.to);
        let _ = (breaker.snapshot(), breaker.events());
        match event.to {
            State::Open => assert!(breaker.disable()),
            State::Disabled => assert!(breaker.reset()),
            _ => {}
        }
    }));
    let breaker = BREAKER.get_or_init(|| breaker);
    fail(breaker).unwrap();
    assert_eq!(
        breaker.lost_events(),
        (0, 0),
        "no assertion in the listener failed"
    );
    let told: Vec<_> = events
        .lock()
        .unwrap()
        .iter()
        .map(|event| event.to)
        .collect();
    assert_eq!(told, [State::Open, State::Disabled, State::Closed]);
}

#[test]
fn the_log_keeps_the_latest_and_tells_how_many_are_gone() {
    let (breaker, _) = with_clock(CircuitBreaker::builder().event_capacity(4));
    for _ in 0..10 {
        breaker.force_open();
        breaker.reset();
    }
    let numbers = |events: Vec<Event>| events.iter().map(|it| it.sequence).collect::<Vec<_>>();
    assert_eq!(numbers(breaker.events()), [17, 18, 19, 20]);
    assert_eq!(numbers(breaker.events_since(18)), [19, 20]);
    assert!(breaker.events_since(20).is_empty());
    assert!(breaker.events_since(u64::MAX).is_empty());
}

#[test]
fn events_that_a_slow_listener_was_not_told_of_are_counted() {
    static BREAKER: OnceLock<CircuitBreaker> = OnceLock::new();
    let (events, listener) = recorder();
    let builder = CircuitBreaker::builder().event_capacity(2);
    let (breaker, _) = with_clock(builder.on_transition(listener).on_transition(|event| {
        // While it is at the first one, ten more happen.
        if event.sequence == 1 {
            for _ in 0..5 {
                BREAKER.get().unwrap().reset();
                BREAKER.get().unwrap().force_open();
            }
        }
    }));
    let breaker = BREAKER.get_or_init(|| breaker);
    breaker.force_open();
    let told: Vec<_> = events
        .lock()
        .unwrap()
        .iter()
        .map(|event| event.sequence)
        .collect();
    assert_eq!(told, [1, 10, 11]);
    assert_eq!(breaker.lost_events(), (8, 0));
}

#[test]
fn of_many_threads_that_change_it_each_change_is_told_once_and_in_order() {
    let (events, listener) = recorder();
    let builder = CircuitBreaker::builder()
        .consecutive_failures(1)
        .event_capacity(65_536);
    let (breaker, clock) = with_clock(builder.open_for(SECOND).on_transition(listener));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (breaker, clock) = (&breaker, &clock);
            scope.spawn(move || {
                for round in 0..2_000 {
                    match (round + thread) % 4 {
                        0 => drop(fail(breaker)),
                        1 => clock.advance(SECOND),
                        2 => drop(succeed(breaker)),
                        _ => drop(breaker.reset()),
                    }
                }
            });
        }
    });
    let told = events.lock().unwrap().clone();
    assert!(told.len() > 100, "only {} changes", told.len());
    assert_eq!(told, breaker.events());
    let opened = told.iter().filter(|event| event.to == State::Open).count();
    assert_eq!(breaker.snapshot().totals.opened, opened as u64);
    for pair in told.windows(2) {
        assert_eq!(pair[0].to, pair[1].from);
        assert_eq!(pair[0].sequence + 1, pair[1].sequence);
        assert!(pair[0].generation < pair[1].generation);
    }
}
