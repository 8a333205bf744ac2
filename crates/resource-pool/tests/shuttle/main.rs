//! Longer runs than loom can explore to the end: many tasks, many turns, in orders drawn at random.
//!
//! Run with
//! `RUSTFLAGS="--cfg brolly_shuttle" cargo test -p brolly-resource-pool --test shuttle --release`.
//!
//! A task that waits for ever is a deadlock that shuttle finds. Memory is as one sees it who runs
//! alone: weak orderings are loom's part.

#![cfg(brolly_shuttle)]
#![expect(
    clippy::unwrap_used,
    reason = "clippy knows tests by their attribute and not the helpers they call"
)]

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use brolly_resource_pool::{Check, Manager, Pool};
use brolly_sync::ManualClock;
use shuttle::rand::Rng;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner, future::block_on, rand, thread};

/// Numbers, counted while they live.
#[derive(Default)]
struct Numbers {
    made: AtomicUsize,
    live: Arc<AtomicUsize>,
}

struct Number {
    is_held: AtomicBool,
    value: usize,
    live: Arc<AtomicUsize>,
}

impl Drop for Number {
    fn drop(&mut self) {
        self.live.fetch_sub(1, SeqCst);
    }
}

impl Manager for Numbers {
    type Resource = Number;
    type Error = Infallible;

    async fn create(&self) -> Result<Number, Infallible> {
        self.live.fetch_add(1, SeqCst);
        Ok(Number {
            is_held: AtomicBool::new(false),
            value: self.made.fetch_add(1, SeqCst),
            live: Arc::clone(&self.live),
        })
    }
}

/// A pool without time limits and without a spawner.
fn pool(max: usize) -> (Pool<Numbers>, Arc<AtomicUsize>) {
    let numbers = Numbers::default();
    let live = Arc::clone(&numbers.live);
    let builder = Pool::builder(numbers).max_size(max).min_size(0).shards(1);
    let builder = builder.acquire_timeout(None).check(Check::Never);
    let builder = builder.max_lifetime(None).idle_timeout(None);
    (builder.health_interval(None).build().unwrap(), live)
}

/// In any order, and in orders with few changes of the one who runs.
fn explore(model: impl Fn() + Send + Sync + Clone + 'static) {
    run(RandomScheduler::new(3_000), model.clone());
    run(PctScheduler::new(3, 2_000), model);
}

fn run(scheduler: impl Scheduler + 'static, model: impl Fn() + Send + Sync + 'static) {
    let mut config = Config::new();
    config.stack_size = 1 << 18;
    Runner::new(scheduler, config).run(model);
}

/// Takes and gives back, alone with what it holds all the while.
fn take_turns(pool: &Pool<Numbers>, turns: usize) {
    for _ in 0..turns {
        let guard = block_on(pool.acquire()).unwrap();
        assert!(!guard.is_held.swap(true, SeqCst), "two hold the same");
        thread::yield_now();
        assert_conserved(pool);
        guard.is_held.store(false, SeqCst);
    }
}

/// Begins to wait and leaves, granted or not.
fn look_and_leave(pool: &Pool<Numbers>, turns: usize) {
    for _ in 0..turns {
        let mut acquire = pin!(pool.acquire());
        let mut cx = Context::from_waker(Waker::noop());
        if let Poll::Ready(guard) = acquire.as_mut().poll(&mut cx) {
            drop(guard);
            continue;
        }
        thread::yield_now();
    }
}

fn assert_conserved(pool: &Pool<Numbers>) {
    let stats = pool.stats();
    let sum = stats.idle + stats.in_use + stats.creating + stats.reserved;
    assert_eq!(sum, stats.size, "{stats:?}");
}

/// Nobody holds or waits any more.
fn assert_at_rest(pool: &Pool<Numbers>, live: &AtomicUsize) {
    let stats = pool.stats();
    assert_eq!((stats.in_use, stats.waiting), (0, 0), "{stats:?}");
    assert_eq!(stats.idle, stats.size, "{stats:?}");
    assert_eq!(live.load(SeqCst), stats.size, "{stats:?}");
    assert!(stats.size <= stats.max, "{stats:?}");
}

