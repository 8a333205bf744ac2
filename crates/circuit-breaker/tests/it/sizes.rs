//! Auto traits and sizes are part of the interface; this file fails to compile when one is lost.

use brolly_circuit_breaker::{
    CallError, CircuitBreaker, CircuitBreakerBuilder, ConfigError, Event, Permit, Registry,
    Rejection, SavedState, Snapshot, Template,
};

const fn crosses_threads<T: Send + Sync + Unpin + 'static>() {}
fn is_send<T: Send>(_: &T) {}

#[test]
fn handles_and_data_cross_threads() {
    crosses_threads::<CircuitBreaker>();
    crosses_threads::<CircuitBreakerBuilder>();
    crosses_threads::<Template>();
    crosses_threads::<Registry>();
    crosses_threads::<Permit<'static>>();
    crosses_threads::<Rejection>();
    crosses_threads::<CallError<String>>();
    crosses_threads::<ConfigError>();
    crosses_threads::<Event>();
    crosses_threads::<Snapshot>();
    crosses_threads::<SavedState>();
}

#[test]
fn a_call_is_send_when_what_it_runs_is() {
    let breaker = CircuitBreaker::builder().build().unwrap();
    is_send(&breaker.call(|| async { Ok::<_, ()>(()) }));
    is_send(&breaker.call_or(|| async { Ok::<_, ()>(()) }, |_| async { Ok::<_, ()>(()) }));
}

#[test]
fn handles_and_errors_stay_small() {
    assert_eq!(size_of::<CircuitBreaker>(), size_of::<usize>());
    assert!(size_of::<CallError<()>>() <= 56);
    assert!(size_of::<Permit<'_>>() <= 40);
}
