//! Clocks are monotonic, shared by clones, and never wrap.

use std::sync::Arc;
use std::time::Duration;

use brolly_sync::{Clock, ManualClock, SystemClock};

#[test]
fn the_system_clock_never_runs_backwards() {
    let clock = SystemClock::new();
    let readings: Vec<_> = (0..1_000).map(|_| clock.now()).collect();
    assert!(readings.is_sorted());
}

#[test]
fn a_manual_clock_stands_still_until_it_is_moved() {
    let clock = ManualClock::new();
    assert_eq!(clock.now(), Duration::ZERO);
    clock.advance(Duration::from_millis(5));
    clock.advance(Duration::from_nanos(1));
    assert_eq!(clock.now(), Duration::from_nanos(5_000_001));
}

#[test]
fn clones_of_a_manual_clock_share_the_time() {
    let clock = ManualClock::new();
    let other = clock.clone();
    other.set(Duration::from_secs(7));
    assert_eq!(clock.now(), Duration::from_secs(7));
}

#[test]
fn setting_a_manual_clock_back_does_nothing() {
    let clock = ManualClock::new();
    clock.set(Duration::from_secs(7));
    clock.set(Duration::from_secs(3));
    assert_eq!(clock.now(), Duration::from_secs(7));
}

#[test]
fn a_manual_clock_stops_at_its_end_instead_of_wrapping() {
    let end = Duration::from_nanos(u64::MAX);
    let clock = ManualClock::new();
    clock.set(Duration::MAX);
    assert_eq!(clock.now(), end);
    clock.advance(Duration::MAX);
    assert_eq!(clock.now(), end);
}

#[test]
fn ten_years_are_counted_to_the_nanosecond() {
    let ten_years = Duration::from_secs(10 * 365 * 24 * 60 * 60);
    let clock = ManualClock::new();
    clock.advance(ten_years);
    clock.advance(Duration::from_nanos(1));
    assert_eq!(clock.now(), ten_years + Duration::from_nanos(1));
}

#[test]
fn a_clock_can_be_chosen_at_run_time_and_shared() {
    let manual = ManualClock::new();
    let clocks: [Arc<dyn Clock>; 2] = [Arc::new(manual.clone()), Arc::new(SystemClock::default())];
    manual.advance(Duration::from_secs(1));
    let by_handle = |clock: &dyn Clock| clock.now();
    assert_eq!(by_handle(&clocks[0]), Duration::from_secs(1));
    assert!(clocks[1].now() <= clocks[1].now());
}
