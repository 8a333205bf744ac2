//! Callers, the batch's task and closers in all their interleavings.
//!
//! Run with `RUSTFLAGS="--cfg brolly_loom" cargo test -p brolly-batch --lib --release batcher`. A
//! lost wake-up shows as a deadlock, which loom reports. Nothing lingers here: every batch is fired
//! by its size or by hand, so no model waits for time to pass.

use std::future::{Future, ready};
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use brolly_sync::{ManualClock, Task, block_on};
use loom::thread;

use super::{BatchError, Batcher, BatcherBuilder};

type Numbers = Batcher<u32, u32, ()>;

fn builder() -> BatcherBuilder<u32, u32, ()> {
    Batcher::builder()
        .linger(Duration::MAX)
        .timer(ManualClock::new())
}

/// Each batch runs on a thread of its own.
fn on_threads(settings: BatcherBuilder<u32, u32, ()>) -> Numbers {
    let spawner = |task: Task| drop(thread::spawn(|| block_on(task)));
    settings
        .build(spawner, |keys: Vec<u32>| ready(Ok(keys)))
        .expect("the settings are in range")
}

/// Each batch runs on the thread of the caller who opened it.
fn on_the_spot(settings: BatcherBuilder<u32, u32, ()>) -> Numbers {
    settings
        .build(
            |task: Task| block_on(task),
            |keys: Vec<u32>| ready(Ok(keys)),
        )
        .expect("the settings are in range")
}

fn explore(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(model);
}

#[test]
fn two_callers_of_a_batch_both_get_their_values() {
    explore(|| {
        let batcher = on_threads(builder().max_size(2));
        let other = batcher.clone();
        let caller = thread::spawn(move || block_on(other.submit(1)));
        assert_eq!(block_on(batcher.submit(2)), Ok(2));
        assert_eq!(caller.join().expect("it does not panic"), Ok(1));
    });
}

#[test]
fn a_caller_who_leaves_takes_nothing_from_the_one_who_stays() {
    explore(|| {
        let batcher = on_threads(builder().max_size(2));
        let other = batcher.clone();
        let leaver = thread::spawn(move || {
            let mut call = pin!(other.submit(1));
            let mut context = Context::from_waker(Waker::noop());
            drop(call.as_mut().poll(&mut context));
        });
        let call = batcher.submit(2);
        let stays = thread::spawn(move || block_on(call));
        leaver.join().expect("it does not panic");
        batcher.flush();
        // The flush may have come before the one who stays.
        drop(batcher);
        assert_eq!(stays.join().expect("it does not panic"), Ok(2));
    });
}

#[test]
fn a_call_that_races_with_close_is_answered_or_turned_away() {
    explore(|| {
        let batcher = on_threads(builder());
        let other = batcher.clone();
        let caller = thread::spawn(move || block_on(other.submit(1)));
        block_on(batcher.close());
        let stats = batcher.stats();
        assert_eq!((stats.waiting, stats.in_flight), (0, 0));
        let outcome = caller.join().expect("it does not panic");
        assert!(matches!(outcome, Ok(1) | Err(BatchError::Closed)));
    });
}

#[test]
fn callers_in_line_are_served_and_their_batches_take_turns() {
    explore(|| {
        let batcher = on_the_spot(builder().max_size(1).capacity(1).max_in_flight(1));
        let callers: Vec<_> = (0..2)
            .map(|key| {
                let call = batcher.submit(key);
                thread::spawn(move || assert_eq!(block_on(call), Ok(key)))
            })
            .collect();
        for caller in callers {
            caller.join().expect("it does not panic");
        }
        assert_eq!(batcher.stats().waiting, 0);
    });
}

#[test]
fn room_given_to_a_caller_who_leaves_the_line_passes_on() {
    explore(|| {
        let batcher = on_the_spot(builder().max_size(1).capacity(1).max_in_flight(1));
        let call = batcher.submit(1);
        let stays = thread::spawn(move || block_on(call));
        let leaving = batcher.submit(2);
        let leaver = thread::spawn(move || {
            let mut call = pin!(leaving);
            let mut context = Context::from_waker(Waker::noop());
            drop(call.as_mut().poll(&mut context));
        });
        assert_eq!(block_on(batcher.submit(3)), Ok(3));
        assert_eq!(stays.join().expect("it does not panic"), Ok(1));
        leaver.join().expect("it does not panic");
        assert_eq!((batcher.stats().waiting, batcher.stats().in_line), (0, 0));
    });
}

#[test]
fn whoever_joins_while_the_last_one_leaves_is_served() {
    explore(|| {
        let batcher = on_threads(builder().join_duplicates(true));
        let other = batcher.clone();
        let leaver = thread::spawn(move || {
            let mut call = pin!(other.submit(1));
            let mut context = Context::from_waker(Waker::noop());
            drop(call.as_mut().poll(&mut context));
        });
        let call = batcher.submit(1);
        let stays = thread::spawn(move || block_on(call));
        leaver.join().expect("it does not panic");
        drop(batcher);
        assert_eq!(stays.join().expect("it does not panic"), Ok(1));
    });
}

#[test]
fn a_batch_that_loses_its_callers_and_its_task_is_given_back_once() {
    explore(|| {
        let batcher = builder()
            .max_size(1)
            .build(
                |task: Task| drop(thread::spawn(|| drop(task))),
                |keys: Vec<u32>| ready(Ok(keys)),
            )
            .expect("the settings are in range");
        let mut call = pin!(batcher.submit(1));
        let mut context = Context::from_waker(Waker::noop());
        drop(call.as_mut().poll(&mut context));
        call.set(batcher.submit(2));
        block_on(batcher.close());
        let stats = batcher.stats();
        assert_eq!((stats.waiting, stats.in_flight), (0, 0));
    });
}
