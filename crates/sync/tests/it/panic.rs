//! A panic in foreign code is an outcome, or stays with the call it belongs to.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};
use std::thread;

use brolly_sync::{Flight, FlightError, Task};

use crate::support::{Control, Wakes, panicking_waker, poll};

fn panicked(message: &str) -> FlightError {
    let flight = Flight::new({
        let message = message.to_owned();
        async move { resume_unwind(Box::new(message)) }
    });
    let Err(error): Result<(), _> = flight.join().expect("nobody has left").wait() else {
        unreachable!("the load panics");
    };
    error
}

#[test]
fn a_panic_of_the_load_is_everybody_s_error_and_happens_once() {
    let (control, load) = Control::<u8>::new();
    let flight = Flight::new(async move {
        let code = load.await;
        panic!("no value for {code}");
    });
    let (wakes, waker) = Wakes::new();
    let mut joins: Vec<_> = (0..3).map(|_| flight.join().unwrap()).collect();
    for join in &mut joins {
        assert!(poll(join, &waker).is_pending());
    }
    let mut blocked = flight.join().unwrap();
    let error = thread::scope(|scope| {
        let blocked = scope.spawn(move || blocked.wait());
        control.finish(7);
        let Err(error): Result<(), _> = blocked.join().unwrap() else {
            unreachable!("the load panics");
        };
        error
    });
    assert_eq!(error.to_string(), "the load panicked: no value for 7");
    assert!(wakes.count() >= 3);
    for join in &mut joins {
        assert_eq!(poll(join, &waker), Poll::Ready(Err(error.clone())));
    }
    assert_eq!(flight.join().unwrap().wait(), Err(error));
}

#[test]
fn whatever_a_load_panics_with_has_a_message() {
    assert_eq!(panicked("text").to_string(), "the load panicked: text");

    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic_any(());
        }
    }
    let flight = Flight::<()>::new(async { panic_any(Bomb) });
    let outcome = flight.join().unwrap().wait();
    let message = Arc::from("a panic without a message");
    assert_eq!(outcome, Err(FlightError::Panicked { message }));
}

#[test]
fn a_load_that_panics_when_it_is_dropped_harms_nobody() {
    struct Sore(bool);
    impl Future for Sore {
        type Output = u8;
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<u8> {
            if self.0 {
                Poll::Ready(7)
            } else {
                Poll::Pending
            }
        }
    }
    impl Drop for Sore {
        fn drop(&mut self) {
            panic!("it hurts");
        }
    }
    let flight = Flight::new(Sore(true));
    assert_eq!(flight.join().unwrap().wait(), Ok(7));

    let flight = Flight::new(Sore(false));
    let mut join = flight.join().unwrap();
    assert!(poll(&mut join, Waker::noop()).is_pending());
    drop(join);
    assert!(flight.join().is_none());
}

#[test]
fn a_waker_that_panics_keeps_nobody_from_learning() {
    let (control, load) = Control::new();
    let flight = Flight::new(load);
    let (wakes, waker) = Wakes::new();
    let mut joins: Vec<_> = (0..40).map(|_| flight.join().unwrap()).collect();
    for (number, join) in joins.iter_mut().enumerate() {
        let bad = panicking_waker();
        let waker = if number % 2 == 0 { &bad } else { &waker };
        assert!(poll(join, waker).is_pending());
    }
    control.finish(7);
    assert_eq!(wakes.count(), 20);
    for join in &mut joins {
        assert_eq!(poll(join, &waker), Poll::Ready(Ok(7)));
    }
}

