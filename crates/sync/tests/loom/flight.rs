//! Whoever leaves, parks or comes late, a flight lands once and everybody in it learns of it.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use brolly_sync::{Flight, FlightError, Join, Task};
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Condvar, Mutex};
use loom::thread;

use crate::bounded;

/// Something a load waits for.
#[derive(Default)]
struct Event(Mutex<(bool, Option<Waker>)>);

impl Event {
    fn happen(&self) {
        let waker = {
            let mut state = self.0.lock().unwrap();
            state.0 = true;
            state.1.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    async fn wait(&self) {
        poll_fn(|cx| {
            let mut state = self.0.lock().unwrap();
            if state.0 {
                return Poll::Ready(());
            }
            state.1 = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// A flag with a sleeper. Not `thread::park`, whose token loom loses when a thread is unparked while
/// it waits for a lock.
#[derive(Default)]
struct Signal {
    raised: Mutex<bool>,
    condition: Condvar,
}

impl Signal {
    fn wait(&self) {
        let mut raised = self.raised.lock().unwrap();
        while !*raised {
            raised = self.condition.wait(raised).unwrap();
        }
        *raised = false;
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        *self.raised.lock().unwrap() = true;
        self.condition.notify_one();
    }
}

/// Counts the loads that were dropped.
struct Tally(Arc<AtomicUsize>);

impl Drop for Tally {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A flight that lands once the event has happened, and the count of dropped loads.
fn flight_after(event: &Arc<Event>) -> (Flight<u32>, Arc<AtomicUsize>) {
    let dropped = Arc::new(AtomicUsize::new(0));
    let (event, tally) = (Arc::clone(event), Tally(Arc::clone(&dropped)));
    let flight = Flight::new(async move {
        let _tally = tally;
        event.wait().await;
        7
    });
    (flight, dropped)
}

fn look_once(join: &mut Join<u32>) -> Poll<Result<u32, FlightError>> {
    pin!(join).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_waiter_continues_when_the_leader_is_dropped() {
    bounded(4, || {
        let event = Arc::new(Event::default());
        let (flight, dropped) = flight_after(&event);
        let mut leader = flight.join().unwrap();
        let mut waiter = flight.join().unwrap();
        let leaves = thread::spawn(move || {
            let _ = look_once(&mut leader);
        });
        let happens = thread::spawn(move || event.happen());
        assert_eq!(waiter.wait(), Ok(7));
        leaves.join().unwrap();
        happens.join().unwrap();
        assert_eq!(dropped.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn a_waiter_continues_when_the_leader_is_kept_but_not_polled() {
    bounded(4, || {
        let event = Arc::new(Event::default());
        let (flight, _) = flight_after(&event);
        let mut leader = flight.join().unwrap();
        let mut waiter = flight.join().unwrap();
        let parks = thread::spawn(move || {
            let _ = look_once(&mut leader);
            leader
        });
        let happens = thread::spawn(move || event.happen());
        assert_eq!(waiter.wait(), Ok(7));
        let mut leader = parks.join().unwrap();
        assert_eq!(look_once(&mut leader), Poll::Ready(Ok(7)));
        happens.join().unwrap();
    });
}

#[test]
fn a_load_polled_before_its_flight_wakes_its_first_participant_whoever_looks_meanwhile() {
    bounded(4, || {
        let event = Arc::new(Event::default());
        let inside = Arc::clone(&event);
        let mut load = Box::pin(async move {
            inside.wait().await;
            7
        });
        let signal = Arc::new(Signal::default());
        let waker = Waker::from(Arc::clone(&signal));
        let mut cx = Context::from_waker(&waker);
        let mut leader = match load.as_mut().poll(&mut cx) {
            Poll::Ready(value) => {
                assert_eq!(value, 7);
                return;
            }
            Poll::Pending => Flight::polled(load, None, waker.clone()),
        };
        let mut other = leader.0.join().unwrap();
        let looks = thread::spawn(move || {
            let _ = look_once(&mut other);
            other
        });
        let happens = thread::spawn(move || event.happen());
        // Does not look before it is woken.
        loop {
            signal.wait();
            if let Poll::Ready(outcome) = pin!(&mut leader.1).poll(&mut cx) {
                assert_eq!(outcome, Ok(7));
                break;
            }
        }
        happens.join().unwrap();
        drop(looks.join().unwrap());
    });
}

#[test]
fn two_waiters_both_learn_of_the_landing() {
    bounded(4, || {
        let event = Arc::new(Event::default());
        let (flight, dropped) = flight_after(&event);
        let mut first = flight.join().unwrap();
        let mut second = flight.join().unwrap();
        let waits = thread::spawn(move || first.wait());
        let happens = thread::spawn(move || event.happen());
        assert_eq!(second.wait(), Ok(7));
        assert_eq!(waits.join().unwrap(), Ok(7));
        happens.join().unwrap();
        assert_eq!(dropped.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn who_joins_while_the_last_one_leaves_either_stays_or_is_turned_away() {
    loom::model(|| {
        let event = Arc::new(Event::default());
        let (flight, dropped) = flight_after(&event);
        let mut last = flight.join().unwrap();
        let leaves = thread::spawn(move || {
            let _ = look_once(&mut last);
        });
        let joined = flight.join();
        match joined {
            Some(mut join) => {
                event.happen();
                assert_eq!(join.wait(), Ok(7));
                leaves.join().unwrap();
            }
            None => {
                leaves.join().unwrap();
                assert_eq!(flight.peek(), None);
            }
        }
        assert_eq!(dropped.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn who_joins_during_the_landing_gets_its_result() {
    loom::model(|| {
        let flight = Flight::new(async { 7 });
        let mut first = flight.join().unwrap();
        let lands = thread::spawn(move || first.wait());
        if let Some(mut late) = flight.join() {
            assert_eq!(late.wait(), Ok(7));
        }
        assert_eq!(lands.join().unwrap(), Ok(7));
        assert_eq!(flight.peek(), Some(Ok(7)));
    });
}

#[test]
fn the_last_one_may_leave_while_the_load_is_woken() {
    loom::model(|| {
        let event = Arc::new(Event::default());
        let (flight, dropped) = flight_after(&event);
        let mut last = flight.join().unwrap();
        assert!(look_once(&mut last).is_pending());
        let happens = thread::spawn(move || event.happen());
        drop(last);
        happens.join().unwrap();
        assert!(flight.join().is_none());
        assert_eq!(dropped.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn a_driver_that_is_dropped_leaves_its_load_to_the_thread_that_waits() {
    bounded(4, || {
        let event = Arc::new(Event::default());
        let inside = Arc::clone(&event);
        // Looks once at what it is given, on another thread, and drops it.
        let spawner = |mut task: Task| {
            thread::spawn(move || {
                let _ = task.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            });
        };
        let load = async move {
            inside.wait().await;
            7
        };
        let flight = Flight::with_spawner(load, Arc::new(spawner));
        let mut join = flight.join().unwrap();
        let happens = thread::spawn(move || event.happen());
        assert_eq!(join.wait(), Ok(7));
        happens.join().unwrap();
    });
}
