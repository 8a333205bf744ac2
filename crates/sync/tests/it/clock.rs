//! Clocks are monotonic, shared by clones, and never wrap.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use brolly_sync::{Clock, ManualClock, SystemClock, ThreadTimer};

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

#[test]
fn a_coarse_reading_is_never_ahead_of_a_precise_one() {
    let clock = SystemClock::new();
    let mut last = Duration::ZERO;
    for _ in 0..10_000 {
        let coarse = clock.coarse();
        let now = clock.now();
        assert!(coarse <= now, "{coarse:?} is ahead of {now:?}");
        assert!(last <= coarse, "it runs backwards");
        last = coarse;
    }
}

#[test]
fn a_coarse_reading_that_is_handed_on_is_behind_every_later_precise_one() {
    let clock = SystemClock::new();
    let latest = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..10_000 {
                    let coarse = u64::try_from(clock.coarse().as_nanos()).unwrap();
                    latest.fetch_max(coarse, Ordering::SeqCst);
                }
            });
        }
        for _ in 0..10_000 {
            let coarse = Duration::from_nanos(latest.load(Ordering::SeqCst));
            assert!(coarse <= clock.now());
        }
    });
}

#[test]
fn a_coarse_reading_lags_by_what_the_clock_says() {
    let clock = SystemClock::new();
    let lag = clock.coarse_lag();
    if cfg!(all(feature = "coarse-clock", target_os = "linux")) {
        assert!(
            !lag.is_zero() && lag <= Duration::from_millis(10),
            "{lag:?}"
        );
    } else {
        assert_eq!(lag, Duration::ZERO);
    }
    // A reading may be held up between the two clocks, so single ones prove nothing; half of them
    // are not held up for longer than a tick.
    let mut lags: Vec<_> = (0..500)
        .map(|_| {
            thread::sleep(Duration::from_micros(100));
            let now = clock.now();
            now.saturating_sub(clock.coarse())
        })
        .collect();
    lags.sort_unstable();
    assert!(
        lags[lags.len() / 2] <= lag,
        "{:?} of {lag:?}",
        lags[lags.len() / 2]
    );
}

#[test]
fn whatever_points_to_a_clock_reads_both_of_its_times() {
    #[derive(Debug)]
    struct Two;
    impl Clock for Two {
        fn now(&self) -> Duration {
            Duration::from_secs(2)
        }
        fn coarse(&self) -> Duration {
            Duration::from_secs(1)
        }
        fn coarse_lag(&self) -> Duration {
            Duration::from_secs(3)
        }
    }
    fn read(clock: impl Clock) -> [u64; 3] {
        [clock.now(), clock.coarse(), clock.coarse_lag()].map(|time| time.as_secs())
    }
    assert_eq!(read(&Two), [2, 1, 3]);
    assert_eq!(read(Box::new(Two)), [2, 1, 3]);
    assert_eq!(read(Arc::new(Two)), [2, 1, 3]);
    assert_eq!(read(ThreadTimer::with_clock(Two)), [2, 1, 3]);
    assert_eq!(read(Arc::new(Two) as Arc<dyn Clock>), [2, 1, 3]);
}
