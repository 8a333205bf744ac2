//! A taker may be dropped at any moment; nothing is lost and nobody waits in vain.

use std::rc::Rc;
use std::task::{Poll, Waker};

use brolly_sync::WaitList;

use crate::support::{Wakes, poll};

#[test]
fn a_taker_dropped_before_its_first_poll_was_never_in_line() {
    let list = WaitList::<u32>::new(Vec::new());
    drop(list.take());
    assert_eq!(list.waiting(), 0);
}

#[test]
fn a_taker_dropped_while_waiting_leaves_the_line() {
    let list = WaitList::new(Vec::new());
    let (mut first, mut second) = (list.take(), list.take());
    assert!(poll(&mut first, Waker::noop()).is_pending());
    assert!(poll(&mut second, Waker::noop()).is_pending());
    drop(first);
    assert_eq!(list.waiting(), 1);
    list.put(1);
    assert_eq!(poll(&mut second, Waker::noop()), Poll::Ready(1));
}

#[test]
fn a_dropped_taker_passes_what_it_was_given_to_the_next_in_line() {
    let list = WaitList::new(Vec::new());
    let (wakes, waker) = Wakes::new();
    let (mut first, mut second) = (list.take(), list.take());
    assert!(poll(&mut first, Waker::noop()).is_pending());
    assert!(poll(&mut second, &waker).is_pending());
    list.put(1);
    assert_eq!(wakes.count(), 0);
    drop(first);
    assert_eq!(wakes.count(), 1);
    assert_eq!(poll(&mut second, &waker), Poll::Ready(1));
}

#[test]
fn what_the_last_taker_was_given_becomes_idle_when_it_is_dropped() {
    let list = WaitList::new(Vec::new());
    let mut waiter = list.take();
    assert!(poll(&mut waiter, Waker::noop()).is_pending());
    list.put(1);
    drop(waiter);
    assert_eq!(list.try_take(), Some(1));
}

#[test]
fn any_taker_in_the_line_can_leave_without_breaking_it() {
    for leaving in 0..5 {
        let list = WaitList::new(Vec::new());
        let mut takers: Vec<_> = (0..5).map(|_| list.take()).collect();
        for taker in &mut takers {
            assert!(poll(taker, Waker::noop()).is_pending());
        }
        drop(takers.remove(leaving));
        for value in 0..4 {
            list.put(value);
        }
        for (value, taker) in takers.iter_mut().enumerate() {
            assert_eq!(poll(taker, Waker::noop()), Poll::Ready(value));
        }
        assert_eq!((list.idle(), list.waiting()), (0, 0));
    }
}

#[test]
fn values_are_dropped_with_the_list_and_never_twice() {
    let value = Rc::new(());
    let list = WaitList::new(vec![Rc::clone(&value)]);
    let taken = list.try_take().unwrap();
    let mut waiter = list.take();
    assert!(poll(&mut waiter, Waker::noop()).is_pending());
    list.put(taken);
    drop(waiter);
    assert_eq!(Rc::strong_count(&value), 2);
    drop(list);
    assert_eq!(Rc::strong_count(&value), 1);
}