fn spawn_all(tasks: Vec<Box<dyn FnOnce() + Send>>) {
    let threads: Vec<_> = tasks.into_iter().map(thread::spawn).collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

fn task(pool: &Pool<Numbers>, work: impl FnOnce(&Pool<Numbers>) + Send + 'static) -> Task {
    let pool = pool.clone();
    Box::new(move || work(&pool))
}

type Task = Box<dyn FnOnce() + Send>;

#[test]
fn many_who_take_turns_are_all_served_and_never_hold_the_same() {
    explore(|| {
        let (pool, live) = pool(2);
        let takers = (0..5).map(|_| task(&pool, |pool| take_turns(pool, 4)));
        spawn_all(takers.collect());
        assert_at_rest(&pool, &live);
    });
}

#[test]
fn what_those_were_granted_who_leave_reaches_those_who_stay() {
    explore(|| {
        let (pool, live) = pool(1);
        let mut tasks = vec![
            task(&pool, |pool| look_and_leave(pool, 6)),
            task(&pool, |pool| look_and_leave(pool, 6)),
        ];
        tasks.extend((0..3).map(|_| task(&pool, |pool| take_turns(pool, 3))));
        spawn_all(tasks);
        assert_at_rest(&pool, &live);
    });
}

#[test]
fn several_at_once_and_single_ones_wait_for_each_other_in_vain_never() {
    explore(|| {
        let (pool, live) = pool(3);
        let many = |pool: &Pool<Numbers>| {
            for count in [2, 3] {
                let guards = block_on(pool.acquire_many(count)).unwrap();
                let mut values: Vec<_> = guards.iter().map(|it| it.value).collect();
                values.sort_unstable();
                values.dedup();
                assert_eq!(values.len(), count);
            }
        };
        let mut tasks = vec![task(&pool, many), task(&pool, many)];
        tasks.extend((0..2).map(|_| task(&pool, |pool| take_turns(pool, 3))));
        spawn_all(tasks);
        assert_at_rest(&pool, &live);
    });
}

#[test]
fn sizes_add_up_while_the_pool_is_resized_and_reset() {
    explore(|| {
        let (pool, live) = pool(2);
        let mut tasks = vec![
            task(&pool, |pool| {
                for max in [1, 3, 2] {
                    pool.resize(0, max).unwrap();
                    assert_conserved(pool);
                }
            }),
            task(&pool, |pool| {
                for _ in 0..2 {
                    pool.reset();
                    assert_conserved(pool);
                }
            }),
            task(&pool, |pool| look_and_leave(pool, 3)),
        ];
        tasks.extend((0..3).map(|_| task(&pool, |pool| take_turns(pool, 3))));
        spawn_all(tasks);
        assert_at_rest(&pool, &live);
    });
}

#[test]
fn a_pool_that_closes_tells_everybody_and_keeps_nothing() {
    explore(|| {
        let (pool, live) = pool(2);
        let takes = |pool: &Pool<Numbers>| {
            for _ in 0..3 {
                if rand::thread_rng().r#gen() {
                    drop(pool.try_acquire());
                } else {
                    drop(block_on(pool.acquire()));
                }
            }
        };
        let mut tasks: Vec<_> = (0..4).map(|_| task(&pool, takes)).collect();
        tasks.push(task(&pool, Pool::close));
        spawn_all(tasks);
        assert_eq!(live.load(SeqCst), 0);
        assert_eq!(pool.stats().size, 0);
    });
}

#[test]
fn limits_are_kept_whoever_else_comes_and_goes() {
    explore(|| {
        let clock = ManualClock::new();
        let builder = Pool::builder(Numbers::default()).max_size(1).min_size(0);
        let builder = builder.timer(clock.clone()).clock(clock.clone());
        let pool = builder.build().unwrap();
        let held = block_on(pool.acquire()).unwrap();
        let over = Arc::new(AtomicUsize::new(0));
        let limits = [[3, 1], [2, 2], [1, 4]];
        let mut tasks: Vec<_> = limits
            .map(|limits| {
                let over = Arc::clone(&over);
                task(&pool, move |pool| {
                    for limit in limits.map(Duration::from_millis) {
                        assert!(block_on(pool.acquire_timeout(limit)).is_err());
                    }
                    over.fetch_add(1, SeqCst);
                })
            })
            .into();
        tasks.push(task(&pool, |pool| look_and_leave(pool, 3)));
        let ticking = Arc::clone(&over);
        // Whoever sleeps past its deadline makes this go on for ever.
        tasks.push(Box::new(move || {
            while ticking.load(SeqCst) < limits.len() {
                clock.advance(Duration::from_millis(1));
                thread::yield_now();
            }
        }));
        spawn_all(tasks);
        drop(held);
        assert_conserved(&pool);
    });
}
