//! A reader keeps a value at hand and is never behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;
use std::thread;

use brolly_lazy::Lazy;

use crate::support::{Source, boxed, look, now};

#[test]
fn a_reader_sees_every_change_that_came_before_its_read() {
    let lazy = Lazy::new_sync(|| 1);
    let mut reader = lazy.reader();
    assert!(reader.peek().is_none());
    assert_eq!(**reader.get_blocking(), 1);
    for value in 2..50 {
        lazy.replace(value);
        assert_eq!(**reader.get_blocking(), value);
        assert_eq!(reader.peek().map(|it| **it), Some(value));
    }
    lazy.reset();
    assert!(reader.peek().is_none());
    assert_eq!(**now(reader.get()), 1);
}

#[test]
fn a_reader_waits_for_loads_like_everybody() {
    let source = Source::new();
    let lazy = Lazy::new(source.loader());
    let (mut one, mut other) = (lazy.reader(), lazy.reader());
    {
        let mut callers = [boxed(one.get()), boxed(other.get())];
        assert!(callers.iter_mut().all(|caller| look(caller).is_pending()));
        source.finish(7);
        for caller in &mut callers {
            assert_eq!(look(caller).map(|value| **value), Poll::Ready(7));
        }
    }
    assert_eq!(source.starts(), 1);
    assert!(Arc::ptr_eq(one.get_blocking(), other.get_blocking()));
}

#[test]
fn a_reader_gives_up_the_value_it_kept_at_its_next_read() {
    let lazy = Lazy::new_sync(|| 7);
    let mut reader = lazy.reader();
    let kept = Arc::downgrade(reader.get_blocking());
    lazy.reset();
    assert!(kept.upgrade().is_some());
    assert!(reader.peek().is_none());
    assert!(kept.upgrade().is_none());
}

#[test]
fn a_reader_that_is_left_in_the_middle_reads_on() {
    let source = Source::new();
    let lazy = Lazy::new(source.loader());
    let mut reader = lazy.reader();
    for _ in 0..3 {
        assert!(look(&mut boxed(reader.try_get())).is_pending());
    }
    source.finish(7);
    assert_eq!(**now(reader.get()), 7);
}

#[test]
fn clones_of_a_reader_go_their_own_ways() {
    let lazy = Lazy::new_sync(|| 7);
    let mut reader = lazy.reader();
    let _ = reader.get_blocking();
    let mut other = reader.clone();
    lazy.replace(8);
    assert_eq!((**reader.get_blocking(), **other.get_blocking()), (8, 8));
    assert_eq!(reader.lazy().load_count(), 1);
}

/// A writer counts up; each reader, having seen a number by any way, never sees a smaller one by
/// another.
#[test]
fn no_reader_is_ever_behind_what_its_thread_has_seen() {
    let lazy = Lazy::new_sync(|| 0_u64);
    let _ = lazy.get_blocking();
    let (stop, written) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut reader = lazy.reader();
                let mut seen = 0;
                while !stop.load(Ordering::Relaxed) {
                    let published = written.load(Ordering::Acquire);
                    let by_reader = **reader.get_blocking();
                    let by_guard = *lazy.get_blocking();
                    assert!(published <= by_reader && by_reader <= by_guard && seen <= by_reader);
                    seen = by_guard;
                }
            });
        }
        for value in 1..20_000 {
            lazy.replace(value);
            written.store(value, Ordering::Release);
        }
        stop.store(true, Ordering::Relaxed);
    });
}
