//! Timers: how long, and how it ended, whichever way that was.

use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use brolly_metrics_core::{Outcome, Registry, Timer};
use brolly_sync::ManualClock;

struct Bench {
    clock: ManualClock,
    registry: Registry,
    timer: Timer,
}

fn bench() -> Bench {
    let clock = ManualClock::new();
    let registry = Registry::builder().clock(clock.clone()).build();
    let timer = registry.timer("t").register().expect("valid");
    Bench {
        clock,
        registry,
        timer,
    }
}

impl Bench {
    /// Count and seconds of an outcome.
    fn seen(&self, outcome: Outcome) -> (u64, f64) {
        let snapshot = self.registry.snapshot();
        let family = snapshot.histogram("t").expect("registered");
        let found = family.get(&[outcome.name()]);
        found.map_or((0, 0.0), |it| (it.count(), it.sum()))
    }

    fn tick(&self) {
        self.clock.advance(Duration::from_millis(250));
    }
}

#[test]
fn each_outcome_is_recorded_with_its_time() {
    let bench = bench();
    let guard = bench.timer.start();
    bench.tick();
    guard.success();
    let guard = bench.timer.start();
    bench.tick();
    bench.tick();
    guard.error();
    drop(bench.timer.start());
    bench.timer.start().finish(Outcome::Panic);
    assert_eq!(bench.seen(Outcome::Success), (1, 0.25));
    assert_eq!(bench.seen(Outcome::Error), (1, 0.5));
    assert_eq!(bench.seen(Outcome::Cancelled), (1, 0.0));
    assert_eq!(bench.seen(Outcome::Panic), (1, 0.0));
}

#[test]
fn an_outcome_that_never_occurred_has_no_series() {
    let bench = bench();
    bench.timer.time(|| bench.tick());
    let snapshot = bench.registry.snapshot();
    let family = snapshot.histogram("t").expect("registered");
    assert_eq!(family.series.len(), 1);
}

#[test]
fn calls_say_how_they_ended() {
    let bench = bench();
    assert_eq!(bench.timer.time(|| 7), 7);
    let failed: Result<(), &str> = bench.timer.time_result(|| Err("no"));
    assert_eq!(failed, Err("no"));
    let went_well: Result<u8, ()> = bench.timer.time_result(|| Ok(1));
    assert_eq!(went_well, Ok(1));
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        bench.timer.time(|| {
            bench.tick();
            panic!("the call fails");
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(bench.seen(Outcome::Success).0, 2);
    assert_eq!(bench.seen(Outcome::Error).0, 1);
    assert_eq!(bench.seen(Outcome::Panic), (1, 0.25));
}

/// Is pending so often, then ready.
fn after<T: Clone>(mut polls: usize, value: T) -> impl Future<Output = T> {
    poll_fn(move |_| {
        if polls == 0 {
            return Poll::Ready(value.clone());
        }
        polls -= 1;
        Poll::Pending
    })
}

fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_future_is_measured_from_its_first_poll_to_its_end() {
    let bench = bench();
    let mut future = pin!(bench.timer.future(after(2, "done")));
    bench.tick();
    assert!(poll(future.as_mut()).is_pending());
    bench.tick();
    assert!(poll(future.as_mut()).is_pending());
    bench.tick();
    assert_eq!(poll(future.as_mut()), Poll::Ready("done"));
    assert_eq!(bench.seen(Outcome::Success), (1, 0.5));
    let mut failing = pin!(bench.timer.future_result(after(0, Err::<(), _>("no"))));
    assert_eq!(poll(failing.as_mut()), Poll::Ready(Err("no")));
    assert_eq!(bench.seen(Outcome::Error).0, 1);
}

#[test]
fn a_future_dropped_at_any_of_its_polls_is_cancelled_once() {
    for polls in 0..4 {
        let bench = bench();
        {
            let mut future = pin!(bench.timer.future(after(9, ())));
            for _ in 0..polls {
                assert!(poll(future.as_mut()).is_pending());
                bench.tick();
            }
        }
        let expected = u64::from(polls > 0);
        let seconds = f64::from(polls) * 0.25;
        assert_eq!(bench.seen(Outcome::Cancelled), (expected, seconds));
        assert_eq!(bench.seen(Outcome::Success).0, 0);
    }
}

#[test]
fn a_future_that_panics_is_a_panic() {
    let bench = bench();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let mut future = pin!(bench.timer.future(async { panic!("the work fails") }));
        let _: Poll<()> = poll(future.as_mut());
    }));
    assert!(panicked.is_err());
    assert_eq!(bench.seen(Outcome::Panic).0, 1);
    assert_eq!(bench.seen(Outcome::Cancelled).0, 0);
}

#[test]
fn a_measurement_given_up_while_another_panic_unwinds_is_not_that_panic() {
    struct Cleanup(Timer);
    impl Drop for Cleanup {
        fn drop(&mut self) {
            drop(self.0.start());
        }
    }
    let bench = bench();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _cleanup = Cleanup(bench.timer.clone());
        panic!("something else fails");
    }));
    assert!(panicked.is_err());
    assert_eq!(bench.seen(Outcome::Cancelled).0, 1);
    assert_eq!(bench.seen(Outcome::Panic).0, 0);
}

#[test]
fn a_timer_outlives_its_registry() {
    let timer = bench().timer;
    timer.time(|| ());
    drop(timer.start());
    drop(timer.future(pending::<()>()));
}

/// Seconds that a timer measured, and the least and the most that it can have been.
fn spin(registry: &Registry, at_least: Duration) -> (f64, f64, f64) {
    let timer = registry.timer("t").get_or_register().expect("valid");
    registry.clear();
    let outside = Instant::now();
    let guard = timer.start();
    let inside = Instant::now();
    while inside.elapsed() < at_least {
        std::hint::spin_loop();
    }
    let least = inside.elapsed();
    guard.success();
    let most = outside.elapsed();
    let snapshot = registry.snapshot();
    let seen = snapshot.histogram("t").and_then(|it| it.get(&["success"]));
    let seconds = seen.expect("recorded").sum();
    (seconds, least.as_secs_f64(), most.as_secs_f64())
}

#[test]
fn the_real_clock_measures_real_time() {
    let registry = Registry::new();
    // With the time stamp counter the first scale is a guess; a snapshot makes it better.
    let (seconds, least, most) = spin(&registry, Duration::from_millis(5));
    assert!(
        (least * 0.98..=most * 1.02).contains(&seconds),
        "{seconds}: {least} {most}"
    );
    let _ = spin(&registry, Duration::from_millis(150));
    let (seconds, least, most) = spin(&registry, Duration::from_millis(5));
    assert!(
        (least * 0.999..=most * 1.001).contains(&seconds),
        "{seconds}: {least} {most}"
    );
}

#[test]
fn a_measurement_that_outlives_its_series_does_not_bring_it_back() {
    let registry = Registry::new();
    let peers = registry.timer("t").labels(["peer"]).max_series(2);
    let peers = peers.register().expect("valid");
    for peer in 0..20 {
        let peer = peer.to_string();
        let timer = peers.get([&peer]);
        let measuring = timer.start();
        assert!(peers.remove([&peer]));
        measuring.success();
    }
    peers.with(["last"], |timer| timer.time(|| ()));
    let snapshot = registry.snapshot();
    let family = snapshot.histogram("t").expect("registered");
    let shown: Vec<_> = family.series.iter().map(|it| &it.label_values).collect();
    // In the order of the labels: the outcome comes before the peer.
    assert_eq!(shown, [&["success", "last"]]);
}
