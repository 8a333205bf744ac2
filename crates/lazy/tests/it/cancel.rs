//! Any caller may leave at any time; those who stay get what was begun.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use brolly_lazy::{Guard, Lazy, LazyMap, with_lazy};
use brolly_sync::{Backoff, Jitter, ManualClock};

use crate::support::{Boxed, Source, Tasks, Wakes, boxed, look, now};

/// How many times each load is pending before it ends.
const STEPS: usize = 4;

#[test]
fn a_cancelled_leader_is_continued_where_it_stands() {
    for polls in 0..=STEPS {
        let source = Source::new();
        let lazy = Lazy::new(source.loader());
        let mut leader = boxed(lazy.get());
        assert!(look(&mut leader).is_pending());
        let mut waiter = boxed(lazy.get());
        assert!(look(&mut waiter).is_pending());
        for _ in 0..polls {
            source.stir();
            assert!(look(&mut leader).is_pending());
        }
        drop(leader);
        source.finish(7);
        assert_eq!(look(&mut waiter).map(|value| *value), Poll::Ready(7));
        assert_eq!((source.starts(), lazy.load_count()), (1, 1));
    }
}

#[test]
fn a_waiter_is_woken_for_the_leader_that_left() {
    let source = Source::new();
    let lazy = Lazy::new(source.loader());
    let (wakes, waker) = Wakes::new();
    let mut cx = std::task::Context::from_waker(&waker);
    let mut leader = boxed(lazy.get());
    assert!(look(&mut leader).is_pending());
    let mut waiter = boxed(lazy.get());
    assert!(waiter.as_mut().poll(&mut cx).is_pending());
    drop(leader);
    let before = wakes.count();
    source.finish(7);
    assert!(wakes.count() > before, "nobody goes on with the load");
    assert_eq!(look(&mut waiter).map(|value| *value), Poll::Ready(7));
}

/// Whoever of three callers leaves, after whatever number of polls, the others are served by one run.
#[test]
fn callers_may_leave_at_every_poll_in_every_order() {
    for first_to_leave in 0..3 {
        for at in 0..STEPS {
            for second_to_leave in 0..3 {
                let source = Source::new();
                let lazy = Lazy::new(source.loader());
                let mut callers: Vec<Option<Boxed<'_, Guard<u32>>>> =
                    (0..3).map(|_| Some(boxed(lazy.get()))).collect();
                for step in 0..STEPS {
                    for caller in callers.iter_mut().flatten() {
                        assert!(look(caller).is_pending());
                    }
                    if step == at {
                        callers[first_to_leave] = None;
                    }
                    source.stir();
                }
                callers[second_to_leave] = None;
                source.finish(7);
                for caller in callers.iter_mut().flatten() {
                    assert_eq!(look(caller).map(|value| *value), Poll::Ready(7));
                }
                assert_eq!(source.starts(), 1);
                drop(callers);
                assert_eq!(source.drops(), 1);
            }
        }
    }
}

#[test]
fn the_last_one_to_leave_drops_the_load_and_the_next_caller_begins_another() {
    let source = Source::new();
    let lazy = Lazy::new(source.loader());
    let mut callers = [boxed(lazy.get()), boxed(lazy.get())];
    assert!(callers.iter_mut().all(|caller| look(caller).is_pending()));
    drop(callers);
    assert_eq!((source.starts(), source.drops()), (1, 1));
    assert!(!lazy.is_loading());
    assert_eq!(lazy.stats().abandoned, 1);
    source.finish(7);
    assert_eq!((*now(lazy.get()), source.starts()), (7, 2));
}

#[test]
fn the_last_one_to_leave_hands_the_load_to_the_spawner() {
    let (source, tasks) = (Source::new(), Tasks::default());
    let lazy = Lazy::builder()
        .spawner(tasks.spawner())
        .build(source.loader())
        .unwrap();
    let mut callers = [boxed(lazy.get()), boxed(lazy.get())];
    assert!(callers.iter_mut().all(|caller| look(caller).is_pending()));
    drop(callers);
    assert_eq!((source.drops(), tasks.len()), (0, 1));
    tasks.run();
    source.finish(7);
    assert_eq!(tasks.run(), 0);
    assert_eq!(lazy.peek().as_deref(), Some(&7));
    assert_eq!(source.starts(), 1);
}

#[test]
fn a_caller_that_is_kept_and_not_polled_holds_up_nobody() {
    let source = Source::new();
    let lazy = Lazy::new(source.loader());
    let mut parked = boxed(lazy.get());
    assert!(look(&mut parked).is_pending());
    let mut other = boxed(lazy.get());
    source.finish(7);
    assert_eq!(look(&mut other).map(|value| *value), Poll::Ready(7));
    assert_eq!(look(&mut parked).map(|value| *value), Poll::Ready(7));
}

#[test]
fn a_handle_may_go_while_its_load_is_waited_for() {
    let source = Source::new();
    let lazy = Lazy::new(source.loader());
    let other = lazy.clone();
    let mut caller = boxed(async move { *other.get().await });
    assert!(look(&mut caller).is_pending());
    drop(lazy);
    source.finish(7);
    assert_eq!(look(&mut caller), Poll::Ready(7));
}

