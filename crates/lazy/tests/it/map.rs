//! One load for each key, and no more keys than there is room for.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use brolly_lazy::{Lazy, LazyMap, LoadError};
use brolly_sync::{Clock, ManualClock};

use crate::support::{Source, boxed, look, now, with_time_limit};

type Answer = Result<u32, &'static str>;

#[test]
fn each_key_is_loaded_once_for_all_who_ask() {
    let source = Source::new();
    let loads = Arc::clone(&source);
    let map = LazyMap::new(10, move |_: String| loads.load()).unwrap();
    let mut callers: Vec<_> = ["a", "b", "a", "b", "a"]
        .into_iter()
        .map(|key| boxed(map.get(key)))
        .collect();
    assert!(callers.iter_mut().all(|caller| look(caller).is_pending()));
    assert_eq!((source.starts(), map.len()), (2, 2));
    source.finish(1);
    source.finish(2);
    let values: Vec<_> = callers
        .iter_mut()
        .map(|caller| match look(caller) {
            Poll::Ready(value) => *value,
            Poll::Pending => panic!("one of them waits still"),
        })
        .collect();
    assert_eq!(values, [1, 2, 1, 2, 1]);
    assert_eq!((map.load_count("a"), map.load_count("c")), (1, 0));
    assert!(map.is_loaded("a") && map.peek("c").is_none());
}

#[test]
fn threads_share_the_load_of_a_key() {
    with_time_limit("eight threads", || {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let map = LazyMap::new_sync(10, move |key: u32| {
            counted.fetch_add(1, Ordering::SeqCst);
            thread::yield_now();
            key * 2
        })
        .unwrap();
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for key in 0..10 {
                        assert_eq!(*map.get_blocking(&key), key * 2);
                    }
                });
            }
        });
        assert_eq!((calls.load(Ordering::SeqCst), map.len()), (10, 10));
    });
}

#[test]
fn a_map_never_holds_more_keys_than_it_may() {
    let map = LazyMap::new_sync(3, |key: u32| key).unwrap();
    for key in 0..1_000 {
        assert_eq!(*map.get_blocking(&key), key);
        assert!(map.len() <= 3);
    }
    assert_eq!(map.keys(), [997, 998, 999]);
    assert_eq!(map.max_len(), 3);
}

#[test]
fn a_load_whose_place_was_taken_goes_on_for_those_who_wait() {
    let source = Source::new();
    let loads = Arc::clone(&source);
    let map = LazyMap::new(1, move |_: u32| loads.load()).unwrap();
    let mut first = boxed(map.get(&1));
    assert!(look(&mut first).is_pending());
    let mut second = boxed(map.get(&2));
    assert!(look(&mut second).is_pending());
    assert_eq!(map.keys(), [2]);
    source.finish(1);
    assert_eq!(look(&mut first).map(|value| *value), Poll::Ready(1));
    source.finish(2);
    assert_eq!(look(&mut second).map(|value| *value), Poll::Ready(2));
    assert!(map.peek(&1).is_none() && map.is_loaded(&2));
}

#[test]
fn what_was_removed_is_loaded_anew_even_if_a_load_was_under_way() {
    let source = Source::new();
    let loads = Arc::clone(&source);
    let map = LazyMap::new(10, move |_: u32| loads.load()).unwrap();
    let mut before = boxed(map.get(&1));
    assert!(look(&mut before).is_pending());
    assert!(map.remove(&1).is_none());
    let mut after = boxed(map.get(&1));
    assert!(look(&mut after).is_pending());
    source.finish(1);
    assert_eq!(look(&mut before).map(|value| *value), Poll::Ready(1));
    assert!(map.peek(&1).is_none());
    source.finish(2);
    assert_eq!(look(&mut after).map(|value| *value), Poll::Ready(2));
    assert_eq!(map.remove(&1).as_deref(), Some(&2));
    assert!(map.is_empty());
}

#[test]
fn clearing_removes_all_keys() {
    let map = LazyMap::new_sync(10, |key: u32| key).unwrap();
    let handles = map.clone();
    for key in 0..5 {
        let _ = map.get_blocking(&key);
    }
    handles.clear();
    assert!(map.is_empty() && map.keys().is_empty());
    assert_eq!(*map.get_blocking(&3), 3);
}

