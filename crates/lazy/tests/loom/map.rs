//! Keys leave a map, and nobody loads where the map does not see it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use brolly_lazy::LazyMap;
use loom::thread;

use crate::{bounded, look_and_leave};

#[test]
fn a_caller_that_leaves_takes_no_key_away_from_another() {
    bounded(3, || {
        let map = LazyMap::new(2, |key: u32| async move { key }).unwrap();
        let other = map.clone();
        let leaves = thread::spawn(move || drop(other.try_get(&1)));
        assert_eq!(*map.get_blocking(&1), 1);
        leaves.join().unwrap();
        assert!(map.is_loaded(&1), "it was loaded where nobody sees it");
        assert_eq!(map.len(), 1);
    });
}

#[test]
fn callers_that_leave_together_leave_nothing_behind() {
    bounded(3, || {
        let map = LazyMap::new(2, |_: u32| std::future::pending::<u32>()).unwrap();
        let other = map.clone();
        let leaves = thread::spawn(move || {
            let _ = look_and_leave(other.try_get(&1));
        });
        let _ = look_and_leave(map.try_get(&1));
        leaves.join().unwrap();
        assert_eq!(map.len(), 0);
    });
}

#[test]
fn a_key_is_loaded_once_though_another_caller_failed_before() {
    bounded(2, || {
        let loads = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&loads);
        let map = LazyMap::builder()
            .max_len(2)
            .build_fallible_sync(move |_: u32| match counted.fetch_add(1, SeqCst) {
                0 => Err(()),
                load => Ok(load),
            })
            .unwrap();
        let other = map.clone();
        let asks = thread::spawn(move || other.try_get_blocking(&1).is_ok());
        let first = map.try_get_blocking(&1).is_ok();
        let second = asks.join().unwrap();
        // Both waited for the one that failed, or one of them for another.
        let runs = loads.load(SeqCst);
        assert_eq!(runs, if first || second { 2 } else { 1 });
        assert_eq!(map.is_loaded(&1), first || second);
        assert_eq!(map.len(), usize::from(first || second));
    });
}