/// Polls a future so many times and drops it, for every number of times until it ends.
fn dropped_at_every_poll<R>(mut scene: impl FnMut(usize) -> (Boxed<'static, R>, Box<dyn FnMut()>)) {
    for polls in 0.. {
        let (mut future, mut step) = scene(polls);
        let mut has_ended = false;
        for _ in 0..polls {
            step();
            if look(&mut future).is_ready() {
                has_ended = true;
                break;
            }
        }
        drop(future);
        if has_ended {
            return;
        }
        assert!(polls < 100, "it never ends");
    }
}

#[test]
fn a_load_with_attempts_and_pauses_can_be_left_at_every_poll() {
    let count = Arc::new(AtomicUsize::new(0));
    dropped_at_every_poll(|_| {
        let clock = ManualClock::new();
        let backoff = Backoff::builder()
            .initial(Duration::from_secs(1))
            .jitter(Jitter::None);
        let source = Source::<Result<u32, ()>>::new();
        let lazy = Lazy::builder()
            .retry(3, backoff.build().unwrap())
            .load_timeout(Duration::from_secs(60))
            .timer(clock.clone())
            .build_fallible(source.loader())
            .unwrap();
        let seen = Arc::clone(&count);
        let other = lazy.clone();
        let results = Arc::clone(&source);
        let future = boxed(async move {
            let result = other.try_get().await.map(|value| *value);
            seen.fetch_add(1, Ordering::SeqCst);
            result
        });
        let mut number = 0;
        let step = move || {
            number += 1;
            match number {
                2 | 4 => results.finish(Err(())),
                6 => results.finish(Ok(7)),
                _ => clock.advance(Duration::from_secs(2)),
            }
        };
        (future, Box::new(step))
    });
    assert_eq!(count.load(Ordering::SeqCst), 1, "only the last one ended");
}

#[test]
fn after_a_caller_left_at_any_poll_the_next_one_is_served() {
    for polls in 0..6 {
        let source = Source::new();
        let lazy = Lazy::new(source.loader());
        let mut refresh = boxed(lazy.refresh());
        let mut caller = boxed(lazy.get());
        for _ in 0..polls {
            source.stir();
            let _ = (look(&mut caller), look(&mut refresh));
        }
        drop(refresh);
        let _ = look(&mut caller);
        drop(caller);
        assert!(!lazy.is_loading(), "after {polls} polls");
        source.finish(7);
        assert_eq!(*now(lazy.get()), 7);
        assert_eq!(source.starts() - source.drops(), 0);
    }
}

#[test]
fn a_key_whose_callers_have_left_leaves_the_map() {
    let source = Source::new();
    let loads = Arc::clone(&source);
    let map = LazyMap::new(10, move |_: u32| loads.load()).unwrap();
    let mut callers = [boxed(map.get(&1)), boxed(map.get(&1))];
    assert!(callers.iter_mut().all(|caller| look(caller).is_pending()));
    assert_eq!(map.len(), 1);
    drop(callers);
    assert_eq!((map.len(), source.drops()), (0, 1));
    source.finish(7);
    assert_eq!((*now(map.get(&1)), map.len()), (7, 1));
}

#[test]
fn a_call_that_is_dropped_while_it_loads_never_calls_its_function() {
    let source = Source::<u32>::new();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let call = with_lazy(source.loader(), move |_, (): ()| {
        counted.fetch_add(1, Ordering::SeqCst);
        async {}
    });
    let mut caller = call(());
    assert!(look(&mut caller).is_pending());
    drop(caller);
    source.finish(7);
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    assert!(now(call(())).is_ok());
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_aborted_at_20_of_50_ms_costs_no_time() {
    let source = Arc::new(AtomicUsize::new(0));
    let starts = Arc::clone(&source);
    let lazy = Lazy::new(move || {
        starts.fetch_add(1, Ordering::SeqCst);
        async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            7
        }
    });
    let begin = tokio::time::Instant::now();
    let leader = tokio::spawn({
        let lazy = lazy.clone();
        async move { *lazy.get().await }
    });
    tokio::time::sleep(Duration::from_millis(10)).await;
    let waiter = tokio::spawn({
        let lazy = lazy.clone();
        async move { *lazy.get().await }
    });
    tokio::time::sleep(Duration::from_millis(10)).await;
    leader.abort();
    assert_eq!(waiter.await.unwrap(), 7);
    assert_eq!(begin.elapsed().as_millis(), 50);
    assert_eq!(source.load(Ordering::SeqCst), 1);
}

#[cfg(feature = "tokio")]
#[tokio::test]
async fn a_load_that_everybody_left_is_finished_by_the_runtime() {
    let lazy = Lazy::builder()
        .spawner(tokio::runtime::Handle::current())
        .build_fallible(|| async {
            tokio::task::yield_now().await;
            Ok::<_, brolly_lazy::LoadError>(7)
        })
        .unwrap();
    let mut caller = boxed(lazy.try_get());
    assert!(look(&mut caller).is_pending());
    drop(caller);
    while !lazy.is_loaded() {
        tokio::task::yield_now().await;
    }
    assert_eq!(lazy.load_count(), 1);
}
