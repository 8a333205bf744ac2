//! A refresh loads anew, serves the old value meanwhile, and never brings what is older than its call.

use std::task::Poll;

use brolly_lazy::Lazy;

use crate::support::{Source, Tasks, boxed, look, now};

type Answer = Result<u32, &'static str>;

#[test]
fn the_old_value_is_served_while_a_new_one_is_loaded() {
    let source = Source::new();
    let lazy = Lazy::new(source.loader());
    source.finish(1);
    assert_eq!(*now(lazy.get()), 1);
    let mut refresh = boxed(lazy.refresh());
    assert!(look(&mut refresh).is_pending());
    assert_eq!(*now(lazy.get()), 1);
    source.finish(2);
    assert_eq!(look(&mut refresh).map(|it| *it.unwrap()), Poll::Ready(2));
    assert_eq!((*now(lazy.get()), lazy.load_count()), (2, 2));
}

#[test]
fn a_refresh_that_fails_leaves_the_value_and_tells_its_caller() {
    let source = Source::<Answer>::new();
    let lazy = Lazy::fallible(source.loader());
    source.finish(Ok(1));
    let _ = now(lazy.try_get());
    source.finish(Err("down"));
    assert_eq!(now(lazy.refresh()).unwrap_err().failure(), Some(&"down"));
    assert_eq!(*now(lazy.try_get()).unwrap(), 1);
}

#[test]
fn a_refresh_during_a_load_waits_for_one_that_begins_after_it() {
    let source = Source::new();
    let lazy = Lazy::new(source.loader());
    let mut first = boxed(lazy.get());
    assert!(look(&mut first).is_pending());
    // The source changes now. What the load under way has seen may be from before.
    let mut refreshes: Vec<_> = (0..50).map(|_| boxed(lazy.refresh())).collect();
    assert!(refreshes.iter_mut().all(|it| look(it).is_pending()));
    assert_eq!(source.starts(), 1, "one load at a time");
    source.finish(1);
    assert!(refreshes.iter_mut().all(|it| look(it).is_pending()));
    assert_eq!(look(&mut first).map(|value| *value), Poll::Ready(1));
    assert_eq!(source.starts(), 2, "one load for all of them");
    source.finish(2);
    for refresh in &mut refreshes {
        assert_eq!(look(refresh).map(|it| *it.unwrap()), Poll::Ready(2));
    }
    assert_eq!((*now(lazy.get()), lazy.load_count()), (2, 2));
}

#[test]
fn a_refresh_joins_a_load_that_has_not_begun() {
    let source = Source::new();
    let lazy = Lazy::new(source.loader());
    let mut first = boxed(lazy.refresh());
    let mut second = boxed(lazy.refresh());
    source.finish(1);
    assert_eq!(look(&mut second).map(|it| *it.unwrap()), Poll::Ready(1));
    source.finish(2);
    // Created first, it takes its place when it is polled.
    assert_eq!(look(&mut first).map(|it| *it.unwrap()), Poll::Ready(2));
    assert_eq!(source.starts(), 2);
}

#[test]
fn a_refresh_goes_on_when_the_load_before_it_is_left_by_its_own_waiters() {
    let source = Source::new();
    let lazy = Lazy::new(source.loader());
    let mut first = boxed(lazy.get());
    assert!(look(&mut first).is_pending());
    let mut refresh = boxed(lazy.refresh());
    assert!(look(&mut refresh).is_pending());
    drop(first);
    source.finish(1);
    assert!(look(&mut refresh).is_pending());
    source.finish(2);
    assert_eq!(look(&mut refresh).map(|it| *it.unwrap()), Poll::Ready(2));
}

#[test]
fn a_refresh_is_not_kept_from_loading_by_the_failure_of_the_load_before_it() {
    let source = Source::<Answer>::new();
    let lazy = Lazy::fallible(source.loader());
    let mut first = boxed(lazy.try_get());
    assert!(look(&mut first).is_pending());
    let mut refresh = boxed(lazy.refresh());
    assert!(look(&mut refresh).is_pending());
    source.finish(Err("down"));
    assert!(look(&mut refresh).is_pending());
    assert!(matches!(look(&mut first), Poll::Ready(Err(_))));
    // Who comes now takes part in the refresh.
    let mut third = boxed(lazy.try_get());
    assert!(look(&mut third).is_pending());
    source.finish(Ok(2));
    assert_eq!(look(&mut refresh).map(|it| *it.unwrap()), Poll::Ready(2));
    assert_eq!(look(&mut third).map(|it| *it.unwrap()), Poll::Ready(2));
    assert_eq!(source.starts(), 2);
}

#[test]
fn a_refresh_in_the_background_needs_a_spawner_and_waits_for_nothing() {
    let source = Source::new();
    let lazy = Lazy::new(source.loader());
    assert!(!lazy.refresh_in_background());
    assert_eq!(source.starts(), 0);

    let tasks = Tasks::default();
    let lazy = Lazy::builder()
        .spawner(tasks.spawner())
        .build(source.loader())
        .unwrap();
    assert!(lazy.refresh_in_background());
    assert_eq!((tasks.len(), source.starts()), (1, 0));
    source.finish(1);
    tasks.run();
    assert_eq!(lazy.peek().as_deref(), Some(&1));
}

#[test]
fn a_thread_can_refresh() {
    let calls = std::sync::atomic::AtomicU32::new(0);
    let lazy = Lazy::new_sync(move || calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst));
    assert_eq!(*lazy.get_blocking(), 0);
    assert_eq!(*lazy.refresh_blocking().unwrap(), 1);
    assert_eq!(*lazy.get_blocking(), 1);
}
