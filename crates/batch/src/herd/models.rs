//! Marks against looks, in all interleavings. A lost wake-up shows as a deadlock, which loom
//! reports.

use std::sync::Arc;
use std::task::Waker;

use loom::thread;

use crate::herd::Herd;
use crate::primitive::{AtomicU64, Mutex, Ordering, lock};
use crate::task_model::Task;

/// Several futures are done, each on a thread of its own, and wake the waker of the task's first
/// poll; the task looks until it has seen all of them. It comes with another waker at its second
/// poll if `changes`, and is polled `unasked` times without having been woken.
fn every_future_is_seen(futures: usize, changes: bool, unasked: usize) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(move || {
        let tasks = [Arc::new(Task::default()), Arc::new(Task::default())];
        let wakers = tasks.each_ref().map(|task| Waker::from(Arc::clone(task)));
        let done: Vec<_> = (0..futures).map(|_| Arc::new(AtomicU64::new(0))).collect();
        let registered: Arc<Vec<Mutex<Option<Waker>>>> =
            Arc::new((0..futures).map(|_| Mutex::new(None)).collect());
        let mut herd = Herd::default();
        let mut threads = Vec::new();
        for polls in 0.. {
            let task = usize::from(changes && polls > 0);
            let look = herd.begin_poll(&wakers[task]);
            if look {
                let pending = (0..futures).filter(|&future| {
                    *lock(&registered[future]) = Some(herd.waker().clone());
                    done[future].load(Ordering::Relaxed) == 0
                });
                if pending.count() == 0 {
                    break;
                }
            }
            if polls == 0 {
                threads.extend((0..futures).map(|future| {
                    let (done, registered) = (Arc::clone(&done[future]), Arc::clone(&registered));
                    thread::spawn(move || {
                        done.store(1, Ordering::Relaxed);
                        let waker = lock(&registered[future]).take();
                        if let Some(waker) = waker {
                            waker.wake();
                        }
                    })
                }));
            }
            if polls >= unasked {
                tasks[task].sleep();
            }
        }
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn a_future_done_at_any_time_is_seen() {
    every_future_is_seen(1, false, 0);
}

#[test]
fn two_futures_done_at_once_are_both_seen() {
    every_future_is_seen(2, false, 0);
    every_future_is_seen(2, false, 1);
}

#[test]
fn a_future_done_while_the_task_changes_its_waker_is_seen() {
    every_future_is_seen(1, true, 1);
}
