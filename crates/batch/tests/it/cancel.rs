//! Every public future dropped at every poll: nothing leaks, nothing hangs.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

use brolly_batch::{DenseDag, WorkerPool};

use crate::support::{Wakes, poll, processor, run, within_a_minute, yield_times};

/// Polls at most `times`, then drops. Says whether it ended before.
fn drop_after<F: Future>(future: F, times: usize) -> bool {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    (0..times).any(|_| future.as_mut().poll(&mut context).is_ready())
}

#[test]
fn a_map_dropped_at_any_poll_drops_all_it_holds() {
    for times in 0.. {
        let token = Rc::new(());
        let items: Vec<_> = (0..20).map(|n| (n, Rc::clone(&token))).collect();
        let ended = drop_after(
            processor(4).map(items, |(n, token)| async move {
                yield_times(n % 3).await;
                Ok::<_, Infallible>(token)
            }),
            times,
        );
        assert_eq!(Rc::strong_count(&token), 1, "dropped after {times} polls");
        if ended {
            assert!(times > 5, "the test has dropped it half way");
            return;
        }
    }
}

#[test]
fn a_dag_run_dropped_at_any_poll_leaves_the_plan_usable() {
    let dag = DenseDag::from_edges(6, &[(0, 2), (1, 2), (2, 3), (2, 4), (4, 5)]).unwrap();
    for times in 0.. {
        let token = Rc::new(());
        let ended = drop_after(
            dag.run(2, |n| {
                let token = Rc::clone(&token);
                async move {
                    yield_times(1 + n % 2).await;
                    Ok::<_, Infallible>(token)
                }
            }),
            times,
        );
        assert_eq!(Rc::strong_count(&token), 1, "dropped after {times} polls");
        let again = run(dag.run(2, |n| async move { Ok::<_, Infallible>(n) })).unwrap();
        assert!(again.iter().all(|outcome| outcome.is_done()));
        if ended {
            assert!(times > 3, "the test has dropped it half way");
            return;
        }
    }
}

#[test]
fn wakers_that_outlive_a_map_keep_no_task_alive() {
    let kept = RefCell::new(None);
    let (wakes, waker) = Wakes::new();
    let mut map = processor(1).map([()], |()| {
        let kept = &kept;
        std::future::poll_fn(move |cx| {
            *kept.borrow_mut() = Some(cx.waker().clone());
            Poll::<Result<(), Infallible>>::Pending
        })
    });
    assert!(poll(&mut map, &waker).is_pending());
    drop(map);
    drop(waker);
    assert_eq!(Arc::strong_count(&wakes), 1);
    kept.take().unwrap().wake();
    assert_eq!(wakes.count(), 0);
}

thread_local! {
    /// What this thread's next use of a [`touchy`] waker does.
    static TOUCHED: Cell<Option<Box<dyn FnOnce()>>> = const { Cell::new(None) };
}

/// A waker that runs the code in [`TOUCHED`], once, as soon as it is cloned, woken or dropped.
fn touchy() -> Waker {
    static TABLE: RawWakerVTable = RawWakerVTable::new(clone, touch, touch, touch);
    fn clone(_: *const ()) -> RawWaker {
        touch(std::ptr::null());
        RawWaker::new(std::ptr::null(), &TABLE)
    }
    fn touch(_: *const ()) {
        if let Some(code) = TOUCHED.take() {
            code();
        }
    }
    // SAFETY: the functions of the table ignore their pointer and touch only thread-local state,
    // so any of them may be called at any time, on any thread.
    unsafe { Waker::new(std::ptr::null(), &TABLE) }
}

#[test]
fn a_waker_may_drop_the_map_it_wakes() {
    within_a_minute(|| {
        let inner = Rc::new(RefCell::new(None::<Waker>));
        let kept = Rc::clone(&inner);
        let mut map = Box::new(processor(4).map([()], move |()| {
            let kept = Rc::clone(&kept);
            std::future::poll_fn(move |cx| {
                *kept.borrow_mut() = Some(cx.waker().clone());
                Poll::<Result<(), Infallible>>::Pending
            })
        }));
        assert!(poll(&mut *map, &touchy()).is_pending());
        let waker = inner.take().unwrap();
        TOUCHED.set(Some(Box::new(move || drop(map))));
        waker.wake();
        assert_eq!(Rc::strong_count(&inner), 1, "the map is gone");
    });
}

#[test]
fn an_acquire_dropped_at_any_poll_loses_no_permit() {
    for polls in 0..3 {
        for granted in [false, true] {
            let pool = WorkerPool::new(1).unwrap();
            let held = pool.acquire_blocking();
            let mut waiter = Box::pin(pool.acquire());
            for _ in 0..polls {
                let mut context = Context::from_waker(Waker::noop());
                assert!(waiter.as_mut().poll(&mut context).is_pending());
            }
            if granted {
                drop(held);
                drop(waiter);
            } else {
                drop(waiter);
                drop(held);
            }
            assert_eq!((pool.active(), pool.waiting()), (0, 0));
            assert!(pool.try_acquire().is_some());
        }
    }
}
