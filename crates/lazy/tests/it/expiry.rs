//! Values end when their time is over, and may be served a little longer if somebody says so.

use std::task::Poll;
use std::time::Duration;

use brolly_lazy::{Lazy, LazyBuilder, LoadError};
use brolly_sync::ManualClock;

use crate::support::{Source, Tasks, boxed, look, now};

type Answer = Result<u32, &'static str>;

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

const NANO: Duration = Duration::from_nanos(1);

/// Values that live for ten seconds, and the clock that decides.
fn mortal() -> (ManualClock, LazyBuilder) {
    let clock = ManualClock::new();
    let builder = Lazy::builder().time_to_live(secs(10)).clock(clock.clone());
    (clock, builder)
}

#[test]
fn no_read_of_any_kind_returns_a_value_whose_time_is_over() {
    let source = Source::new();
    let (clock, builder) = mortal();
    let lazy = builder.build(source.loader()).unwrap();
    let mut reader = lazy.reader();
    source.finish(1);
    assert_eq!(*now(lazy.get()), 1);
    clock.advance(secs(10) - NANO);
    assert_eq!(*now(lazy.get()), 1);
    assert!(lazy.is_loaded() && reader.peek().is_some());
    clock.advance(NANO);
    assert!(!lazy.is_loaded() && lazy.peek().is_none() && reader.peek().is_none());
    source.finish(2);
    assert_eq!(*now(lazy.get()), 2);
    assert_eq!(reader.peek().map(|value| **value), Some(2));
    assert_eq!(source.starts(), 2);
}

#[test]
fn reading_never_extends_a_ttl() {
    let source = Source::new();
    let (clock, builder) = mortal();
    let lazy = builder.build(source.loader()).unwrap();
    source.finish(1);
    for _ in 0..10 {
        assert_eq!(*now(lazy.get()), 1);
        clock.advance(secs(1));
    }
    assert!(lazy.peek().is_none());
}

#[test]
fn a_ttl_counts_from_the_end_of_the_load() {
    let source = Source::new();
    let (clock, builder) = mortal();
    let lazy = builder.build(source.loader()).unwrap();
    let mut caller = boxed(lazy.get());
    assert!(look(&mut caller).is_pending());
    clock.advance(secs(100));
    source.finish(1);
    assert!(look(&mut caller).is_ready());
    clock.advance(secs(10) - NANO);
    assert!(lazy.is_loaded());
}

#[test]
fn what_is_put_there_lives_as_long_as_what_is_loaded() {
    let (clock, builder) = mortal();
    let lazy = builder.build_sync(|| 0).unwrap();
    assert!(lazy.replace(1).is_none());
    clock.advance(secs(9));
    assert_eq!(lazy.replace(2).as_deref(), Some(&1));
    clock.advance(secs(9));
    assert_eq!(lazy.peek().as_deref(), Some(&2));
    clock.advance(secs(1));
    assert!(lazy.peek().is_none());
}

#[test]
fn with_the_longest_ttl_a_value_never_ends() {
    let clock = ManualClock::new();
    let lazy = Lazy::builder()
        .time_to_live(Duration::MAX)
        .clock(clock.clone())
        .build_sync(|| 7)
        .unwrap();
    assert_eq!(*lazy.get_blocking(), 7);
    clock.set(Duration::MAX);
    assert!(lazy.is_loaded());
    assert_eq!((*lazy.get_blocking(), lazy.load_count()), (7, 1));
}

#[test]
fn an_aging_value_is_served_and_loaded_behind_by_the_spawner() {
    let (source, tasks) = (Source::new(), Tasks::default());
    let (clock, builder) = mortal();
    let lazy = builder
        .refresh_after(secs(8))
        .spawner(tasks.spawner())
        .build(source.loader())
        .unwrap();
    source.finish(1);
    assert_eq!(*now(lazy.get()), 1);
    clock.advance(secs(8));
    assert_eq!(lazy.peek().as_deref(), Some(&1));
    for _ in 0..3 {
        assert_eq!(*now(lazy.get()), 1);
    }
    // One load for all of them, and in the task, not in a caller.
    assert_eq!((tasks.len(), source.starts()), (1, 1));
    source.finish(2);
    assert_eq!(tasks.run(), 0);
    assert_eq!((*now(lazy.get()), source.starts()), (2, 2));
}

