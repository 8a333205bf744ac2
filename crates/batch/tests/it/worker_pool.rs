//! Permits: fair, counted exactly, and impossible to return twice.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use brolly_batch::{AcquireMany, ConfigError, Permit, WaitForCapacity, WeightError, WorkerPool};
use proptest::prelude::*;

use crate::support::{self, Wakes, within_a_minute};

fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_pool_without_permits_is_refused() {
    let error = WorkerPool::new(0).unwrap_err();
    assert!(matches!(
        error,
        ConfigError::OutOfRange {
            field: "max",
            value: 0,
            min: 1,
            ..
        }
    ));
    assert!(WorkerPool::new(usize::MAX).is_err());
}

#[test]
fn counts_follow_the_permits() {
    let pool = WorkerPool::new(2).unwrap();
    assert_eq!(
        (pool.max(), pool.active(), pool.has_capacity()),
        (2, 0, true)
    );
    let first = pool.try_acquire().unwrap();
    let second = pool.acquire_blocking();
    assert_eq!((pool.active(), pool.has_capacity()), (2, false));
    assert!(pool.try_acquire().is_none());
    drop(first);
    assert_eq!((pool.active(), pool.has_capacity()), (1, true));
    drop(second);
    assert_eq!(pool.active(), 0);
}

#[test]
fn try_acquire_does_not_overtake_a_waiter() {
    let pool = WorkerPool::new(1).unwrap();
    let held = pool.acquire_blocking();
    let mut waiter = pin!(pool.acquire());
    assert!(poll(waiter.as_mut()).is_pending());
    assert_eq!(pool.waiting(), 1);
    drop(held);
    assert!(
        pool.try_acquire().is_none(),
        "the permit is the waiter's already"
    );
    assert!(poll(waiter).is_ready());
}

#[test]
fn a_dropped_waiter_passes_its_permit_on() {
    let pool = WorkerPool::new(1).unwrap();
    let held = pool.acquire_blocking();
    let mut first = Box::pin(pool.acquire());
    let mut second = Box::pin(pool.acquire());
    assert!(poll(first.as_mut()).is_pending());
    assert!(poll(second.as_mut()).is_pending());
    drop(held);
    drop(first);
    assert!(poll(second.as_mut()).is_ready());
}

#[test]
fn a_permit_outlives_the_handle_it_came_from() {
    let pool = WorkerPool::new(1).unwrap();
    let other = pool.clone();
    let permit = pool.acquire_blocking();
    drop(pool);
    assert!(!other.has_capacity());
    thread::spawn(move || drop(permit)).join().unwrap();
    assert!(other.has_capacity());
}

#[test]
fn a_waiter_outlives_the_handle_it_came_from() {
    let pool = WorkerPool::new(1).unwrap();
    let other = pool.clone();
    let held = pool.acquire_blocking();
    let mut waiter = Box::pin(pool.acquire());
    drop(pool);
    assert!(poll(waiter.as_mut()).is_pending());
    drop(held);
    let polled = thread::spawn(move || poll(waiter.as_mut())).join().unwrap();
    assert!(polled.is_ready());
    drop(polled);
    assert!(other.has_capacity());
}

#[test]
fn a_permit_is_returned_when_its_holder_panics() {
    let pool = WorkerPool::new(1).unwrap();
    let handle = pool.clone();
    let holder = thread::spawn(move || {
        let _permit = handle.acquire_blocking();
        panic!("on purpose");
    });
    assert!(holder.join().is_err());
    assert!(pool.has_capacity());
}

