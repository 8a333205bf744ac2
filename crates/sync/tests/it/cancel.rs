//! Whoever waits may be dropped at any moment; nothing is lost and nobody waits in vain.

use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use brolly_sync::{Flight, ManualClock, SystemClock, ThreadTimer, Timer, WaitList};

use crate::support::{Control, Wakes, poll};

const HOUR: Duration = Duration::from_secs(3600);

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

#[test]
fn a_participant_may_leave_a_flight_at_every_poll() {
    const STEPS: usize = 4;
    for polls in 0..=STEPS {
        let (control, load) = Control::new();
        let flight = Flight::new(load);
        let (mut quits, mut stays) = (flight.join().unwrap(), flight.join().unwrap());
        let (wakes, waker) = Wakes::new();
        if polls % 2 == 0 {
            assert!(poll(&mut stays, &waker).is_pending());
        }
        for _ in 0..polls {
            assert!(poll(&mut quits, Waker::noop()).is_pending());
            control.stir();
        }
        drop(quits);
        let before = wakes.count();
        assert!(poll(&mut stays, &waker).is_pending());
        control.finish(polls);
        assert_eq!(wakes.count(), before + 1);
        assert_eq!(poll(&mut stays, &waker), Poll::Ready(Ok(polls)));
        assert_eq!(control.drops(), 1);
    }
}

#[test]
fn the_last_participant_may_leave_a_flight_at_every_poll() {
    for polls in 0..4 {
        let (control, load) = Control::<u8>::new();
        let flight = Flight::new(load);
        let mut join = flight.join().unwrap();
        for _ in 0..polls {
            assert!(poll(&mut join, Waker::noop()).is_pending());
            control.stir();
        }
        drop(join);
        assert_eq!(control.drops(), 1);
        assert!(flight.join().is_none());
    }
}

#[test]
fn a_sleep_may_be_dropped_at_every_poll() {
    let clock = ManualClock::new();
    let thread = ThreadTimer::with_clock(SystemClock::new());
    for polls in 0..4 {
        let mut sleeps = [clock.sleep(HOUR), thread.sleep(HOUR)];
        for _ in 0..polls {
            for sleep in &mut sleeps {
                // A waker of its own each time, as in a task that moves.
                assert!(poll(sleep, &Wakes::new().1).is_pending());
            }
        }
        let listed = usize::from(polls > 0);
        assert_eq!((clock.sleeping(), thread.sleeping()), (listed, listed));
        drop(sleeps);
        assert_eq!((clock.sleeping(), thread.sleeping()), (0, 0));
    }
}
