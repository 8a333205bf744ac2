//! The opening of a throttle against those who come, wait and leave, in all their interleavings.
//!
//! A lost wake-up shows as a deadlock, which loom reports. Time is a manual clock that moves once:
//! whoever sleeps through that move sleeps for ever.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use brolly_sync::ManualClock;
use loom::thread;

use super::{Reading, Throttle, Throttled};
use crate::primitive::{Condvar, Mutex, lock, wait};

const INTERVAL: Duration = Duration::from_secs(1);

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

fn block_on(mut future: Pin<&mut impl Future<Output = Result<(), Throttled>>>) {
    let task = Arc::new(Task::default());
    let waker = Waker::from(Arc::clone(&task));
    while future
        .as_mut()
        .poll(&mut Context::from_waker(&waker))
        .is_pending()
    {
        let mut notified = lock(&task.notified);
        while !*notified {
            notified = wait(&task.condition, notified);
        }
        *notified = false;
    }
}

/// A throttle that is closed until the first interval has passed.
fn closed() -> (ManualClock, Throttle) {
    let clock = ManualClock::new();
    let mut readings = 0;
    let source = std::sync::Mutex::new(move || {
        readings += 1;
        Reading::new(if readings == 1 { 100 } else { 0 }, 100)
    });
    let throttle = Throttle::builder()
        .source(move || Some(source.lock().expect("no reading panics")()))
        .sample_interval(INTERVAL)
        .max_wait(Duration::MAX)
        .timer(clock.clone())
        .build()
        .expect("the settings are in range");
    assert!(throttle.is_throttled());
    (clock, throttle)
}

fn explore(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(model);
}

#[test]
fn a_waiter_that_comes_while_it_opens_is_let_in() {
    explore(|| {
        let (clock, throttle) = closed();
        let waiter = {
            let throttle = throttle.clone();
            thread::spawn(move || block_on(pin!(throttle.admit())))
        };
        clock.advance(INTERVAL);
        // May find the waiter reading; then the waiter opens it.
        let _ = throttle.try_admit();
        waiter.join().unwrap();
        assert!(!throttle.is_throttled());
    });
}

#[test]
fn the_first_in_line_may_leave_while_it_opens() {
    explore(|| {
        let (clock, throttle) = closed();
        let mut first = Box::pin(throttle.admit());
        let polled = first.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(polled, Poll::Pending);
        let second = {
            let throttle = throttle.clone();
            thread::spawn(move || block_on(pin!(throttle.admit())))
        };
        let mover = thread::spawn(move || clock.advance(INTERVAL));
        drop(first);
        mover.join().unwrap();
        second.join().unwrap();
    });
}