#[test]
fn threads_never_hold_more_permits_than_there_are() {
    let pool = WorkerPool::new(3).unwrap();
    let inside = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let _permit = pool.acquire_blocking();
                    assert!(inside.fetch_add(1, Ordering::SeqCst) < 3);
                    thread::yield_now();
                    inside.fetch_sub(1, Ordering::SeqCst);
                }
            });
        }
    });
    assert_eq!((pool.active(), pool.waiting()), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_and_threads_share_one_pool() {
    let pool = WorkerPool::new(2).unwrap();
    let tasks: Vec<_> = (0..16)
        .map(|n| {
            let pool = pool.clone();
            if n % 2 == 0 {
                tokio::spawn(async move {
                    for _ in 0..50 {
                        let _permit = pool.acquire().await;
                        tokio::task::yield_now().await;
                    }
                })
            } else {
                tokio::task::spawn_blocking(move || {
                    for _ in 0..50 {
                        drop(pool.acquire_blocking());
                    }
                })
            }
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!((pool.active(), pool.waiting()), (0, 0));
}

#[test]
fn weights_no_wait_could_end_for_are_refused_at_once() {
    let pool = WorkerPool::new(4).unwrap();
    let held = pool.acquire_many_blocking(4).unwrap();
    for weight in [0, 5, usize::MAX] {
        let refused = WeightError::OutOfRange { weight, max: 4 };
        assert_eq!(pool.try_acquire_many(weight).unwrap_err(), refused);
        assert_eq!(pool.acquire_many_blocking(weight).unwrap_err(), refused);
        let Poll::Ready(Err(error)) = poll(pin!(pool.acquire_many(weight))) else {
            panic!("{weight} was let in line");
        };
        assert_eq!(error, refused);
    }
    let text = WeightError::OutOfRange { weight: 5, max: 4 }.to_string();
    assert_eq!(text, "weight is 5, allowed are 1 to 4");
    assert_eq!((held.weight(), pool.active(), pool.waiting()), (4, 4, 0));
    assert_eq!(held.pool().max(), 4);
}

/// Where small requests pass big ones, a steady stream of them starves the big one.
#[test]
fn a_heavy_waiter_at_the_head_is_not_overtaken_by_light_ones() {
    let pool = WorkerPool::new(3).unwrap();
    let [one, two] = [pool.try_acquire().unwrap(), pool.try_acquire().unwrap()];
    let mut heavy = pin!(pool.acquire_many(3));
    assert!(poll(heavy.as_mut()).is_pending());
    assert!(pool.try_acquire().is_none(), "one is free, but promised");
    assert!(!pool.has_capacity());
    let mut light = pin!(pool.acquire());
    assert!(poll(light.as_mut()).is_pending());
    drop(one);
    assert!(poll(light.as_mut()).is_pending());
    drop(two);
    let Poll::Ready(Ok(heavy)) = poll(heavy) else {
        panic!("three are free");
    };
    assert!(poll(light.as_mut()).is_pending());
    drop(heavy);
    assert!(poll(light).is_ready());
}

#[test]
fn a_heavy_waiter_that_leaves_lets_the_next_go_at_once() {
    let pool = WorkerPool::new(3).unwrap();
    let held = pool.try_acquire().unwrap();
    let mut heavy = Box::pin(pool.acquire_many(3));
    assert!(poll(heavy.as_mut()).is_pending());
    let (wakes, waker) = Wakes::new();
    let mut light = [pool.acquire(), pool.acquire(), pool.acquire()];
    for waiter in &mut light {
        assert!(support::poll(waiter, &waker).is_pending());
    }
    drop(heavy);
    assert_eq!(wakes.count(), 2, "two are free");
    assert_eq!((pool.active(), pool.waiting()), (3, 1));
    drop(held);
    assert_eq!(wakes.count(), 3);
}

#[test]
fn a_heavy_permit_given_back_serves_many() {
    let pool = WorkerPool::new(5).unwrap();
    let heavy = pool.acquire_many_blocking(5).unwrap();
    let (wakes, waker) = Wakes::new();
    let mut waiters: Vec<_> = (0..7).map(|_| pool.acquire()).collect();
    for waiter in &mut waiters {
        assert!(support::poll(waiter, &waker).is_pending());
    }
    drop(heavy);
    assert_eq!((wakes.count(), pool.active(), pool.waiting()), (5, 5, 2));
}

#[test]
fn sizes_out_of_range_change_nothing() {
    let pool = WorkerPool::new(2).unwrap();
    assert!(matches!(
        pool.resize(0),
        Err(ConfigError::OutOfRange {
            field: "max",
            value: 0,
            ..
        })
    ));
    assert!(pool.resize(usize::MAX).is_err());
    assert_eq!(pool.max(), 2);
    pool.resize(1 << 20).unwrap();
    assert!(pool.try_acquire_many(1 << 20).unwrap().is_some());
}

#[test]
fn a_grown_pool_serves_those_who_wait_at_once() {
    let pool = WorkerPool::new(1).unwrap();
    let held = pool.try_acquire().unwrap();
    let (wakes, waker) = Wakes::new();
    let mut waiters = [pool.acquire(), pool.acquire(), pool.acquire()];
    for waiter in &mut waiters {
        assert!(support::poll(waiter, &waker).is_pending());
    }
    pool.resize(3).unwrap();
    assert_eq!(wakes.count(), 2);
    assert_eq!((pool.active(), pool.waiting(), pool.max()), (3, 1, 3));
    drop(held);
    assert_eq!(wakes.count(), 3);
}

/// Counting down what is free alone leaves too many permits when all of them were held.
#[test]
fn a_shrunk_pool_takes_what_is_held_as_it_comes_back() {
    let pool = WorkerPool::new(4).unwrap();
    let mut held: Vec<_> = (0..4).filter_map(|_| pool.try_acquire()).collect();
    pool.resize(1).unwrap();
    assert_eq!((pool.max(), pool.active()), (1, 4));
    let (wakes, waker) = Wakes::new();
    let mut waiter = pool.acquire();
    assert!(support::poll(&mut waiter, &waker).is_pending());
    for active in [3, 2, 1] {
        assert_eq!(wakes.count(), 0);
        held.pop();
        assert_eq!((pool.active(), pool.has_capacity()), (active, false));
    }
    held.pop();
    assert_eq!((wakes.count(), pool.active(), pool.waiting()), (1, 1, 0));
}

#[test]
fn growing_forgives_what_is_owed_first() {
    let pool = WorkerPool::new(4).unwrap();
    let held = pool.acquire_many_blocking(4).unwrap();
    pool.resize(1).unwrap();
    pool.resize(3).unwrap();
    assert!(pool.try_acquire().is_none());
    pool.resize(5).unwrap();
    let fifth = pool.try_acquire().unwrap();
    assert_eq!((pool.active(), pool.max()), (5, 5));
    drop((held, fifth));
    assert!(pool.try_acquire_many(5).unwrap().is_some());
}

#[test]
fn a_waiter_for_more_than_a_shrink_leaves_is_told_so() {
    let pool = WorkerPool::new(4).unwrap();
    let held = pool.try_acquire().unwrap();
    let (wakes, waker) = Wakes::new();
    let [mut four, mut three] = [pool.acquire_many(4), pool.acquire_many(3)];
    let mut one = pool.acquire();
    assert!(support::poll(&mut four, &waker).is_pending());
    assert!(support::poll(&mut three, &waker).is_pending());
    assert!(support::poll(&mut one, &waker).is_pending());
    pool.resize(2).unwrap();
    assert_eq!(
        wakes.count(),
        3,
        "two are refused, and the way is free for the third"
    );
    for (waiter, weight) in [(&mut four, 4), (&mut three, 3)] {
        let Poll::Ready(Err(error)) = support::poll(waiter, &waker) else {
            panic!("{weight} of two");
        };
        assert_eq!(error, WeightError::OutOfRange { weight, max: 2 });
    }
    assert!(support::poll(&mut one, &waker).is_ready());
    drop(held);
    assert_eq!((pool.active(), pool.waiting()), (0, 0));
}

#[test]
fn who_waits_for_capacity_is_woken_by_it_and_takes_none() {
    let pool = WorkerPool::new(1).unwrap();
    assert!(poll(pin!(pool.wait_for_capacity())).is_ready());
    let held = pool.try_acquire().unwrap();
    let (wakes, waker) = Wakes::new();
    let mut watchers = [pool.wait_for_capacity(), pool.wait_for_capacity()];
    for watcher in &mut watchers {
        assert!(support::poll(watcher, &waker).is_pending());
    }
    let mut behind = pool.acquire();
    assert!(support::poll(&mut behind, &waker).is_pending());
    assert_eq!(wakes.count(), 0, "nothing polls on a timer");
    drop(held);
    assert_eq!(wakes.count(), 3);
    assert_eq!((pool.active(), pool.waiting()), (1, 0));
    for watcher in &mut watchers {
        assert!(support::poll(watcher, &waker).is_ready());
    }
    assert!(support::poll(&mut behind, &waker).is_ready());
}

#[test]
fn a_wait_for_capacity_dropped_at_any_poll_holds_up_nobody() {
    for polls in 0..3 {
        for served in [false, true] {
            let pool = WorkerPool::new(1).unwrap();
            let held = pool.try_acquire().unwrap();
            let mut watcher = Box::pin(pool.wait_for_capacity());
            for _ in 0..polls {
                assert!(poll(watcher.as_mut()).is_pending());
            }
            let mut behind = Box::pin(pool.acquire());
            assert!(poll(behind.as_mut()).is_pending());
            if served {
                drop(held);
                drop(watcher);
            } else {
                drop(watcher);
                drop(held);
            }
            assert!(poll(behind.as_mut()).is_ready());
        }
    }
}

#[test]
fn a_heavy_acquire_dropped_at_any_poll_loses_no_permit() {
    for polls in 0..3 {
        for granted in [false, true] {
            let pool = WorkerPool::new(3).unwrap();
            let held = pool.acquire_many_blocking(2).unwrap();
            let mut waiter = Box::pin(pool.acquire_many(3));
            for _ in 0..polls {
                assert!(poll(waiter.as_mut()).is_pending());
            }
            if granted {
                drop(held);
                drop(waiter);
            } else {
                drop(waiter);
                drop(held);
            }
            assert_eq!((pool.active(), pool.waiting()), (0, 0));
            assert!(pool.try_acquire_many(3).unwrap().is_some());
        }
    }
}

/// A waker that panics is called while others are still to be served.
#[test]
fn a_waker_that_panics_keeps_nobody_else_from_its_permit() {
    struct Panics;

    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("on purpose");
        }
    }

    let pool = WorkerPool::new(2).unwrap();
    let held = pool.acquire_many_blocking(2).unwrap();
    let mut first = pool.acquire();
    assert!(support::poll(&mut first, &Waker::from(Arc::new(Panics))).is_pending());
    let (wakes, waker) = Wakes::new();
    let mut second = pool.acquire();
    assert!(support::poll(&mut second, &waker).is_pending());
    drop(held);
    assert_eq!(wakes.count(), 1);
    assert!(support::poll(&mut first, &waker).is_ready());
}

#[test]
fn a_waker_may_use_the_pool_that_wakes_it() {
    struct Looks(WorkerPool, AtomicUsize);

    impl Wake for Looks {
        fn wake(self: Arc<Self>) {
            self.1
                .store(self.0.active() + self.0.waiting(), Ordering::SeqCst);
            drop(self.0.try_acquire());
            drop(self.0.resize(3));
        }
    }

    within_a_minute(|| {
        let pool = WorkerPool::new(1).unwrap();
        let held = pool.try_acquire().unwrap();
        let looks = Arc::new(Looks(pool.clone(), AtomicUsize::new(0)));
        let mut waiter = pool.acquire();
        assert!(support::poll(&mut waiter, &Waker::from(Arc::clone(&looks))).is_pending());
        drop(held);
        assert_eq!(looks.1.load(Ordering::SeqCst), 1);
        assert_eq!(pool.max(), 3);
    });
}

#[test]
fn a_waiter_that_moves_to_another_task_is_woken_there() {
    let pool = WorkerPool::new(1).unwrap();
    let held = pool.try_acquire().unwrap();
    let ((old, old_waker), (new, new_waker)) = (Wakes::new(), Wakes::new());
    let mut waiter = pool.acquire();
    assert!(support::poll(&mut waiter, &old_waker).is_pending());
    assert!(support::poll(&mut waiter, &new_waker).is_pending());
    drop(held);
    assert_eq!((old.count(), new.count()), (0, 1));
}

#[test]
fn threads_with_weights_and_resizes_leave_nothing_behind() {
    within_a_minute(|| {
        let pool = WorkerPool::new(6).unwrap();
        let inside = AtomicUsize::new(0);
        thread::scope(|scope| {
            for n in 0..4 {
                let (pool, inside) = (&pool, &inside);
                scope.spawn(move || {
                    for round in 0..500 {
                        let weight = 1 + (n + round) % 3;
                        let permit = pool.acquire_many_blocking(weight).unwrap();
                        assert!(inside.fetch_add(weight, Ordering::SeqCst) + weight <= 8);
                        inside.fetch_sub(weight, Ordering::SeqCst);
                        drop(permit);
                    }
                });
            }
            scope.spawn(|| {
                for round in 0..500 {
                    pool.resize(3 + round % 6).unwrap();
                    thread::yield_now();
                }
            });
        });
        pool.resize(5).unwrap();
        assert_eq!((pool.active(), pool.waiting()), (0, 0));
        assert!(pool.try_acquire_many(5).unwrap().is_some());
    });
}

#[derive(Clone, Debug)]
enum Op {
    TryAcquire(u8),
    Release(usize),
    /// In line for that many; for 0, in line for capacity.
    Wait(u8),
    Poll(usize),
    Leave(usize),
    Resize(u8),
}

/// What the pool should do, step by step, with a plain list for a line.
#[derive(Default)]
struct Oracle {
    max: usize,
    held: usize,
    line: Vec<(usize, Answer)>,
}

#[derive(Clone, Copy, PartialEq)]
enum Answer {
    None,
    Granted,
    Refused,
}

impl Oracle {
    fn waiting(&self) -> usize {
        self.line
            .iter()
            .filter(|(_, answer)| *answer == Answer::None)
            .count()
    }

    /// Whether `weight` can be had now by one who is not in line.
    fn is_free(&self, weight: usize) -> bool {
        self.waiting() == 0 && self.held + weight.max(1) <= self.max
    }

    fn settle(&mut self) {
        for (weight, answer) in &mut self.line {
            if *answer == Answer::None && *weight > self.max {
                *answer = Answer::Refused;
            }
        }
        for (weight, answer) in &mut self.line {
            if *answer != Answer::None {
                continue;
            }
            if self.held + (*weight).max(1) > self.max {
                return;
            }
            self.held += *weight;
            *answer = Answer::Granted;
        }
    }
}

enum Waiter {
    Permit(AcquireMany),
    Capacity(WaitForCapacity),
}

impl Waiter {
    /// What it got, once it got something; no permit for one who waited for capacity.
    fn poll(&mut self) -> Poll<Result<Option<Permit>, WeightError>> {
        let waker = Waker::noop();
        match self {
            Self::Permit(waiter) => support::poll(waiter, waker).map_ok(Some),
            Self::Capacity(waiter) => support::poll(waiter, waker).map(|()| Ok(None)),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn permits_behave_like_a_counter_and_a_list(
        max in 1_u8..6,
        ops in prop::collection::vec(prop_oneof![
            (0_u8..7).prop_map(Op::TryAcquire),
            any::<usize>().prop_map(Op::Release),
            (0_u8..5).prop_map(Op::Wait),
            any::<usize>().prop_map(Op::Poll),
            any::<usize>().prop_map(Op::Leave),
            (0_u8..7).prop_map(Op::Resize),
        ], 0..80),
    ) {
        let pool = WorkerPool::new(usize::from(max)).unwrap();
        let mut oracle = Oracle { max: usize::from(max), ..Oracle::default() };
        let mut held: Vec<Permit> = Vec::new();
        let mut line: Vec<Waiter> = Vec::new();
        for op in ops {
            match op {
                Op::TryAcquire(weight) => {
                    let weight = usize::from(weight);
                    match pool.try_acquire_many(weight) {
                        Err(_) => prop_assert!(weight == 0 || weight > oracle.max),
                        Ok(None) => prop_assert!(!oracle.is_free(weight)),
                        Ok(Some(permit)) => {
                            prop_assert!(oracle.is_free(weight));
                            prop_assert_eq!(permit.weight(), weight);
                            oracle.held += weight;
                            held.push(permit);
                        }
                    }
                }
                Op::Release(which) if !held.is_empty() => {
                    let permit = held.swap_remove(which % held.len());
                    oracle.held -= permit.weight();
                    drop(permit);
                    oracle.settle();
                }
                Op::Wait(weight) => {
                    let weight = usize::from(weight);
                    let mut waiter = match weight {
                        0 => Waiter::Capacity(pool.wait_for_capacity()),
                        weight => Waiter::Permit(pool.acquire_many(weight)),
                    };
                    match waiter.poll() {
                        Poll::Ready(Ok(permit)) => {
                            prop_assert!(oracle.is_free(weight));
                            oracle.held += weight;
                            held.extend(permit);
                        }
                        Poll::Ready(Err(_)) => prop_assert!(weight > oracle.max),
                        Poll::Pending => {
                            prop_assert!(!oracle.is_free(weight) && weight <= oracle.max);
                            oracle.line.push((weight, Answer::None));
                            line.push(waiter);
                        }
                    }
                }
                Op::Poll(which) if !line.is_empty() => {
                    let which = which % line.len();
                    let (_, answer) = oracle.line[which];
                    match line[which].poll() {
                        Poll::Pending => prop_assert!(answer == Answer::None),
                        Poll::Ready(result) => {
                            let right = if result.is_ok() { Answer::Granted } else { Answer::Refused };
                            prop_assert!(answer == right);
                            held.extend(result.ok().flatten());
                            oracle.line.remove(which);
                            drop(line.remove(which));
                        }
                    }
                }
                Op::Leave(which) if !line.is_empty() => {
                    let which = which % line.len();
                    if let (weight, Answer::Granted) = oracle.line.remove(which) {
                        oracle.held -= weight;
                    }
                    drop(line.remove(which));
                    oracle.settle();
                }
                Op::Resize(max) => {
                    let max = usize::from(max);
                    prop_assert_eq!(pool.resize(max).is_ok(), max > 0);
                    if max > 0 {
                        oracle.max = max;
                        oracle.settle();
                    }
                }
                Op::Release(_) | Op::Poll(_) | Op::Leave(_) => {}
            }
            prop_assert_eq!(pool.max(), oracle.max);
            prop_assert_eq!(pool.active(), oracle.held);
            prop_assert_eq!(pool.waiting(), oracle.waiting());
            prop_assert_eq!(pool.has_capacity(), oracle.is_free(1));
        }
    }
}

/// Only a shrink can make a wish too great, so only a shrink may have to look at the whole line.
#[test]
fn a_release_costs_the_same_however_many_heavy_ones_wait() {
    fn fastest_release(waiting: usize) -> Duration {
        let pool = WorkerPool::new(2).unwrap();
        let mut held = pool.acquire_many_blocking(2).ok();
        let mut line: Vec<_> = (0..waiting).map(|_| pool.acquire_many(2)).collect();
        for waiter in &mut line {
            assert!(support::poll(waiter, Waker::noop()).is_pending());
        }
        let releases = line.iter_mut().take(50).map(|next| {
            let start = Instant::now();
            drop(held.take());
            let took = start.elapsed();
            match support::poll(next, Waker::noop()) {
                Poll::Ready(permit) => held = permit.ok(),
                Poll::Pending => panic!("the first in line is served"),
            }
            took
        });
        releases.min().expect("there were some")
    }

    let (short, long) = (fastest_release(60), fastest_release(60_000));
    assert!(long < short * 50, "{short:?} and {long:?}");
}

#[test]
fn a_shrink_refuses_all_who_want_too_much_and_nobody_else() {
    let pool = WorkerPool::new(4).unwrap();
    let held = pool.acquire_many_blocking(4).unwrap();
    let (wakes, waker) = Wakes::new();
    let mut line: Vec<_> = (1..=4).chain(1..=4).map(|n| pool.acquire_many(n)).collect();
    for waiter in &mut line {
        assert!(support::poll(waiter, &waker).is_pending());
    }
    pool.resize(2).unwrap();
    assert_eq!((wakes.count(), pool.waiting()), (4, 4));
    drop(held);
    for (weight, waiter) in (1..=4).chain(1..=4).zip(&mut line) {
        match support::poll(waiter, &waker) {
            Poll::Ready(Ok(permit)) => assert!(permit.weight() == weight && weight <= 2),
            Poll::Ready(Err(_)) => assert!(weight > 2),
            Poll::Pending => panic!("{weight} is not answered"),
        }
    }
    assert_eq!(pool.active(), 0);
}
