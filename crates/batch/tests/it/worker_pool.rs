//! Permits: fair, counted exactly, and impossible to return twice.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;

use brolly_batch::{ConfigError, Permit, WorkerPool};
use proptest::prelude::*;

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

#[derive(Clone, Debug)]
enum Op {
    TryAcquire,
    Release(usize),
    Wait,
    PollFirst,
    Leave(usize),
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// The model: permits in use are those held plus those handed to the first waiters in line.
    #[test]
    fn permits_behave_like_a_counter_and_a_queue(
        max in 1_usize..4,
        ops in prop::collection::vec(prop_oneof![
            Just(Op::TryAcquire),
            any::<usize>().prop_map(Op::Release),
            Just(Op::Wait),
            Just(Op::PollFirst),
            any::<usize>().prop_map(Op::Leave),
        ], 0..60),
    ) {
        let pool = WorkerPool::new(max).unwrap();
        let mut held: Vec<Permit> = Vec::new();
        let mut line: Vec<Pin<Box<dyn Future<Output = Permit> + '_>>> = Vec::new();
        // The first `granted` waiters of the line have a permit in hand.
        let mut granted = 0;
        for op in ops {
            match op {
                Op::TryAcquire => {
                    let free = held.len() + granted < max;
                    let permit = pool.try_acquire();
                    prop_assert_eq!(permit.is_some(), free);
                    held.extend(permit);
                }
                Op::Release(which) if !held.is_empty() => {
                    drop(held.swap_remove(which % held.len()));
                    granted += usize::from(granted < line.len());
                }
                Op::Wait => {
                    let free = held.len() + granted < max;
                    let mut waiter: Pin<Box<dyn Future<Output = Permit> + '_>> = Box::pin(pool.acquire());
                    match poll(waiter.as_mut()) {
                        Poll::Ready(permit) => {
                            prop_assert!(free);
                            held.push(permit);
                        }
                        Poll::Pending => {
                            prop_assert!(!free);
                            line.push(waiter);
                        }
                    }
                }
                Op::PollFirst if !line.is_empty() => match poll(line[0].as_mut()) {
                    Poll::Ready(permit) => {
                        prop_assert!(granted > 0);
                        granted -= 1;
                        held.push(permit);
                        drop(line.remove(0));
                    }
                    Poll::Pending => prop_assert_eq!(granted, 0),
                },
                Op::Leave(which) if !line.is_empty() => {
                    let which = which % line.len();
                    drop(line.remove(which));
                    if which < granted && line.len() < granted {
                        granted -= 1; // nobody was left to take over
                    }
                }
                Op::Release(_) | Op::PollFirst | Op::Leave(_) => {}
            }
            prop_assert_eq!(pool.active(), held.len() + granted);
            prop_assert_eq!(pool.waiting(), line.len() - granted);
            prop_assert_eq!(pool.has_capacity(), pool.active() < max);
        }
    }
}
