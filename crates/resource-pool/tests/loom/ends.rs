//! Changes of size, resets and the end, beside those who take and give.

use std::sync::atomic::Ordering::SeqCst;

use brolly_resource_pool::AcquireError;
use loom::thread;

use crate::{bounded, pool, wait_for};

#[test]
fn a_close_beside_a_return_closes_what_returns() {
    bounded(3, || {
        let (pool, live) = pool(1, None);
        let held = pool.try_acquire_owned().unwrap();
        let other = pool.clone();
        let closes = thread::spawn(move || other.close());
        drop(held);
        closes.join().unwrap();
        assert_eq!(live.load(SeqCst), 0);
        assert_eq!(pool.stats().size, 0);
    });
}

#[test]
fn the_last_handle_beside_the_last_guard_leaves_nothing() {
    bounded(3, || {
        let (pool, live) = pool(1, None);
        let held = pool.try_acquire_owned().unwrap();
        let gives = thread::spawn(move || drop(held));
        drop(pool);
        gives.join().unwrap();
        assert_eq!(live.load(SeqCst), 0);
    });
}

#[test]
fn who_waits_while_the_pool_closes_is_told_or_served() {
    bounded(3, || {
        let (pool, live) = pool(1, None);
        let held = pool.try_acquire_owned().unwrap();
        let other = pool.clone();
        let closes = thread::spawn(move || other.close());
        let waiting = pool.clone();
        let waits = thread::spawn(move || match wait_for(waiting.acquire()) {
            Ok(guard) => drop(guard),
            Err(error) => assert!(matches!(error, AcquireError::Closed)),
        });
        drop(held);
        closes.join().unwrap();
        waits.join().unwrap();
        assert_eq!(live.load(SeqCst), 0);
    });
}

#[test]
fn a_smaller_pool_beside_a_return_keeps_its_maximum() {
    bounded(3, || {
        let (pool, live) = pool(2, None);
        let held = (
            pool.try_acquire_owned().unwrap(),
            pool.try_acquire_owned().unwrap(),
        );
        let other = pool.clone();
        let shrinks = thread::spawn(move || other.resize(0, 1).unwrap());
        drop(held);
        shrinks.join().unwrap();
        assert_eq!(live.load(SeqCst), 1);
        assert_eq!(pool.stats().size, 1);
        drop(pool.try_acquire().unwrap());
    });
}

#[test]
fn what_is_handed_out_after_a_reset_was_made_after_it() {
    bounded(3, || {
        let (pool, _) = pool(1, None);
        let held = pool.try_acquire_owned().unwrap();
        let gives = thread::spawn(move || drop(held));
        pool.reset();
        let guard = wait_for(pool.acquire()).unwrap();
        assert_eq!(guard.value, 1);
        gives.join().unwrap();
    });
}
