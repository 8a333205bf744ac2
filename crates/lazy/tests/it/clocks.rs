//! Clocks that jump, stand still, or lag behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use brolly_lazy::Lazy;
use brolly_sync::{Clock, ManualClock};

/// A clock that reads whatever it is told, backwards too, and lags when it is read cheaply.
#[derive(Clone, Debug, Default)]
struct Wild {
    millis: Arc<AtomicU64>,
    lag_millis: u64,
}

impl Wild {
    fn set(&self, millis: u64) {
        self.millis.store(millis, Ordering::SeqCst);
    }
}

impl Clock for Wild {
    fn now(&self) -> Duration {
        Duration::from_millis(self.millis.load(Ordering::SeqCst))
    }

    fn coarse(&self) -> Duration {
        self.now()
            .saturating_sub(Duration::from_millis(self.lag_millis))
    }

    fn coarse_lag(&self) -> Duration {
        Duration::from_millis(self.lag_millis)
    }
}

#[test]
fn a_coarse_clock_never_makes_a_value_outlive_its_time() {
    let clock = Wild {
        lag_millis: 10,
        ..Wild::default()
    };
    clock.set(1_000);
    let lazy = Lazy::builder()
        .time_to_live(Duration::from_millis(100))
        .clock(clock.clone())
        .build_sync(|| 7)
        .unwrap();
    let mut reader = lazy.reader();
    let _ = lazy.get_blocking();
    for millis in 1_000..1_100 {
        clock.set(millis);
        assert!(lazy.peek().is_some() && reader.peek().is_some());
    }
    for millis in 1_100..1_200 {
        clock.set(millis);
        assert!(lazy.peek().is_none() && reader.peek().is_none());
    }
}

#[test]
fn a_clock_that_jumps_back_neither_ends_a_value_nor_panics() {
    let clock = Wild::default();
    clock.set(10_000);
    let lazy = Lazy::builder()
        .time_to_live(Duration::from_secs(1))
        .stale_if_error(Duration::from_secs(1))
        .clock(clock.clone())
        .build_sync(|| 7)
        .unwrap();
    let _ = lazy.get_blocking();
    clock.set(0);
    assert!(lazy.is_loaded());
    // What is put there now is as old as the clock has ever been.
    lazy.replace(8);
    clock.set(10_999);
    assert_eq!(lazy.peek().as_deref(), Some(&8));
    clock.set(11_000);
    assert!(lazy.peek().is_none());
}

#[test]
fn a_clock_at_its_end_is_no_trouble() {
    let clock = ManualClock::new();
    let lazy = Lazy::builder()
        .time_to_live(Duration::from_secs(1))
        .refresh_after(Duration::from_millis(1))
        .cache_errors_for(Duration::MAX)
        .clock(clock.clone())
        .build_sync(|| 7)
        .unwrap();
    clock.set(Duration::MAX);
    assert_eq!(*lazy.get_blocking(), 7);
    assert_eq!(*lazy.get_blocking(), 7);
}

#[test]
fn ten_years_pass_and_every_hour_has_its_value() {
    let clock = ManualClock::new();
    let lazy = Lazy::builder()
        .time_to_live(Duration::from_secs(3_600))
        .clock(clock.clone())
        .build_sync(|| ())
        .unwrap();
    let hours = 10 * 365 * 24;
    for _ in 0..hours {
        let _ = lazy.get_blocking();
        clock.advance(Duration::from_secs(3_600));
    }
    assert_eq!(lazy.load_count(), hours);
}

#[test]
fn the_systems_clock_is_the_default() {
    let lazy = Lazy::builder()
        .time_to_live(Duration::from_millis(1))
        .build_sync(|| 7)
        .unwrap();
    let _ = lazy.get_blocking();
    // Bounded by the machine's clock, not by a sleep of ours.
    while lazy.is_loaded() {
        std::thread::yield_now();
    }
    assert_eq!((*lazy.get_blocking(), lazy.load_count()), (7, 2));
}
