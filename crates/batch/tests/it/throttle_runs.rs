//! Runs that obey a throttle: at their own pace, then none, then one at a time, and on to their end.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use brolly_batch::{BatchProcessor, CancelToken, ItemError, Limiter, Reading, Throttle};
use brolly_sync::{ManualClock, Timer};

use crate::support::{Gauge, Wakes, within_a_minute};

const SECOND: Duration = Duration::from_secs(1);

/// A throttle that reads its source each second and waits for ten.
struct Bench {
    clock: ManualClock,
    percent: Arc<AtomicU64>,
    throttle: Throttle,
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
            clock,
            percent,
            throttle,
        }
    }

    fn processor(&self) -> BatchProcessor {
        BatchProcessor::builder()
            .max_concurrent(4)
            .throttle(&self.throttle)
            .build()
            .expect("the settings are in range")
    }

    fn set(&self, percent: u64) {
        self.percent.store(percent, Ordering::SeqCst);
    }
}

/// Polls for as long as somebody asks for it.
fn settle<F: Future + ?Sized>(mut future: Pin<&mut F>) -> Option<F::Output> {
    let (wakes, waker) = Wakes::new();
    loop {
        let before = wakes.count();
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return Some(output),
            Poll::Pending if wakes.count() == before => return None,
            Poll::Pending => {}
        }
    }
}

#[test]
fn a_run_goes_on_with_one_item_at_a_time_until_the_pressure_falls() {
    let bench = Bench::new(0);
    let gauge = Gauge::default();
    let starts = RefCell::new(Vec::new());
    // Each item takes half a second.
    let mut run = pin!(bench.processor().map(0..60, |n| {
        starts.borrow_mut().push(n);
        let (gauge, clock) = (&gauge, &bench.clock);
        async move {
            let _alive = gauge.enter();
            clock.sleep(SECOND / 2).await;
            Ok::<_, Infallible>(n)
        }
    }));
    let mut seen = Vec::new();
    let results = loop {
        if let Some(results) = settle(run.as_mut()) {
            break results;
        }
        seen.push((starts.borrow().len(), gauge.now()));
        // Pressure from the first second on, for twenty.
        bench.set(if (1..40).contains(&seen.len()) { 90 } else { 0 });
        bench.clock.advance(SECOND / 2);
        assert!(seen.len() < 1_000, "it never ends");
    };
    assert!(results.into_iter().map(Result::unwrap).eq(0..60));
    assert_eq!(gauge.peak(), 4);
    // Two rounds of four, then ten seconds of nothing, then one by one, then fours again.
    assert_eq!(seen[..2], [(4, 4), (8, 4)]);
    assert!(seen[2..21].iter().all(|&now| now == (8, 0)), "{seen:?}");
    assert!(
        seen[22..40].iter().all(|&(_, alive)| alive == 1),
        "{seen:?}"
    );
    assert!(
        seen[41..46].iter().all(|&(_, alive)| alive == 4),
        "{seen:?}"
    );
    assert_eq!(bench.throttle.stats().waiting, 0);
    let events = bench.throttle.events_since(0);
    assert_eq!(events.len(), 2, "one for the change, none for the items");
}

#[test]
fn pressure_that_never_falls_does_not_keep_a_run_from_its_end() {
    let bench = Bench::new(100);
    let gauge = Gauge::default();
    let mut run = pin!(bench.processor().map(0..20, |n| {
        let (gauge, clock) = (&gauge, &bench.clock);
        async move {
            let _alive = gauge.enter();
            clock.sleep(SECOND).await;
            Ok::<_, Infallible>(n)
        }
    }));
    let results = loop {
        if let Some(results) = settle(run.as_mut()) {
            break results;
        }
        bench
            .clock
            .set(bench.clock.next_deadline().expect("it sleeps"));
    };
    assert!(results.into_iter().map(Result::unwrap).eq(0..20));
    assert_eq!(gauge.peak(), 1);
    assert_eq!(bench.throttle.stats().throttles, 1);
}

#[test]
fn a_throttled_run_dropped_at_any_poll_leaves_the_line() {
    for polls in 0..30 {
        let bench = Bench::new(100);
        let token = Rc::new(());
        let items: Vec<_> = (0..6).map(|_| Rc::clone(&token)).collect();
        let mut run = Box::pin(
            bench
                .processor()
                .map(items, |token| async { Ok::<_, Infallible>(token) }),
        );
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..polls {
            if run.as_mut().poll(&mut cx).is_ready() {
                break;
            }
            bench.clock.advance(SECOND);
        }
        drop(run);
        assert_eq!(Rc::strong_count(&token), 1, "after {polls} polls");
        assert_eq!(bench.throttle.stats().waiting, 0);
        assert_eq!(bench.clock.sleeping(), 0);
    }
}

#[test]
fn a_run_that_is_cancelled_does_not_wait_for_the_pressure() {
    let bench = Bench::new(100);
    let token = CancelToken::new();
    let processor = BatchProcessor::builder()
        .throttle(&bench.throttle)
        .build()
        .unwrap()
        .cancel_with(&token);
    let mut run = pin!(processor.map(0..3, |n| async move { Ok::<_, Infallible>(n) }));
    assert!(settle(run.as_mut()).is_none());
    token.cancel();
    let results = settle(run).expect("it is cancelled");
    assert_eq!(results, vec![Err(ItemError::Cancelled); 3]);
}

#[test]
fn threads_obey_as_tasks_do() {
    within_a_minute(|| {
        let bench = Bench::new(100);
        let (alive, peak) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            let run = scope.spawn(|| {
                bench.processor().map_blocking(0..6, |n| {
                    let now = alive.fetch_add(1, Ordering::SeqCst) + 1;
                    peak.fetch_max(now, Ordering::SeqCst);
                    thread::yield_now();
                    alive.fetch_sub(1, Ordering::SeqCst);
                    Ok::<_, Infallible>(n)
                })
            });
            while !run.is_finished() {
                if bench.clock.sleeping() > 0 {
                    bench.clock.advance(SECOND);
                }
                thread::yield_now();
            }
            let results = run.join().unwrap();
            assert!(results.into_iter().map(Result::unwrap).eq(0..6));
        });
        assert_eq!(peak.load(Ordering::SeqCst), 1);
        assert_eq!(bench.throttle.stats().waiting, 0);
    });
}

/// The run could not start anything with it, for as long as the throttle says no.
#[test]
fn a_throttled_run_passes_on_a_permit_that_it_waited_for() {
    let bench = Bench::new(0);
    let limiter = Limiter::new(1).unwrap();
    let processor = BatchProcessor::builder()
        .throttle(&bench.throttle)
        .limiter(&limiter)
        .build()
        .unwrap();
    let held = limiter.try_acquire().unwrap();
    let mut run = pin!(processor.map(0..3, |n| async move { Ok::<_, Infallible>(n) }));
    assert!(settle(run.as_mut()).is_none());
    assert_eq!(limiter.pool().waiting(), 1);
    bench.set(90);
    bench.clock.advance(SECOND);
    drop(held); // which serves the run
    assert!(settle(run.as_mut()).is_none());
    let other = limiter.try_acquire().expect("the run has passed it on");
    bench.set(0);
    bench.clock.advance(SECOND);
    assert!(settle(run.as_mut()).is_none(), "it waits for the other");
    drop(other);
    let results = settle(run.as_mut()).expect("nothing holds it back");
    assert!(results.into_iter().map(Result::unwrap).eq(0..3));
}
