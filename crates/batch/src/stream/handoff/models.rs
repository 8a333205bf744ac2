//! The giver and the taker of a handoff in all interleavings. A lost wake-up shows as a deadlock,
//! which loom reports.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use loom::thread;

use crate::cancel::Stopped;
use crate::stream::handoff::{End, Handoff, Room};
use crate::task_model::Task;

/// Gives `values` when there is room, then says that there are no more. Returns whether the taker
/// was there until the end.
fn give_all(handoff: &Handoff<usize>, values: usize) -> bool {
    let task = Arc::new(Task::default());
    let waker = Waker::from(Arc::clone(&task));
    let mut given = 0;
    while given < values {
        match handoff.poll_room(&mut Context::from_waker(&waker)) {
            Room::Closed => return false,
            Room::None => task.sleep(),
            Room::Free => {
                handoff.give(given);
                given += 1;
            }
        }
    }
    handoff.end(End::Over(Some(Stopped::Cancelled)));
    true
}

fn take(handoff: &Handoff<usize>) -> Option<usize> {
    let task = Arc::new(Task::default());
    let waker = Waker::from(Arc::clone(&task));
    loop {
        match handoff.poll_take(&mut Context::from_waker(&waker)) {
            Poll::Ready(taken) => return taken,
            Poll::Pending => task.sleep(),
        }
    }
}

fn everything_arrives(capacity: usize, values: usize) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(move || {
        let handoff = Arc::new(Handoff::new(capacity));
        let giver = {
            let handoff = Arc::clone(&handoff);
            thread::spawn(move || assert!(give_all(&handoff, values)))
        };
        for expected in 0..values {
            assert_eq!(take(&handoff), Some(expected));
        }
        assert_eq!(take(&handoff), None);
        assert_eq!(handoff.stopped(), Some(Stopped::Cancelled));
        giver.join().unwrap();
    });
}

#[test]
fn everything_arrives_through_room_for_one() {
    everything_arrives(1, 3);
}

#[test]
fn everything_arrives_through_room_for_two() {
    everything_arrives(2, 3);
}

#[test]
fn a_giver_that_waits_for_room_hears_that_the_taker_has_left() {
    loom::model(|| {
        let handoff = Arc::new(Handoff::new(1));
        let giver = {
            let handoff = Arc::clone(&handoff);
            thread::spawn(move || assert!(!give_all(&handoff, 3)))
        };
        assert_eq!(take(&handoff), Some(0));
        handoff.close();
        giver.join().unwrap();
    });
}