#[test]
fn without_a_spawner_the_first_caller_waits_and_the_others_are_served() {
    let source = Source::new();
    let (clock, builder) = mortal();
    let lazy = builder
        .refresh_after(secs(8))
        .build(source.loader())
        .unwrap();
    source.finish(1);
    assert_eq!(*now(lazy.get()), 1);
    clock.advance(secs(8));
    let mut first = boxed(lazy.get());
    assert!(look(&mut first).is_pending());
    assert_eq!(*now(lazy.get()), 1);
    source.finish(2);
    assert_eq!(look(&mut first).map(|value| *value), Poll::Ready(2));
    assert_eq!(*now(lazy.get()), 2);
}

#[test]
fn a_refresh_whose_only_waiter_leaves_is_begun_again_by_the_next_caller() {
    let source = Source::new();
    let (clock, builder) = mortal();
    let lazy = builder
        .refresh_after(secs(8))
        .build(source.loader())
        .unwrap();
    source.finish(1);
    assert_eq!(*now(lazy.get()), 1);
    clock.advance(secs(8));
    assert!(look(&mut boxed(lazy.get())).is_pending());
    assert_eq!((source.starts(), source.drops()), (2, 2));
    source.finish(3);
    assert_eq!(*now(lazy.get()), 3);
}

#[test]
fn a_stale_value_is_served_while_it_is_loaded_anew() {
    let (source, tasks) = (Source::new(), Tasks::default());
    let (clock, builder) = mortal();
    let lazy = builder
        .stale_while_revalidate(secs(5))
        .spawner(tasks.spawner())
        .build(source.loader())
        .unwrap();
    source.finish(1);
    assert_eq!(*now(lazy.get()), 1);
    clock.advance(secs(15) - NANO);
    assert!(lazy.peek().is_none(), "past its time, though served");
    assert_eq!((*now(lazy.get()), *now(lazy.get())), (1, 1));
    assert_eq!((lazy.stats().stale_served, tasks.len()), (2, 1));
    source.finish(2);
    tasks.run();
    assert_eq!(*now(lazy.get()), 2);

    // Beyond the window nobody is served.
    clock.advance(secs(15));
    let mut caller = boxed(lazy.get());
    assert!(look(&mut caller).is_pending());
    source.finish(3);
    assert_eq!(look(&mut caller).map(|value| *value), Poll::Ready(3));
}

#[test]
fn a_caller_who_is_given_a_stale_value_is_counted_once_and_nobody_else_is() {
    let source = Source::<Answer>::new();
    let (clock, builder) = mortal();
    let lazy = builder
        .stale_while_revalidate(secs(5))
        .build_fallible(source.loader())
        .unwrap();
    source.finish(Ok(1));
    assert_eq!(*now(lazy.try_get()).unwrap(), 1);
    clock.advance(secs(12));
    // Without a spawner this caller waits, and is given the older value in the end.
    source.finish(Err("down"));
    assert_eq!(*now(lazy.try_get()).unwrap(), 1);
    assert_eq!(lazy.stats().stale_served, 1);
    clock.advance(secs(1));
    // And this one is given a new value.
    source.finish(Ok(2));
    assert_eq!(*now(lazy.try_get()).unwrap(), 2);
    assert_eq!(lazy.stats().stale_served, 1);
}

#[test]
fn a_stale_value_is_served_in_the_place_of_an_error() {
    let source = Source::<Answer>::new();
    let (clock, builder) = mortal();
    let lazy = builder
        .stale_if_error(secs(5))
        .build_fallible(source.loader())
        .unwrap();
    source.finish(Ok(1));
    assert_eq!(*now(lazy.try_get()).unwrap(), 1);
    clock.advance(secs(12));
    let mut callers = [boxed(lazy.try_get()), boxed(lazy.try_get())];
    assert!(callers.iter_mut().all(|caller| look(caller).is_pending()));
    source.finish(Err("down"));
    for caller in &mut callers {
        assert_eq!(look(caller).map(|value| *value.unwrap()), Poll::Ready(1));
    }
    assert_eq!(lazy.last_error().unwrap().failure(), Some(&"down"));
    assert_eq!(lazy.stats().stale_served, 2);

    clock.advance(secs(3));
    source.finish(Err("still down"));
    let error = now(lazy.try_get()).unwrap_err();
    assert_eq!(error.failure(), Some(&"still down"));
}

