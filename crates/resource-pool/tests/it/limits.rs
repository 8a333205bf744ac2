//! The limits of many who wait are kept by one sleep of the pool's.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll};
use std::time::Duration;

use brolly_resource_pool::Pool;
use brolly_sync::{Clock, ManualClock, Sleep, Timer};
use proptest::prelude::*;

use crate::support::{Bench, Count, Factory, Mode, bench, is_timeout, lone, ms, now, ready, secs};

/// How a timer misbehaves.
#[derive(Debug, Default)]
struct Faults {
    sleeps: AtomicUsize,
    /// So many of the next sleeps panic.
    panics: AtomicUsize,
    /// So many of the next sleeps ask to be polled again while they are polled.
    is_restless: AtomicUsize,
}

/// Time moved by hand, and sleeps that are counted.
#[derive(Clone, Debug)]
struct Counted(ManualClock, Arc<Faults>);

impl Clock for Counted {
    fn now(&self) -> Duration {
        self.0.now()
    }
}

fn take_one(count: &AtomicUsize) -> bool {
    count
        .fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1))
        .is_ok()
}

impl Timer for Counted {
    fn sleep_until(&self, deadline: Duration) -> Sleep {
        self.1.sleeps.fetch_add(1, SeqCst);
        assert!(!take_one(&self.1.panics), "out of order");
        if take_one(&self.1.is_restless) {
            return Sleep::from_future(deadline, Restless);
        }
        self.0.sleep_until(deadline)
    }
}

struct Restless;

