//! The hand-shake between wakers and the polling task, in all its interleavings.
//!
//! Run with `RUSTFLAGS="--cfg brolly_loom" cargo test -p brolly-batch --lib --release`. A lost
//! wake-up shows as a deadlock, which loom reports.

use std::sync::Arc;
use std::task::Waker;

use loom::thread;

use crate::task_model::Task;
use crate::woken::Woken;

/// Raises each index on a thread of its own, while a task drains until it has seen them all. The
/// task is also polled `unasked` times without having been woken.
fn every_raise_is_seen(capacity: usize, raised: &'static [usize], unasked: usize) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(move || {
        let woken = Arc::new(Woken::new(capacity));
        let task = Arc::new(Task::default());
        let waker = Waker::from(Arc::clone(&task));
        let raisers: Vec<_> = raised
            .iter()
            .map(|&index| {
                let woken = Arc::clone(&woken);
                thread::spawn(move || woken.raise(index))
            })
            .collect();
        let mut missing = raised.to_vec();
        for polls in 0.. {
            woken.begin_poll(|index| missing.retain(|&other| other != index));
            if missing.is_empty() {
                break;
            }
            woken.end_poll(&waker, false);
            if polls >= unasked {
                task.sleep();
            }
        }
        for raiser in raisers {
            raiser.join().unwrap();
        }
    });
}

#[test]
fn a_raise_during_a_poll_is_not_lost() {
    every_raise_is_seen(63, &[5], 0);
}

#[test]
fn two_raises_in_the_root_are_both_seen() {
    every_raise_is_seen(63, &[0, 62], 0);
}

#[test]
fn two_raises_below_one_root_are_both_seen() {
    every_raise_is_seen(128, &[0, 64], 0);
}

#[test]
fn two_raises_in_one_word_below_the_root_are_both_seen() {
    every_raise_is_seen(128, &[64, 65], 0);
}

/// The first raiser may find the task asleep and come to wake it only after that poll has ended,
/// when it takes the waker that the second raiser would need.
#[test]
fn a_raiser_late_to_wake_the_task_takes_no_wake_up_from_another() {
    every_raise_is_seen(63, &[0, 1], 1);
    every_raise_is_seen(63, &[0, 1], 2);
}

#[test]
fn a_raise_while_the_task_changes_its_waker_reaches_the_new_one() {
    loom::model(|| {
        let woken = Arc::new(Woken::new(63));
        let (old, new) = (Arc::new(Task::default()), Arc::new(Task::default()));
        woken.begin_poll(|_| {});
        woken.end_poll(&Waker::from(old), false);
        let raiser = {
            let woken = Arc::clone(&woken);
            thread::spawn(move || woken.raise(1))
        };
        let waker = Waker::from(Arc::clone(&new));
        let mut seen = false;
        loop {
            woken.begin_poll(|_| seen = true);
            if seen {
                break;
            }
            woken.end_poll(&waker, false);
            new.sleep();
        }
        raiser.join().unwrap();
    });
}