#[test]
fn a_window_that_ends_during_the_load_is_over_at_its_end() {
    let source = Source::<Answer>::new();
    let (clock, builder) = mortal();
    let lazy = builder
        .stale_if_error(secs(5))
        .build_fallible(source.loader())
        .unwrap();
    source.finish(Ok(1));
    let _ = now(lazy.try_get());
    clock.advance(secs(14));
    let mut caller = boxed(lazy.try_get());
    assert!(look(&mut caller).is_pending());
    clock.advance(secs(1));
    source.finish(Err("down"));
    assert!(matches!(look(&mut caller), Poll::Ready(Err(_))));
}

#[test]
fn a_panic_behind_a_value_that_can_be_served_is_not_its_callers_concern() {
    let (clock, builder) = mortal();
    let calls = std::sync::atomic::AtomicU32::new(0);
    let lazy = builder
        .stale_if_error(secs(5))
        .build_sync(move || {
            let before = calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            assert!(before == 0, "the second time");
            7
        })
        .unwrap();
    assert_eq!(*lazy.get_blocking(), 7);
    clock.advance(secs(11));
    assert_eq!(*lazy.get_blocking(), 7);
    let Some(LoadError::Panicked { message }) = lazy.last_error() else {
        panic!("nobody knows")
    };
    assert_eq!(&*message, "the second time");
}

#[test]
fn a_refresh_that_failed_is_not_tried_again_at_once() {
    let (source, tasks) = (Source::<Answer>::new(), Tasks::default());
    let (clock, builder) = mortal();
    let lazy = builder
        .refresh_after(secs(8))
        .spawner(tasks.spawner())
        .build_fallible(source.loader())
        .unwrap();
    source.finish(Ok(1));
    let _ = now(lazy.try_get());
    clock.advance(secs(8));
    let _ = now(lazy.try_get());
    source.finish(Err("down"));
    tasks.run();
    // An eighth of the two seconds in which the value can still be served.
    for _ in 0..5 {
        assert_eq!(*now(lazy.try_get()).unwrap(), 1);
    }
    assert_eq!((source.starts(), tasks.len()), (2, 0));
    clock.advance(Duration::from_millis(250));
    assert_eq!(*now(lazy.try_get()).unwrap(), 1);
    assert_eq!(tasks.len(), 1);
}

#[test]
fn an_error_that_is_kept_holds_refreshes_back_while_a_value_is_served() {
    let (source, tasks) = (Source::<Answer>::new(), Tasks::default());
    let (clock, builder) = mortal();
    let lazy = builder
        .stale_while_revalidate(secs(20))
        .cache_errors_for(secs(5))
        .spawner(tasks.spawner())
        .build_fallible(source.loader())
        .unwrap();
    source.finish(Ok(1));
    let _ = now(lazy.try_get());
    clock.advance(secs(10));
    let _ = now(lazy.try_get());
    source.finish(Err("down"));
    tasks.run();
    clock.advance(secs(4));
    assert_eq!(*now(lazy.try_get()).unwrap(), 1);
    assert_eq!(tasks.len(), 0);
    clock.advance(secs(1));
    assert_eq!(*now(lazy.try_get()).unwrap(), 1);
    assert_eq!(tasks.len(), 1);
}

#[test]
fn a_spawner_that_drops_its_tasks_leaves_the_value_and_the_next_attempt() {
    let (source, tasks) = (Source::new(), Tasks::default());
    let (clock, builder) = mortal();
    let lazy = builder
        .refresh_after(secs(8))
        .spawner(tasks.spawner())
        .build(source.loader())
        .unwrap();
    source.finish(1);
    let _ = now(lazy.get());
    clock.advance(secs(8));
    assert_eq!(*now(lazy.get()), 1);
    tasks.shut_down();
    assert!(!lazy.is_loading());
    assert_eq!(*now(lazy.get()), 1);
    assert_eq!(tasks.len(), 1);
}
