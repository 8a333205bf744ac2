//! Defects of other systems that this one could repeat, and does not.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use brolly_lazy::{Lazy, LazyMap, LoadError, Once};
use brolly_sync::ManualClock;

use crate::support::{Source, boxed, look, now, with_time_limit};

/// A reset that takes no lock is overwritten by a load that is under way.
#[test]
fn a_load_in_flight_does_not_undo_a_reset() {
    let source = Source::new();
    let lazy = Lazy::new(source.loader());
    let mut loads = boxed(lazy.get());
    assert!(look(&mut loads).is_pending());
    lazy.reset();
    source.finish("old");
    assert!(look(&mut loads).is_ready());
    assert!(!lazy.is_loaded());
}

/// tokio, async-once-cell and async-lock let every waiter run a failing initialiser in turn: 64 of
/// them wait 64 times as long.
#[test]
fn waiters_of_a_failing_initialiser_do_not_run_it_one_after_the_other() {
    let (once, source) = (Once::<u32>::new(), Source::new());
    let mut callers: Vec<_> = (0..64)
        .map(|_| boxed(once.get_or_try_init(|| source.load())))
        .collect();
    assert!(callers.iter_mut().all(|caller| look(caller).is_pending()));
    source.finish(Err(()));
    assert!(callers.iter_mut().all(|caller| look(caller).is_ready()));
    assert_eq!(source.starts(), 1);
}

/// All of them, and moka, start from zero when the leader is cancelled.
#[test]
fn a_leader_that_is_cancelled_does_not_cost_the_others_its_work() {
    let (once, source) = (Once::new(), Source::new());
    let mut leader = boxed(once.get_or_init(|| source.load()));
    assert!(look(&mut leader).is_pending());
    let mut waiter = boxed(once.get_or_init(|| source.load()));
    assert!(look(&mut waiter).is_pending());
    drop(leader);
    source.finish(7);
    assert_eq!(look(&mut waiter), Poll::Ready(&7));
    assert_eq!(source.starts(), 1);
}

/// `LazyLock` is poisoned for ever by one panic, and `Lazy` of once_cell too.
#[test]
fn one_panic_does_not_poison_a_value_for_ever() {
    let calls = AtomicUsize::new(0);
    let lazy = Lazy::new_sync(move || {
        assert!(calls.fetch_add(1, Ordering::SeqCst) > 2, "not yet");
        7
    });
    for _ in 0..3 {
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| lazy.get_blocking()));
        assert!(panic.is_err());
    }
    assert_eq!(*lazy.get_blocking(), 7);
}

/// Initialising a cell from its own initialiser is a silent deadlock in tokio's, and a deadlock or a
/// panic in others.
#[test]
fn an_initialiser_that_needs_itself_neither_hangs_nor_panics() {
    with_time_limit("a cell that needs itself", || {
        static CELL: Once<bool> = Once::new();
        let inner_failed = now(CELL.get_or_init(|| async {
            CELL.get_or_try_init(|| async { Ok::<_, ()>(false) })
                .await
                .is_err()
        }));
        assert!(inner_failed);
    });
}

/// Cells that cannot be reset through a shared reference are rebuilt around locks by their users.
#[test]
fn a_value_is_reset_through_a_shared_reference() {
    static LAZY: OnceLock<Lazy<u32>> = OnceLock::new();
    let lazy = LAZY.get_or_init(|| Lazy::new_sync(|| 7));
    let (held, reset) = (lazy.get_blocking(), lazy.reset());
    assert_eq!((*held, reset.as_deref()), (7, Some(&7)));
}

/// A leader that is dropped between winning the race and its first poll left waiters behind who were
/// never woken.
#[test]
fn a_leader_that_is_dropped_right_after_it_began_leaves_nobody_behind() {
    let source = Source::new();
    let lazy = Lazy::new(source.loader());
    let mut leader = boxed(lazy.get());
    let mut waiter = boxed(lazy.get());
    assert!(look(&mut leader).is_pending() && look(&mut waiter).is_pending());
    drop(leader);
    assert!(look(&mut waiter).is_pending());
    drop(waiter);
    // And one whose load was given up finds the next one.
    let mut next = boxed(lazy.get());
    assert!(look(&mut next).is_pending());
    source.finish(7);
    assert_eq!(look(&mut next).map(|value| *value), Poll::Ready(7));
}

/// A cache of files that looks at nothing but its own age served old content for 300 seconds; a
/// value that is known to be outdated must not need its time to be over.
#[test]
fn a_value_that_is_known_to_be_outdated_can_be_told_to_go() {
    let (source, clock) = (Source::new(), ManualClock::new());
    let lazy = Lazy::builder()
        .time_to_live(Duration::from_secs(300))
        .clock(clock.clone())
        .build(source.loader())
        .unwrap();
    source.finish(1);
    assert_eq!(*now(lazy.get()), 1);
    assert!(lazy.reset_if(|version| *version < 2).is_some());
    source.finish(2);
    assert_eq!(*now(lazy.get()), 2);
}

/// Locks and flights by key that are never removed grow without a bound.
#[test]
fn keys_that_were_asked_for_once_do_not_stay_for_ever() {
    let map = LazyMap::builder()
        .max_len(10)
        .build_fallible_sync(|key: u32| if key % 2 == 0 { Ok(key) } else { Err(key) })
        .unwrap();
    for key in 0..10_000 {
        let _ = map.try_get_blocking(&key);
        assert!(map.len() <= 10);
    }
}

/// A refresh that joins a load which began before the change it was called for brings the old state,
/// and nobody ever loads the new one.
#[test]
fn a_refresh_called_for_a_change_sees_that_change() {
    let state = Arc::new(AtomicUsize::new(0));
    let (seen, source) = (Arc::clone(&state), Source::<()>::new());
    let loads = Arc::clone(&source);
    let lazy = Lazy::new(move || {
        let (state, load) = (seen.load(Ordering::SeqCst), loads.load());
        async move {
            load.await;
            state
        }
    });
    let mut loading = boxed(lazy.get());
    assert!(look(&mut loading).is_pending());
    state.store(1, Ordering::SeqCst);
    let mut refresh = boxed(lazy.refresh());
    source.finish(());
    source.finish(());
    assert_eq!(look(&mut refresh).map(|it| *it.unwrap()), Poll::Ready(1));
    assert_eq!(*now(lazy.get()), 1);
}

/// A thread that panics while it waits, or while it loads, leaves no lock behind.
#[test]
fn a_thread_that_dies_while_it_loads_blocks_nobody() {
    with_time_limit("a thread that dies", || {
        let lazy: Lazy<u32> = Lazy::new_sync(|| panic!("the thread dies"));
        let dying = lazy.clone();
        assert!(
            thread::spawn(move || drop(dying.get_blocking()))
                .join()
                .is_err()
        );
        lazy.replace(7);
        assert_eq!(*lazy.get_blocking(), 7);
        assert!(!matches!(lazy.try_get_blocking(), Err(LoadError::Dropped)));
    });
}
