//! A reader is never behind what its thread knows.

use std::sync::Arc;

use brolly_lazy::Lazy;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;

use crate::bounded;

#[test]
fn a_reader_sees_what_was_replaced_before() {
    loom::model(|| {
        let lazy = Lazy::new_sync(|| 0);
        lazy.replace(1);
        let mut reader = lazy.reader();
        assert_eq!(reader.peek().map(|value| **value), Some(1));
        let said = Arc::new(AtomicU32::new(1));
        let (other, says) = (lazy.clone(), Arc::clone(&said));
        let replaces = thread::spawn(move || {
            other.replace(2);
            says.store(2, Ordering::Release);
        });
        let least = said.load(Ordering::Acquire);
        let read = reader.peek().map(|value| **value).unwrap();
        assert!(read >= least, "{read} was replaced by {least} before");
        replaces.join().unwrap();
        assert_eq!(reader.peek().map(|value| **value), Some(2));
    });
}

#[test]
fn a_reader_does_not_fall_behind_a_guard() {
    bounded(3, || {
        let lazy = Lazy::new_sync(|| 0);
        lazy.replace(1);
        let mut reader = lazy.reader();
        assert_eq!(reader.peek().map(|value| **value), Some(1));
        let other = lazy.clone();
        let replaces = thread::spawn(move || drop(other.replace(2)));
        let by_guard = lazy.peek().map(|value| *value).unwrap();
        let by_reader = reader.peek().map(|value| **value).unwrap();
        assert!(by_reader >= by_guard, "{by_reader} after {by_guard}");
        replaces.join().unwrap();
        assert_eq!(reader.peek().map(|value| **value), Some(2));
    });
}

#[test]
fn a_reader_finds_a_reset() {
    bounded(3, || {
        let lazy = Lazy::new_sync(|| 0);
        lazy.replace(1);
        let mut reader = lazy.reader();
        let other = lazy.clone();
        let resets = thread::spawn(move || drop(other.reset()));
        let _ = reader.peek();
        resets.join().unwrap();
        assert!(reader.peek().is_none());
    });
}