impl Future for Restless {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

struct Timed {
    pool: Pool<Factory>,
    clock: ManualClock,
    faults: Arc<Faults>,
}

fn timed() -> Timed {
    let clock = ManualClock::new();
    let faults = Arc::new(Faults::default());
    let builder = Pool::builder(Factory::new()).min_size(0).max_size(1);
    let builder = builder.clock(clock.clone());
    let pool = builder.timer(Counted(clock.clone(), Arc::clone(&faults)));
    Timed {
        pool: pool.acquire_timeout(secs(10)).build().unwrap(),
        clock,
        faults,
    }
}

/// Begins to wait; how often it is woken.
fn begin<F: Future>(future: Pin<&mut F>) -> Arc<Count> {
    let (count, waker) = Count::new();
    assert!(future.poll(&mut Context::from_waker(&waker)).is_pending());
    count
}

#[test]
fn many_who_wait_sleep_once() {
    let timed = timed();
    let held = now(timed.pool.acquire()).unwrap();
    let mut all: Vec<_> = (0..100).map(|_| Box::pin(timed.pool.acquire())).collect();
    let counts: Vec<_> = all.iter_mut().map(|it| begin(it.as_mut())).collect();
    assert_eq!(timed.faults.sleeps.load(SeqCst), 1);
    timed.clock.advance(ms(9999));
    assert!(counts.iter().all(|it| it.get() == 0));
    timed.clock.advance(ms(1));
    assert!(counts.iter().all(|it| it.get() == 1));
    for it in &mut all {
        assert!(is_timeout(&ready(it.as_mut())));
    }
    assert_eq!(timed.faults.sleeps.load(SeqCst), 1);
    drop(held);
    assert_eq!(timed.pool.stats().idle, 1);
}

#[test]
fn each_is_woken_at_its_own_time_whatever_the_others_were_given() {
    let bench = lone(|it| it.max_size(1));
    let _held = bench.take();
    let limits = [7, 3, 9, 3, 1, 8];
    let mut all: Vec<_> = limits
        .iter()
        .map(|limit| Box::pin(bench.pool.acquire_timeout(secs(*limit))))
        .collect();
    let counts: Vec<_> = all.iter_mut().map(|it| begin(it.as_mut())).collect();
    for second in 1..10 {
        bench.clock.advance(secs(1));
        for (number, limit) in limits.iter().enumerate() {
            let is_over = second >= *limit;
            assert_eq!(counts[number].get(), usize::from(is_over), "{limit} s");
            if second == *limit {
                assert!(is_timeout(&ready(all[number].as_mut())));
            }
        }
    }
    assert_eq!(bench.clock.sleeping(), 0);
}

#[test]
fn who_leaves_takes_nobody_elses_limit_along() {
    let bench = bench(|it| it.max_size(1));
    let _held = bench.take();
    let mut first = Box::pin(bench.pool.acquire_timeout(secs(1)));
    let mut second = Box::pin(bench.pool.acquire_timeout(secs(2)));
    begin(first.as_mut());
    let count = begin(second.as_mut());
    drop(first);
    bench.clock.advance(secs(1));
    assert_eq!(count.get(), 0);
    bench.clock.advance(secs(1));
    assert_eq!(count.get(), 1);
    assert!(is_timeout(&ready(second.as_mut())));
}

#[test]
fn a_limit_is_kept_after_the_line_was_empty() {
    let bench = bench(|it| it.max_size(1).acquire_timeout(secs(5)));
    let held = bench.take();
    let mut first = Box::pin(bench.pool.acquire());
    begin(first.as_mut());
    bench.clock.advance(secs(4));
    drop(held);
    let held = ready(first.as_mut()).unwrap();
    let mut second = Box::pin(bench.pool.acquire());
    let count = begin(second.as_mut());
    // The sleep for the first ends now.
    bench.clock.advance(secs(1));
    assert_eq!(count.get(), 0);
    bench.clock.advance(secs(4));
    assert_eq!(count.get(), 1);
    assert!(is_timeout(&ready(second.as_mut())));
    drop(held);
}

#[test]
fn no_time_at_all_is_a_limit_too() {
    let bench = lone(|it| it.max_size(1));
    let held = bench.take();
    assert!(is_timeout(&now(bench.pool.acquire_timeout(Duration::ZERO))));
    drop(held);
    assert!(now(bench.pool.acquire_timeout(Duration::ZERO)).is_ok());
}

#[test]
fn a_timer_that_panics_costs_nobody_else_a_limit() {
    let timed = timed();
    let _held = now(timed.pool.acquire()).unwrap();
    timed.faults.panics.store(1, SeqCst);
    let mut unlucky = Box::pin(timed.pool.acquire());
    let polled = catch_unwind(AssertUnwindSafe(|| begin(unlucky.as_mut())));
    assert!(polled.is_err());
    drop(unlucky);
    let mut next = Box::pin(timed.pool.acquire());
    let count = begin(next.as_mut());
    timed.clock.advance(secs(10));
    assert_eq!(count.get(), 1);
    assert!(is_timeout(&ready(next.as_mut())));
}

#[test]
fn a_timer_that_panics_takes_no_limit_from_those_who_wait_already() {
    let timed = timed();
    let _held = now(timed.pool.acquire()).unwrap();
    let mut first = Box::pin(timed.pool.acquire_timeout(secs(2)));
    let count = begin(first.as_mut());
    timed.faults.panics.store(1, SeqCst);
    let mut unlucky = Box::pin(timed.pool.acquire_timeout(secs(1)));
    assert!(catch_unwind(AssertUnwindSafe(|| begin(unlucky.as_mut()))).is_err());
    drop(unlucky);
    // Its sleep is gone with the other's, so it is woken to begin another.
    assert_eq!(count.get(), 1);
    let count = begin(first.as_mut());
    timed.clock.advance(secs(2));
    assert_eq!(count.get(), 1);
    assert!(is_timeout(&ready(first.as_mut())));
}

#[test]
fn a_hook_that_refuses_gives_nobody_more_time() {
    let refuses = Arc::new(AtomicUsize::new(0));
    let hook = Arc::clone(&refuses);
    let bench = bench(|it| {
        it.max_size(1)
            .acquire_timeout(secs(10))
            .before_acquire(move |_, _| !take_one(&hook))
    });
    let held = bench.take();
    let mut waiting = Box::pin(bench.pool.acquire());
    begin(waiting.as_mut());
    bench.clock.advance(secs(9));
    bench.plant.set_create(Mode::Hang);
    refuses.store(1, SeqCst);
    drop(held);
    let count = begin(waiting.as_mut());
    bench.tasks.run();
    bench.clock.advance(secs(1));
    assert_eq!(count.get(), 1);
    assert!(is_timeout(&ready(waiting.as_mut())));
}

#[test]
fn a_timer_that_panics_when_it_wakes_leaves_the_rest_to_those_who_wait() {
    let timed = timed();
    let _held = now(timed.pool.acquire()).unwrap();
    let mut first = Box::pin(timed.pool.acquire_timeout(secs(1)));
    let mut second = Box::pin(timed.pool.acquire_timeout(secs(2)));
    begin(first.as_mut());
    let count = begin(second.as_mut());
    timed.faults.panics.store(1, SeqCst);
    timed.clock.advance(secs(1));
    assert!(is_timeout(&ready(first.as_mut())));
    // Woken before its time, it sees to it that the pool sleeps again.
    assert_eq!(count.get(), 1);
    let count = begin(second.as_mut());
    timed.clock.advance(secs(1));
    assert_eq!(count.get(), 1);
    assert!(is_timeout(&ready(second.as_mut())));
}

#[test]
fn a_timer_that_wants_to_be_asked_again_is_asked_by_those_who_wait() {
    let timed = timed();
    let _held = now(timed.pool.acquire()).unwrap();
    timed.faults.is_restless.store(3, SeqCst);
    let mut waiting = Box::pin(timed.pool.acquire());
    for _ in 0..3 {
        assert_eq!(begin(waiting.as_mut()).get(), 1);
    }
    let count = begin(waiting.as_mut());
    assert_eq!(count.get(), 0);
    timed.clock.advance(secs(10));
    assert_eq!(count.get(), 1);
    assert!(is_timeout(&ready(waiting.as_mut())));
}

#[test]
fn a_pool_that_is_gone_leaves_no_sleep() {
    let Timed { pool, clock, .. } = timed();
    let held = now(pool.acquire_owned()).unwrap();
    {
        let mut waiting = Box::pin(pool.acquire());
        begin(waiting.as_mut());
        assert_eq!(clock.sleeping(), 1);
    }
    drop((held, pool));
    assert_eq!(clock.sleeping(), 0);
    clock.advance(secs(60));
}

proptest! {
    /// Whoever waits is woken at its deadline and not before, in whatever order limits come and
    /// callers leave.
    #[test]
    fn deadlines_are_kept_in_any_order(
        steps in prop::collection::vec((0_u64..4, 1_u64..20, 0_usize..8), 1..40)
    ) {
        let bench: Bench = lone(|it| it.max_size(1));
        let _held = bench.take();
        let mut time = 0;
        let mut waiting = Vec::new();
        for (kind, amount, which) in steps {
            match kind {
                0 | 1 => {
                    let mut it = Box::pin(bench.pool.acquire_timeout(secs(amount)));
                    let count = begin(it.as_mut());
                    waiting.push((time + amount, it, count));
                }
                2 if !waiting.is_empty() => {
                    let which = which % waiting.len();
                    drop(waiting.remove(which));
                }
                _ => {
                    bench.clock.advance(secs(amount));
                    time += amount;
                    for (deadline, it, count) in &mut waiting {
                        prop_assert_eq!(count.get(), usize::from(*deadline <= time));
                        if *deadline <= time {
                            prop_assert!(is_timeout(&ready(it.as_mut())));
                        }
                    }
                    waiting.retain(|(deadline, _, _)| *deadline > time);
                }
            }
        }
    }
}
