//! What was loaded before a reset or a replacement is never published after it.

use std::sync::Arc;
use std::task::Poll;

use brolly_lazy::{Guard, Lazy};

use crate::support::{Source, boxed, look, now};

#[test]
fn a_reset_takes_the_value_away_and_its_holders_keep_it() {
    let source = Source::new();
    let lazy = Lazy::new(source.loader());
    source.finish(1);
    let held = Guard::into_arc(now(lazy.get()));
    let taken = lazy.reset().unwrap();
    assert!(Arc::ptr_eq(&held, &taken));
    assert!(!lazy.is_loaded() && lazy.reset().is_none());
    source.finish(2);
    assert_eq!((*now(lazy.get()), *held), (2, 1));
}

#[test]
fn who_asks_after_a_reset_gets_a_new_load_even_if_an_old_one_is_in_flight() {
    let source = Source::new();
    let lazy = Lazy::new(source.loader());
    let mut before = boxed(lazy.get());
    assert!(look(&mut before).is_pending());
    lazy.reset();
    assert!(!lazy.is_loading());
    let mut after = boxed(lazy.get());
    assert!(look(&mut after).is_pending());
    assert_eq!(source.starts(), 2);
    source.finish(1);
    assert_eq!(look(&mut before).map(|value| *value), Poll::Ready(1));
    assert!(look(&mut after).is_pending());
    assert!(lazy.peek().is_none(), "the old load has published");
    source.finish(2);
    assert_eq!(look(&mut after).map(|value| *value), Poll::Ready(2));
    assert_eq!(lazy.peek().as_deref(), Some(&2));
    assert_eq!(lazy.stats().outdated, 1);
}

#[test]
fn an_old_load_that_ends_after_the_new_one_does_not_overwrite_it() {
    let source = Source::new();
    let lazy = Lazy::new(source.loader());
    let mut before = boxed(lazy.get());
    assert!(look(&mut before).is_pending());
    lazy.reset();
    source.finish(2);
    assert_eq!(*now(lazy.get()), 2);
    source.finish(1);
    assert_eq!(look(&mut before).map(|value| *value), Poll::Ready(1));
    assert_eq!(*now(lazy.get()), 2);
}

#[test]
fn a_replacement_is_not_overwritten_by_a_load_in_flight() {
    let source = Source::new();
    let lazy = Lazy::new(source.loader());
    let mut before = boxed(lazy.get());
    assert!(look(&mut before).is_pending());
    assert!(lazy.replace(9).is_none());
    assert_eq!(*now(lazy.get()), 9);
    source.finish(1);
    assert!(look(&mut before).is_ready());
    assert_eq!(*now(lazy.get()), 9);
    assert_eq!(lazy.replace(Arc::new(10)).as_deref(), Some(&9));
    assert_eq!((*now(lazy.get()), source.starts()), (10, 1));
}

#[test]
fn a_failure_of_an_old_load_is_served_by_the_replacement() {
    let source = Source::<Result<u32, &str>>::new();
    let lazy = Lazy::fallible(source.loader());
    let mut before = boxed(lazy.try_get());
    assert!(look(&mut before).is_pending());
    lazy.replace(9);
    source.finish(Err("down"));
    assert_eq!(look(&mut before).map(|it| *it.unwrap()), Poll::Ready(9));
    assert!(lazy.last_error().is_none());
}

#[test]
fn a_reset_outdates_a_refresh_that_waits_for_its_turn() {
    let source = Source::new();
    let lazy = Lazy::new(source.loader());
    let mut first = boxed(lazy.get());
    assert!(look(&mut first).is_pending());
    let mut refresh = boxed(lazy.refresh());
    assert!(look(&mut refresh).is_pending());
    lazy.reset();
    source.finish(1);
    assert!(look(&mut refresh).is_pending());
    assert!(look(&mut first).is_ready());
    source.finish(2);
    assert_eq!(look(&mut refresh).map(|it| *it.unwrap()), Poll::Ready(2));
    assert!(lazy.peek().is_none(), "it was begun before the reset");
    source.finish(3);
    assert_eq!(*now(lazy.get()), 3);
}

#[test]
fn a_reset_if_asks_about_the_value_and_may_use_the_handle() {
    let lazy = Lazy::new_sync(|| 7);
    assert!(lazy.reset_if(|_| true).is_none(), "nothing was loaded");
    assert_eq!(*lazy.get_blocking(), 7);
    assert!(lazy.reset_if(|value| *value == 8).is_none());
    assert!(lazy.is_loaded());
    let taken = lazy.reset_if(|value| lazy.peek().as_deref() == Some(value));
    assert_eq!(taken.as_deref(), Some(&7));
    assert!(!lazy.is_loaded());
}

#[test]
fn a_reset_if_spares_a_value_that_was_not_judged() {
    let lazy = Lazy::new_sync(|| 7);
    assert_eq!(*lazy.get_blocking(), 7);
    let taken = lazy.reset_if(|_| {
        lazy.replace(8);
        true
    });
    assert!(taken.is_none());
    assert_eq!(lazy.peek().as_deref(), Some(&8));
}

#[test]
fn a_loader_may_reset_the_value_it_loads() {
    let cell = Arc::new(std::sync::OnceLock::<Lazy<u32>>::new());
    let inside = Arc::clone(&cell);
    let lazy = Lazy::new_sync(move || {
        if let Some(lazy) = inside.get() {
            lazy.reset();
        }
        7
    });
    cell.set(lazy.clone()).unwrap();
    assert_eq!(*lazy.get_blocking(), 7);
    assert!(!lazy.is_loaded(), "it was loaded before it was reset");
}