#[test]
fn a_clone_of_the_result_that_panics_harms_only_its_own_caller() {
    #[derive(Debug)]
    struct Shy(Arc<AtomicBool>);
    impl Clone for Shy {
        fn clone(&self) -> Self {
            assert!(!self.0.load(Ordering::SeqCst), "not now");
            Self(Arc::clone(&self.0))
        }
    }
    let refuses = Arc::new(AtomicBool::new(true));
    let value = Shy(Arc::clone(&refuses));
    let flight = Flight::new(async move { value });
    let (mut first, mut second) = (flight.join().unwrap(), flight.join().unwrap());
    assert!(catch_unwind(AssertUnwindSafe(|| first.wait())).is_err());
    refuses.store(false, Ordering::SeqCst);
    assert!(second.wait().is_ok());
    assert!(first.wait().is_ok());
}

#[test]
fn a_spawner_that_panics_abandons_what_it_was_given() {
    let (control, load) = Control::<u8>::new();
    let spawner = |_: Task| panic!("no more tasks");
    let flight = Flight::with_spawner(load, Arc::new(spawner));
    drop(flight.join().unwrap());
    assert_eq!(control.drops(), 1);
    assert!(flight.join().is_none());
}

#[test]
fn the_load_outlives_a_participant_whose_poll_unwinds() {
    // The task around the participant panics after the participant looked.
    let (control, load) = Control::new();
    let flight = Flight::new(load);
    let mut waiter = flight.join().unwrap();
    let mut doomed = flight.join().unwrap();
    let task = AssertUnwindSafe(move || {
        let mut task = Box::pin(poll_fn(move |cx| -> Poll<()> {
            assert!(Pin::new(&mut doomed).poll(cx).is_pending());
            panic!("the task fails");
        }));
        poll(&mut task, Waker::noop())
    });
    assert!(catch_unwind(task).is_err());
    control.finish(7);
    assert_eq!(waiter.wait(), Ok(7));
    assert_eq!(control.drops(), 1);
}

/// A waker whose clone panics from the second time on can only be made with a table of functions.
/// It owns nothing, so every entry is free of obligations.
fn uncloneable_waker() -> Waker {
    const TABLE: RawWakerVTable =
        RawWakerVTable::new(|_| panic!("no clones"), |_| {}, |_| {}, |_| {});
    let raw = RawWaker::new(std::ptr::null(), &TABLE);
    // SAFETY: the table's functions ignore their argument, keep nothing and may run on any thread.
    unsafe { Waker::from_raw(raw) }
}

#[test]
fn a_waker_that_cannot_be_cloned_gives_the_load_back() {
    let (control, load) = Control::new();
    let flight = Flight::new(load);
    let (wakes, waker) = Wakes::new();
    let (mut leader, mut waiter) = (flight.join().unwrap(), flight.join().unwrap());
    assert!(poll(&mut waiter, &waker).is_pending());
    control.stir();
    assert_eq!(wakes.count(), 1);
    let bad = uncloneable_waker();
    assert!(catch_unwind(AssertUnwindSafe(|| poll(&mut leader, &bad))).is_err());
    assert_eq!(control.polls(), 2);
    control.finish(7);
    assert_eq!(poll(&mut waiter, &waker), Poll::Ready(Ok(7)));
}

#[test]
fn who_waits_is_told_when_a_poll_unwinds_that_stirred_the_load() {
    let (polling, polled) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let may_go_on = Mutex::new(may_go_on);
    let flight = Flight::new(poll_fn(move |cx| -> Poll<u8> {
        polling.send(()).unwrap();
        let _ = may_go_on.lock().unwrap().recv();
        cx.waker().wake_by_ref();
        Poll::Pending
    }));
    let (wakes, waker) = Wakes::new();
    let (mut leader, mut waiter) = (flight.join().unwrap(), flight.join().unwrap());
    thread::scope(|scope| {
        let unwinds = scope.spawn(move || {
            let bad = uncloneable_waker();
            catch_unwind(AssertUnwindSafe(|| poll(&mut leader, &bad))).is_err()
        });
        polled.recv().unwrap();
        let waits = poll(&mut waiter, &waker).is_pending();
        drop(go_on);
        assert!(unwinds.join().unwrap());
        assert!(waits, "the load is out being polled");
    });
    assert_eq!(wakes.count(), 1);
}
