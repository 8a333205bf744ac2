//! Hand-offs between the word, the line and a resize, in all their interleavings.
//!
//! Run with `RUSTFLAGS="--cfg brolly_loom" cargo test -p brolly-batch --lib --release`. A lost
//! wake-up shows as a deadlock, which loom reports.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use loom::thread;

use super::{Permit, WorkerPool};
use crate::primitive::{Condvar, Mutex, lock, wait};

/// A task that sleeps until it is woken.
#[derive(Default)]
struct Task {
    notified: Mutex<bool>,
    condition: Condvar,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        *lock(&self.notified) = true;
        self.condition.notify_one();
    }
}

fn run<F: Future>(future: F) -> F::Output {
    let task = Arc::new(Task::default());
    let waker = Waker::from(Arc::clone(&task));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        let mut notified = lock(&task.notified);
        while !*notified {
            notified = wait(&task.condition, notified);
        }
        *notified = false;
    }
}

fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

fn check(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

fn all_is_back(pool: &WorkerPool, max: usize) {
    assert_eq!((pool.max(), pool.active(), pool.waiting()), (max, 0, 0));
    let all = pool.try_acquire_many(max);
    assert!(matches!(all, Ok(Some(_))), "the flag has fallen");
}

#[test]
fn a_permit_given_back_reaches_the_one_who_waits() {
    check(|| {
        let pool = WorkerPool::unchecked(1);
        let held = pool.try_acquire();
        let giver = thread::spawn(move || drop(held));
        drop(run(pool.acquire()));
        giver.join().unwrap();
        all_is_back(&pool, 1);
    });
}

#[test]
fn two_who_take_and_give_are_never_inside_together() {
    check(|| {
        let pool = WorkerPool::unchecked(1);
        let inside = Arc::new(loom::cell::UnsafeCell::new(0));
        let enter = |pool: WorkerPool, inside: Arc<loom::cell::UnsafeCell<u32>>| {
            let permit = run(pool.acquire());
            inside.with_mut(|_| ()); // loom reports two at once, or one unseen by the next
            drop(permit);
        };
        let other = {
            let (pool, inside) = (pool.clone(), Arc::clone(&inside));
            thread::spawn(move || enter(pool, inside))
        };
        enter(pool.clone(), inside);
        other.join().unwrap();
        all_is_back(&pool, 1);
    });
}

#[test]
fn two_permits_given_back_at_once_reach_the_one_who_wants_both() {
    check(|| {
        let pool = WorkerPool::unchecked(2);
        let givers: Vec<_> = (0..2)
            .map(|_| pool.try_acquire())
            .map(|held| thread::spawn(move || drop(held)))
            .collect();
        assert!(run(pool.acquire_many(2)).is_ok());
        for giver in givers {
            giver.join().unwrap();
        }
        all_is_back(&pool, 2);
    });
}

#[test]
fn a_waiter_dropped_while_it_is_served_passes_its_permit_on() {
    check(|| {
        let pool = WorkerPool::unchecked(1);
        let held = pool.try_acquire();
        let mut first = pool.acquire();
        assert!(poll_once(&mut first).is_pending());
        let giver = thread::spawn(move || drop(held));
        let leaver = thread::spawn(move || drop(first));
        drop(run(pool.acquire()));
        giver.join().unwrap();
        leaver.join().unwrap();
        all_is_back(&pool, 1);
    });
}

#[test]
fn a_shrink_against_a_release_counts_every_permit_once() {
    check(|| {
        let pool = WorkerPool::unchecked(2);
        let held: [Option<Permit>; 2] = [pool.try_acquire(), pool.try_acquire()];
        let givers = held.map(|held| thread::spawn(move || drop(held)));
        pool.permits.resize(1);
        for giver in givers {
            giver.join().unwrap();
        }
        all_is_back(&pool, 1);
    });
}

#[test]
fn a_grown_pool_serves_the_one_who_waits() {
    check(|| {
        let pool = WorkerPool::unchecked(1);
        let held = pool.try_acquire();
        let grower = {
            let pool = pool.clone();
            thread::spawn(move || pool.permits.resize(2))
        };
        drop(run(pool.acquire()));
        grower.join().unwrap();
        drop(held);
        all_is_back(&pool, 2);
    });
}

#[test]
fn a_shrink_refuses_the_one_who_waits_for_more() {
    check(|| {
        let pool = WorkerPool::unchecked(2);
        let held = pool.try_acquire();
        let shrinker = {
            let pool = pool.clone();
            thread::spawn(move || pool.permits.resize(1))
        };
        assert!(run(pool.acquire_many(2)).is_err());
        shrinker.join().unwrap();
        drop(held);
        all_is_back(&pool, 1);
    });
}

#[test]
fn who_waits_for_capacity_is_woken_and_takes_none() {
    check(|| {
        let pool = WorkerPool::unchecked(1);
        let held = pool.try_acquire();
        let giver = thread::spawn(move || drop(held));
        run(pool.wait_for_capacity());
        giver.join().unwrap();
        all_is_back(&pool, 1);
    });
}
