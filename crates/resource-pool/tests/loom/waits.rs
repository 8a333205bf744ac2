//! Nobody who waits is forgotten, and nobody gets what another holds.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use loom::thread;

use crate::{Event, assert_conserved, bounded, look_and_leave, pool, wait_for};

#[test]
fn what_is_given_back_while_somebody_begins_to_wait_reaches_him() {
    bounded(3, || {
        let (pool, live) = pool(1, None);
        let held = pool.try_acquire_owned().unwrap();
        let gives = thread::spawn(move || drop(held));
        let guard = wait_for(pool.acquire()).unwrap();
        assert_eq!(guard.value, 0);
        gives.join().unwrap();
        assert_eq!(live.load(SeqCst), 1);
    });
}

#[test]
fn what_is_given_back_in_another_bank_reaches_who_begins_to_wait() {
    bounded(2, || {
        // A bank of a model has two places.
        let (pool, live) = pool(3, None);
        let first = (pool.try_acquire().unwrap(), pool.try_acquire().unwrap());
        let third = pool.try_acquire_owned().unwrap();
        let gives = thread::spawn(move || drop(third));
        let guard = wait_for(pool.acquire()).unwrap();
        assert_eq!(guard.value, 2);
        gives.join().unwrap();
        drop((first, guard));
        assert_eq!((live.load(SeqCst), pool.stats().idle), (3, 3));
    });
}

#[test]
fn two_who_take_and_give_never_hold_the_same() {
    bounded(3, || {
        let (pool, live) = pool(1, None);
        drop(pool.try_acquire().unwrap());
        let other = pool.clone();
        let takes = thread::spawn(move || drop(wait_for(other.acquire()).unwrap()));
        drop(wait_for(pool.acquire()).unwrap());
        assert_conserved(&pool);
        takes.join().unwrap();
        assert_eq!(live.load(SeqCst), 1);
        assert_eq!(pool.stats().idle, 1);
    });
}

#[test]
fn who_leaves_passes_on_what_he_was_granted() {
    bounded(2, || {
        let (pool, _) = pool(1, None);
        let held = pool.try_acquire_owned().unwrap();
        let (leaver, taker) = (pool.clone(), pool.clone());
        let leaves = thread::spawn(move || drop(look_and_leave(leaver.acquire())));
        let takes = thread::spawn(move || drop(wait_for(taker.acquire()).unwrap()));
        drop(held);
        leaves.join().unwrap();
        takes.join().unwrap();
        let stats = pool.stats();
        assert_eq!((stats.idle, stats.in_use, stats.waiting), (1, 0, 0));
        drop(pool.try_acquire().unwrap());
    });
}

#[test]
fn the_sizes_add_up_at_every_step() {
    bounded(2, || {
        let (pool, _) = pool(2, None);
        let other = pool.clone();
        let works = thread::spawn(move || {
            let first = wait_for(other.acquire()).unwrap();
            drop(first);
        });
        assert_conserved(&pool);
        let guard = wait_for(pool.acquire()).unwrap();
        assert_conserved(&pool);
        drop(guard);
        assert_conserved(&pool);
        works.join().unwrap();
        let stats = pool.stats();
        assert_eq!(
            (stats.size, stats.idle),
            (stats.created as usize, stats.idle)
        );
    });
}

#[test]
fn those_who_wait_share_the_work_whoever_began_it() {
    bounded(2, || {
        let gate = Arc::new(Event::default());
        let (pool, _) = pool(1, Some(Arc::clone(&gate)));
        let other = pool.clone();
        let leaves = thread::spawn(move || drop(look_and_leave(other.acquire())));
        let opens = thread::spawn(move || gate.happen());
        drop(wait_for(pool.acquire()).unwrap());
        leaves.join().unwrap();
        opens.join().unwrap();
        assert_eq!(pool.stats().idle, 1);
    });
}

#[test]
fn several_at_once_get_all_or_wait() {
    bounded(2, || {
        let (pool, _) = pool(2, None);
        let held = pool.try_acquire_owned().unwrap();
        let other = pool.clone();
        let takes = thread::spawn(move || {
            drop(wait_for(other.acquire_many(2)).unwrap());
        });
        drop(held);
        takes.join().unwrap();
        assert_eq!(pool.stats().idle, 2);
    });
}
