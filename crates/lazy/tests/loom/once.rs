//! A cell is written by one initialiser, whoever leaves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use brolly_lazy::Once;
use loom::thread;

use crate::{Event, bounded, look_and_leave};

#[test]
fn two_threads_run_one_initialiser() {
    bounded(3, || {
        let (once, runs) = (Arc::new(Once::new()), Arc::new(AtomicU32::new(0)));
        let (other, counted) = (Arc::clone(&once), Arc::clone(&runs));
        let inits =
            thread::spawn(move || *other.get_or_init_blocking(|| counted.fetch_add(1, SeqCst)));
        let value = *once.get_or_init_blocking(|| runs.fetch_add(1, SeqCst));
        assert_eq!((inits.join().unwrap(), value), (0, 0));
        assert_eq!(runs.load(SeqCst), 1);
    });
}

#[test]
fn a_task_that_looks_once_and_a_thread_agree() {
    bounded(3, || {
        let once = Arc::new(Once::new());
        let other = Arc::clone(&once);
        let looks = thread::spawn(move || {
            let _ = look_and_leave(other.get_or_init(|| async { 1 }));
        });
        let value = *once.get_or_init_blocking(|| 2);
        looks.join().unwrap();
        assert_eq!(once.get(), Some(&value));
    });
}

#[test]
fn a_waiter_continues_when_the_leader_leaves() {
    bounded(3, || {
        let (once, event) = (Arc::new(Once::new()), Arc::new(Event::default()));
        let (other, inside) = (Arc::clone(&once), Arc::clone(&event));
        let leaves = thread::spawn(move || {
            let init = || async move {
                inside.wait().await;
                1
            };
            let _ = look_and_leave(other.get_or_init(init));
        });
        let happens = thread::spawn(move || event.happen());
        let value = *once.get_or_init_blocking(|| 2);
        assert!(value == 1 || value == 2);
        leaves.join().unwrap();
        happens.join().unwrap();
        assert_eq!(once.get(), Some(&value));
    });
}

#[test]
fn a_failure_is_over_for_those_who_come_after_it() {
    bounded(3, || {
        let once = Arc::new(Once::<u32>::new());
        let other = Arc::clone(&once);
        let waits = thread::spawn(move || {
            drop(other.get_or_try_init_blocking(|| Err::<u32, u32>(1)));
        });
        let first = once.get_or_try_init_blocking(|| Err::<u32, u32>(2));
        assert!(first.is_err());
        let second = once
            .get_or_try_init_blocking(|| Err::<u32, u32>(3))
            .unwrap_err();
        // It may have waited for the other thread, but not for what was over.
        assert_ne!(second.failure(), Some(&2));
        waits.join().unwrap();
        let third = once.get_or_try_init_blocking(|| Ok::<u32, u32>(4));
        assert_eq!(third.ok(), Some(&4));
    });
}

#[test]
fn what_is_set_meanwhile_stays() {
    bounded(3, || {
        let once = Arc::new(Once::new());
        let other = Arc::clone(&once);
        let sets = thread::spawn(move || other.set(1).is_ok());
        let value = *once.get_or_init_blocking(|| 2);
        assert_eq!(value, if sets.join().unwrap() { 1 } else { 2 });
        assert_eq!(once.get(), Some(&value));
    });
}
