//! One load at a time, and none that began before a change is published after it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::task::Poll;
use std::time::Duration;

use brolly_lazy::Lazy;
use brolly_sync::Clock;
use loom::sync::atomic::AtomicU32 as Watched;
use loom::thread;

use crate::{Event, bounded, look_and_leave};

/// What a loader sees, and how often it was asked. The state is loom's, so that threads take turns
/// where it changes and where it is seen; without that no load would begin before the change.
struct World {
    state: Watched,
    loads: AtomicU32,
}

impl World {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Watched::new(0),
            loads: AtomicU32::new(0),
        })
    }

    /// A loader that looks at the world on the thread of its caller.
    fn seen(self: &Arc<Self>) -> Lazy<u32> {
        let world = Arc::clone(self);
        Lazy::new_sync(move || {
            world.loads.fetch_add(1, SeqCst);
            world.state.load(SeqCst)
        })
    }
}

#[test]
fn two_threads_share_one_load() {
    bounded(4, || {
        let world = World::new();
        let lazy = world.seen();
        let other = lazy.clone();
        let asks = thread::spawn(move || *other.get_blocking());
        assert_eq!(*lazy.get_blocking(), 0);
        assert_eq!(asks.join().unwrap(), 0);
        assert_eq!(world.loads.load(SeqCst), 1);
        assert!(!lazy.is_loading());
    });
}

#[test]
fn who_asks_after_a_reset_sees_what_was_there_when_it_was_called() {
    bounded(3, || {
        let world = World::new();
        let lazy = world.seen();
        let other = lazy.clone();
        let loads = thread::spawn(move || drop(other.get_blocking()));
        world.state.store(1, SeqCst);
        lazy.reset();
        assert_eq!(*lazy.get_blocking(), 1);
        loads.join().unwrap();
        assert_eq!(lazy.peek().map(|value| *value), Some(1));
    });
}

#[test]
fn a_replacement_is_not_overwritten_by_a_load() {
    bounded(3, || {
        let world = World::new();
        let lazy = world.seen();
        let other = lazy.clone();
        let loads = thread::spawn(move || *other.get_blocking());
        lazy.replace(9);
        assert_eq!(*lazy.get_blocking(), 9);
        let loaded = loads.join().unwrap();
        assert!(loaded == 0 || loaded == 9);
        assert_eq!(lazy.peek().map(|value| *value), Some(9));
    });
}

#[test]
fn a_refresh_brings_what_was_there_when_it_was_called() {
    bounded(3, || {
        let world = World::new();
        let lazy = world.seen();
        let other = lazy.clone();
        let loads = thread::spawn(move || drop(other.get_blocking()));
        world.state.store(1, SeqCst);
        assert_eq!(lazy.refresh_blocking().map(|value| *value).ok(), Some(1));
        loads.join().unwrap();
        assert_eq!(lazy.peek().map(|value| *value), Some(1));
        assert!(!lazy.is_loading());
    });
}

#[test]
fn two_resets_and_a_load_leave_nothing_behind() {
    bounded(2, || {
        let world = World::new();
        let lazy = world.seen();
        let (one, other) = (lazy.clone(), lazy.clone());
        let loads = thread::spawn(move || drop(one.get_blocking()));
        let resets = thread::spawn(move || drop(other.reset()));
        lazy.reset();
        loads.join().unwrap();
        resets.join().unwrap();
        assert!(!lazy.is_loading());
        assert_eq!(*lazy.get_blocking(), 0);
    });
}

#[test]
fn a_value_that_was_not_judged_is_spared() {
    bounded(3, || {
        let lazy = Lazy::new_sync(|| 0);
        lazy.replace(1);
        let other = lazy.clone();
        let replaces = thread::spawn(move || drop(other.replace(2)));
        let taken = lazy.reset_if(|value| *value == 1);
        replaces.join().unwrap();
        assert_eq!(lazy.peek().map(|value| *value), Some(2));
        assert!(taken.is_none_or(|value| *value == 1));
    });
}

#[test]
fn a_waiter_continues_when_the_leader_leaves() {
    bounded(3, || {
        let (event, loads) = (Arc::new(Event::default()), Arc::new(AtomicU32::new(0)));
        let (inside, counted) = (Arc::clone(&event), Arc::clone(&loads));
        let lazy = Lazy::new(move || {
            counted.fetch_add(1, SeqCst);
            let event = Arc::clone(&inside);
            async move {
                event.wait().await;
                7
            }
        });
        let other = lazy.clone();
        let leaves = thread::spawn(move || {
            let _ = look_and_leave(other.get());
        });
        let happens = thread::spawn(move || event.happen());
        assert_eq!(*lazy.get_blocking(), 7);
        leaves.join().unwrap();
        happens.join().unwrap();
        // The first to come may have left before there was anybody to go on.
        let loads = loads.load(SeqCst);
        assert!(loads == 1 || loads == 2);
        assert_eq!(lazy.stats().abandoned, u64::from(loads) - 1);
        assert!(!lazy.is_loading());
    });
}

#[test]
fn an_error_is_told_to_those_who_waited_and_to_nobody_else() {
    bounded(3, || {
        let loads = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&loads);
        let lazy: Lazy<u32, u32> = Lazy::fallible_sync(move || Err(counted.fetch_add(1, SeqCst)));
        let other = lazy.clone();
        let asks = thread::spawn(move || other.try_get_blocking().unwrap_err());
        let first = lazy.try_get_blocking().unwrap_err();
        let second = asks.join().unwrap();
        // Whoever comes now comes too late for both.
        let third = lazy.try_get_blocking().unwrap_err();
        let runs = loads.load(SeqCst);
        assert_eq!(third.failure(), Some(&(runs - 1)));
        assert!(runs == 2 || first.failure() != second.failure());
        assert!(!lazy.is_loading());
    });
}

/// A clock that stands still.
#[derive(Debug)]
struct Still(AtomicU32);

impl Clock for Still {
    fn now(&self) -> Duration {
        Duration::from_secs(u64::from(self.0.load(SeqCst)))
    }
}

#[test]
fn a_deadline_is_never_taken_for_that_of_an_older_value() {
    loom::model(|| {
        let clock = Arc::new(Still(AtomicU32::new(0)));
        let lazy = Lazy::builder()
            .time_to_live(Duration::from_secs(10))
            .clock(Arc::clone(&clock))
            .build_sync(|| 0)
            .unwrap();
        lazy.replace(1);
        clock.0.store(10, SeqCst);
        let other = lazy.clone();
        let replaces = thread::spawn(move || drop(other.replace(2)));
        let seen = lazy.peek().map(|value| *value);
        assert!(seen.is_none() || seen == Some(2), "{seen:?} is over");
        replaces.join().unwrap();
        let ready = look_and_leave(lazy.get());
        assert!(matches!(ready, Poll::Ready(value) if *value == 2));
    });
}
