//! Values go to takers in order of arrival, whether they are tasks or threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use brolly_sync::WaitList;

use crate::support::{Wakes, poll};

#[test]
fn an_idle_value_is_taken_without_waiting() {
    let list = WaitList::new(vec![1, 2]);
    assert_eq!(list.try_take(), Some(2));
    assert_eq!(poll(&mut list.take(), Waker::noop()), Poll::Ready(1));
    assert_eq!(list.try_take(), None);
}

#[test]
fn a_value_nobody_waits_for_is_kept() {
    let list = WaitList::new(Vec::new());
    list.put("a");
    assert_eq!(list.idle(), 1);
    assert_eq!(list.take_blocking(), "a");
}

#[test]
fn takers_are_served_in_order_of_their_first_poll() {
    let list = WaitList::new(Vec::new());
    let (mut a, mut b, mut c) = (list.take(), list.take(), list.take());
    for future in [&mut b, &mut c, &mut a] {
        assert!(poll(future, Waker::noop()).is_pending());
    }
    for value in [1, 2, 3] {
        list.put(value);
    }
    assert_eq!(poll(&mut a, Waker::noop()), Poll::Ready(3));
    assert_eq!(poll(&mut b, Waker::noop()), Poll::Ready(1));
    assert_eq!(poll(&mut c, Waker::noop()), Poll::Ready(2));
}

#[test]
fn a_taker_that_was_served_panics_when_polled_again_and_takes_nothing() {
    for waits in [false, true] {
        let list = WaitList::new(if waits { vec![] } else { vec![1] });
        let mut taker = list.take();
        if waits {
            assert!(poll(&mut taker, Waker::noop()).is_pending());
            list.put(1);
        }
        assert_eq!(poll(&mut taker, Waker::noop()), Poll::Ready(1));
        list.put(2);
        let again = AssertUnwindSafe(|| poll(&mut taker, Waker::noop()));
        let panic = catch_unwind(again).unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"polled after completion"));
        drop(taker);
        assert_eq!((list.idle(), list.waiting()), (1, 0));
    }
}

#[test]
fn a_value_that_was_handed_over_cannot_be_taken_by_others() {
    let list = WaitList::new(Vec::new());
    let mut waiter = list.take();
    assert!(poll(&mut waiter, Waker::noop()).is_pending());
    list.put(1);
    assert_eq!(list.try_take(), None);
    assert!(poll(&mut list.take(), Waker::noop()).is_pending());
    assert_eq!(poll(&mut waiter, Waker::noop()), Poll::Ready(1));
}

#[test]
fn each_value_wakes_exactly_the_taker_it_is_for() {
    let list = WaitList::new(Vec::new());
    let (first_wakes, first_waker) = Wakes::new();
    let (second_wakes, second_waker) = Wakes::new();
    let (mut first, mut second) = (list.take(), list.take());
    assert!(poll(&mut first, &first_waker).is_pending());
    assert!(poll(&mut second, &second_waker).is_pending());
    list.put(1);
    assert_eq!((first_wakes.count(), second_wakes.count()), (1, 0));
    list.put(2);
    assert_eq!((first_wakes.count(), second_wakes.count()), (1, 1));
}

#[test]
fn the_waker_of_the_latest_poll_is_the_one_that_counts() {
    let list = WaitList::new(Vec::new());
    let (old_wakes, old) = Wakes::new();
    let (new_wakes, new) = Wakes::new();
    let mut waiter = list.take();
    assert!(poll(&mut waiter, &old).is_pending());
    assert!(poll(&mut waiter, &new).is_pending());
    list.put(1);
    assert_eq!((old_wakes.count(), new_wakes.count()), (0, 1));
}

#[test]
fn a_waker_may_use_the_list_it_is_called_from() {
    struct Nosy {
        list: Arc<WaitList<u32>>,
        seen: Mutex<Option<(usize, usize)>>,
    }
    impl Wake for Nosy {
        fn wake(self: Arc<Self>) {
            let seen = (self.list.idle(), self.list.waiting());
            *self.seen.lock().unwrap() = Some(seen);
        }
    }
    let list = Arc::new(WaitList::new(Vec::new()));
    let nosy = Arc::new(Nosy {
        list: Arc::clone(&list),
        seen: Mutex::new(None),
    });
    let waker = Waker::from(Arc::clone(&nosy));
    let mut waiter = std::pin::pin!(list.take());
    let mut context = Context::from_waker(&waker);
    assert!(waiter.as_mut().poll(&mut context).is_pending());
    list.put(1);
    assert_eq!(*nosy.seen.lock().unwrap(), Some((0, 0)));
}

#[test]
fn threads_and_tasks_stand_in_one_line() {
    let list = WaitList::new(Vec::new());
    let order = Mutex::new(Vec::new());
    thread::scope(|scope| {
        scope.spawn(|| {
            let value = list.take_blocking();
            order.lock().unwrap().push(("thread", value));
        });
        while list.waiting() < 1 {
            thread::yield_now();
        }
        let mut task = list.take();
        assert!(poll(&mut task, Waker::noop()).is_pending());
        list.put(1);
        list.put(2);
        assert_eq!(poll(&mut task, Waker::noop()), Poll::Ready(2));
    });
    assert_eq!(*order.lock().unwrap(), [("thread", 1)]);
}

#[test]
fn many_threads_pass_few_values_around_without_losing_any() {
    const THREADS: usize = 8;
    const TURNS: usize = 500;
    let list = WaitList::new(vec![(); 3]);
    let inside = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..TURNS {
                    list.take_blocking();
                    assert!(inside.fetch_add(1, Ordering::SeqCst) < 3);
                    inside.fetch_sub(1, Ordering::SeqCst);
                    list.put(());
                }
            });
        }
    });
    assert_eq!((list.idle(), list.waiting()), (3, 0));
}

#[test]
fn debug_output_tells_how_the_list_stands() {
    let list = WaitList::new(vec![1]);
    assert_eq!(format!("{list:?}"), "WaitList { idle: 1, waiting: 0 }");
    assert_eq!(format!("{:?}", list.take()), "Take { in_line: false, .. }");
}
