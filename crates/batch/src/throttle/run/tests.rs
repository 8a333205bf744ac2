//! What a run is told while the pressure rises and falls.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use brolly_sync::ManualClock;

use super::*;
use crate::{Reading, Throttle};

const SECOND: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A throttle that reads its source each second and waits for ten.
struct Bench {
    clock: ManualClock,
    percent: Arc<AtomicU64>,
    throttle: Throttle,
    run: ThrottledRun,
    wakes: Arc<Wakes>,
}

impl Bench {
    fn new(percent: u64) -> Self {
        let clock = ManualClock::new();
        let percent = Arc::new(AtomicU64::new(percent));
        let source = Arc::clone(&percent);
        let throttle = Throttle::builder()
            .source(move || Some(Reading::new(source.load(Ordering::SeqCst), 100)))
            .sample_interval(SECOND)
            .max_wait(10 * SECOND)
            .timer(clock.clone())
            .build()
            .expect("the settings are in range");
        Self {
            run: throttle.run(),
            clock,
            percent,
            throttle,
            wakes: Arc::default(),
        }
    }

    fn may_start(&mut self, in_flight: usize) -> bool {
        let waker = Waker::from(Arc::clone(&self.wakes));
        let mut cx = Context::from_waker(&waker);
        self.run.poll_admit(in_flight, &mut cx).is_ready()
    }

    fn wakes(&self) -> usize {
        self.wakes.0.load(Ordering::SeqCst)
    }

    /// Lets a second pass under this pressure.
    fn second(&self, percent: u64) {
        self.percent.store(percent, Ordering::SeqCst);
        self.clock.advance(SECOND);
    }
}

#[test]
fn an_open_throttle_lets_everything_start() {
    let mut bench = Bench::new(79);
    assert!((0..100).all(|in_flight| bench.may_start(in_flight)));
    assert_eq!(bench.throttle.stats().waiting, 0);
}

#[test]
fn under_pressure_nothing_starts_for_the_longest_wait_and_then_one_at_a_time() {
    let mut bench = Bench::new(79);
    assert!(bench.may_start(3));
    bench.second(85);
    for second in 0..10 {
        assert!(!bench.may_start(0), "after {second} seconds");
        bench.second(85);
    }
    for _ in 0..5 {
        assert!(bench.may_start(0), "one may run");
        assert!(!bench.may_start(1), "beside it none");
        bench.second(85);
    }
}

#[test]
fn a_run_that_waits_wakes_when_its_wait_is_over() {
    let mut bench = Bench::new(85);
    assert!(!bench.may_start(0));
    for _ in 0..10 {
        let before = bench.wakes();
        bench
            .clock
            .set(bench.clock.next_deadline().expect("it sleeps"));
        assert_eq!(bench.wakes(), before + 1);
        if bench.may_start(0) {
            assert_eq!(bench.clock.now(), 10 * SECOND);
            return;
        }
    }
    panic!("it never starts");
}

#[test]
fn a_run_wakes_when_the_pressure_falls_even_while_one_item_runs() {
    let mut bench = Bench::new(85);
    assert!(!bench.may_start(0));
    for _ in 0..10 {
        bench.second(85);
    }
    assert!(bench.may_start(0));
    assert!(!bench.may_start(1));
    let before = bench.wakes();
    bench.second(85);
    assert!(!bench.may_start(1));
    bench.second(60);
    assert_eq!(bench.wakes(), before + 2);
    assert!((1..50).all(|in_flight| bench.may_start(in_flight)));
}

#[test]
fn each_time_of_pressure_has_its_own_wait() {
    let mut bench = Bench::new(85);
    for _ in 0..9 {
        assert!(!bench.may_start(0));
        bench.second(85);
    }
    bench.second(0);
    assert!(!bench.throttle.is_throttled());
    // The run was not asked while it was open.
    bench.second(85);
    for _ in 0..10 {
        assert!(!bench.may_start(0));
        bench.second(85);
    }
    assert!(bench.may_start(0));
}

#[test]
fn a_run_that_ends_leaves_the_line() {
    let mut bench = Bench::new(85);
    assert!(!bench.may_start(2));
    assert_eq!(
        (bench.throttle.stats().waiting, bench.clock.sleeping()),
        (1, 1)
    );
    let Bench {
        clock,
        throttle,
        run,
        ..
    } = bench;
    drop(run);
    assert_eq!((throttle.stats().waiting, clock.sleeping()), (0, 0));
}

#[test]
fn an_answer_that_was_thrown_away_is_given_again() {
    let mut bench = Bench::new(85);
    assert!(!bench.may_start(0));
    bench.clock.advance(10 * SECOND);
    assert!((0..5).all(|_| bench.may_start(0)));
}
