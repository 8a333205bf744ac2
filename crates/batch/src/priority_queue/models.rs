//! Pushes, takers that wait, takers that give up, and closing, in all their interleavings.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use brolly_sync::ManualClock;
use loom::thread;

use super::{Popped, PriorityQueue};

fn queue() -> PriorityQueue<u8> {
    PriorityQueue::builder()
        .capacity(4)
        .aging(Duration::MAX)
        .clock(ManualClock::new())
        .build()
        .expect("the settings are in range")
}

fn item(popped: Option<Popped<u8>>) -> Option<u8> {
    popped.map(|popped| popped.item)
}

/// Three threads, with at most two preemptions: all of their interleavings take minutes.
fn explore(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(model);
}

#[test]
fn every_push_reaches_one_taker() {
    explore(|| {
        let queue = queue();
        let pushers = [1, 0].map(|n| {
            let queue = queue.clone();
            thread::spawn(move || queue.push(n, n).expect("there is room"))
        });
        let mut items = [item(queue.pop_blocking()), item(queue.pop_blocking())];
        for pusher in pushers {
            pusher.join().unwrap();
        }
        items.sort_unstable();
        assert_eq!(items, [Some(0), Some(1)]);
        assert!(queue.try_pop().is_none());
    });
}

#[test]
fn a_taker_that_gives_up_takes_nothing_with_it() {
    loom::model(|| {
        let queue = queue();
        let pusher = {
            let queue = queue.clone();
            thread::spawn(move || queue.push(7, 0).expect("there is room"))
        };
        let first = {
            let mut first = pin!(queue.pop());
            match first.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(popped) => item(popped),
                Poll::Pending => None, // and gives up, granted or not
            }
        };
        pusher.join().unwrap();
        let second = item(queue.try_pop());
        assert_eq!(first.xor(second), Some(7));
    });
}

#[test]
fn closing_reaches_all_takers_and_loses_no_item() {
    explore(|| {
        let queue = queue();
        let taker = {
            let queue = queue.clone();
            thread::spawn(move || item(queue.pop_blocking()))
        };
        let pusher = {
            let queue = queue.clone();
            thread::spawn(move || queue.push(7, 0).is_ok())
        };
        queue.close();
        let here = item(queue.pop_blocking());
        let there = taker.join().unwrap();
        let was_pushed = pusher.join().unwrap();
        let late = item(queue.pop_blocking());
        let taken = [here, there, late].into_iter().flatten().count();
        assert_eq!(taken, usize::from(was_pushed));
    });
}
