//! Cancelling against a task that is about to sleep, in all interleavings. A lost wake-up shows as
//! a deadlock, which loom reports.

use std::sync::Arc;
use std::task::{Context, Waker};

use loom::thread;

use crate::cancel::{CancelToken, Stage};
use crate::task_model::Task;
use crate::woken::{SlotWaker, Woken};

#[test]
fn a_waiter_is_woken_by_a_cancel_whenever_it_comes() {
    loom::model(|| {
        let token = CancelToken::new();
        let task = Arc::new(Task::default());
        let canceller = {
            let token = token.clone();
            thread::spawn(move || token.cancel())
        };
        let waker = Waker::from(Arc::clone(&task));
        let mut listener = token.listen(Stage::Cancelled);
        while listener.poll(&mut Context::from_waker(&waker)).is_pending() {
            task.sleep();
        }
        canceller.join().unwrap();
    });
}

#[test]
fn a_waiter_for_the_cancel_is_not_left_behind_by_a_drain() {
    loom::model(|| {
        let token = CancelToken::new();
        let task = Arc::new(Task::default());
        let canceller = {
            let token = token.clone();
            thread::spawn(move || {
                token.drain();
                token.cancel();
            })
        };
        let waker = Waker::from(Arc::clone(&task));
        let mut listener = token.listen(Stage::Draining);
        while listener.poll(&mut Context::from_waker(&waker)).is_pending() {
            task.sleep();
        }
        listener.wait_for(Stage::Cancelled);
        while listener.poll(&mut Context::from_waker(&waker)).is_pending() {
            task.sleep();
        }
        canceller.join().unwrap();
    });
}

/// As a run does it: the listener wakes through a slot's waker, the task sleeps after `end_poll`.
#[test]
fn a_cancel_against_the_end_of_a_poll_loses_no_wake_up() {
    loom::model(|| {
        let token = CancelToken::new();
        let woken = Arc::new(Woken::new(2));
        let task = Arc::new(Task::default());
        let canceller = {
            let token = token.clone();
            thread::spawn(move || token.cancel())
        };
        let parent = Waker::from(Arc::clone(&task));
        let own = SlotWaker::waker(&woken, 1);
        let mut listener = token.listen(Stage::Cancelled);
        let mut asked = true; // the first poll always asks
        loop {
            woken.begin_poll(|index| asked |= index == 1);
            if asked && listener.poll(&mut Context::from_waker(&own)).is_ready() {
                break;
            }
            asked = false;
            woken.end_poll(&parent, false);
            task.sleep();
        }
        canceller.join().unwrap();
    });
}