#[test]
fn a_key_that_failed_leaves_the_map_unless_its_error_is_kept() {
    let build = |each| {
        let source = Source::<Answer>::new();
        let loads = Arc::clone(&source);
        let map = LazyMap::builder()
            .each(each)
            .build_fallible(move |_: u32| loads.load())
            .unwrap();
        (source, map)
    };
    let (source, map) = build(Lazy::builder());
    let mut callers = [boxed(map.try_get(&1)), boxed(map.try_get(&1))];
    assert!(callers.iter_mut().all(|caller| look(caller).is_pending()));
    source.finish(Err("down"));
    assert!(callers.iter_mut().all(|caller| look(caller).is_ready()));
    drop(callers);
    assert_eq!((source.starts(), map.len()), (1, 0));

    let clock = ManualClock::new();
    let second = Duration::from_secs(1);
    let each = Lazy::builder()
        .cache_errors_for(second)
        .clock(clock.clone());
    let (source, map) = build(each);
    source.finish(Err("down"));
    assert!(now(map.try_get(&1)).is_err());
    assert!(matches!(now(map.try_get(&1)), Err(LoadError::Failed(_))));
    assert_eq!((source.starts(), map.len()), (1, 1));
    clock.advance(second);
    source.finish(Ok(7));
    assert_eq!(*now(map.try_get(&1)).unwrap(), 7);
}

#[test]
fn keys_that_never_load_do_not_push_out_those_that_have() {
    let map = LazyMap::builder()
        .max_len(2)
        .build_fallible_sync(|key: u32| {
            if key == 0 {
                Ok(key)
            } else {
                Err("no such key")
            }
        })
        .unwrap();
    assert_eq!(*map.try_get_blocking(&0).unwrap(), 0);
    for key in 1..1_000 {
        assert!(map.try_get_blocking(&key).is_err());
    }
    assert!(map.is_loaded(&0));
}

#[test]
fn each_key_has_the_rules_it_was_given() {
    let clock = ManualClock::new();
    let each = Lazy::builder()
        .time_to_live(Duration::from_secs(10))
        .clock(clock.clone());
    let map = LazyMap::builder()
        .each(each)
        .build_sync(|key: u32| key)
        .unwrap();
    let _ = map.get_blocking(&1);
    clock.advance(Duration::from_secs(5));
    let _ = map.get_blocking(&2);
    clock.advance(Duration::from_secs(5));
    assert!(map.peek(&1).is_none() && map.is_loaded(&2));
    let _ = map.get_blocking(&1);
    assert_eq!(map.load_count(&1), 2);
}

#[test]
fn the_lazy_value_of_a_key_is_the_maps_own() {
    let map = LazyMap::new_sync(10, |key: u32| key).unwrap();
    let lazy = map.lazy(&1);
    assert!(!lazy.is_loaded() && map.len() == 1);
    lazy.replace(9);
    assert_eq!(*map.get_blocking(&1), 9);
    let _ = map.remove(&1);
    assert!(!lazy.is_loaded());
    assert_eq!((*lazy.get_blocking(), map.len()), (1, 0));
}

#[test]
fn a_panic_of_one_key_concerns_no_other() {
    let map = LazyMap::new_sync(10, |key: u32| {
        assert!(key != 13, "unlucky");
        key
    })
    .unwrap();
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| map.get_blocking(&13)));
    assert!(panic.is_err());
    assert!(map.is_empty());
    assert_eq!(*map.get_blocking(&14), 14);
}

#[test]
fn a_map_that_is_asked_by_many_loads_each_key_once_while_all_fits() {
    with_time_limit("four threads", || {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let map = LazyMap::new(64, move |key: usize| {
            counted.fetch_add(1, Ordering::SeqCst);
            async move { key }
        })
        .unwrap();
        thread::scope(|scope| {
            for start in 0..4 {
                let map = &map;
                scope.spawn(move || {
                    for at in 0..1_000 {
                        let key = (at * 7 + start) % 64;
                        assert_eq!(*map.get_blocking(&key), key);
                    }
                });
            }
        });
        assert_eq!(calls.load(Ordering::SeqCst), 64);
    });
}

#[test]
fn a_key_that_fails_while_somebody_looks_leaves_the_map_when_they_have_looked() {
    type Work = Box<dyn FnOnce() + Send>;
    /// Does something once when it is asked for the time.
    #[derive(Clone, Default)]
    struct Busy(Arc<Mutex<Option<Work>>>);
    impl std::fmt::Debug for Busy {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Busy")
        }
    }
    impl Clock for Busy {
        fn now(&self) -> Duration {
            let work = self.0.lock().unwrap().take();
            if let Some(work) = work {
                work();
            }
            Duration::ZERO
        }
    }
    let (clock, source) = (Busy::default(), Source::<Answer>::new());
    let loads = Arc::clone(&source);
    let map = LazyMap::builder()
        .each(Lazy::builder().clock(clock.clone()))
        .build_fallible(move |_: u32| loads.load())
        .unwrap();
    let mut caller = boxed(map.try_get(&1));
    assert!(look(&mut caller).is_pending());
    *clock.0.lock().unwrap() = Some(Box::new(move || {
        source.finish(Err("down"));
        assert!(look(&mut caller).is_ready());
    }));
    assert!(map.peek(&1).is_none());
    assert!(clock.0.lock().unwrap().is_none(), "the clock was asked");
    assert_eq!(map.len(), 0);
}
