//! A loader that asks for its own value is told so, whichever way it asks.

use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use brolly_lazy::{Lazy, LazyMap, LoadError, Once};
use brolly_sync::ManualClock;

use crate::support::{boxed, look, now, with_time_limit};

/// Where a loader finds the handle of its own value.
type Itself<T> = Arc<OnceLock<Lazy<T>>>;

type Told = Result<(), LoadError>;

fn is_recursive(told: &Told) -> bool {
    matches!(told, Err(LoadError::Recursive))
}

/// A lazy value whose loader is given its own handle.
fn selfish<T>(build: impl FnOnce(Itself<T>) -> Lazy<T>) -> Lazy<T> {
    let cell = Arc::new(OnceLock::new());
    let lazy = build(Arc::clone(&cell));
    let _ = cell.set(lazy.clone());
    lazy
}

#[test]
fn a_synchronous_loader_is_told() {
    with_time_limit("a loader that asks for itself", || {
        let lazy = selfish::<Told>(|cell| {
            Lazy::new_sync(move || {
                let inner = cell.get().expect("set before it is asked");
                inner.try_get_blocking().map(drop)
            })
        });
        assert!(is_recursive(&lazy.get_blocking()));
        lazy.reset();
        assert!(is_recursive(&now(lazy.get())));
        assert_eq!(lazy.load_count(), 2);
    });
}

#[test]
fn a_blocking_loader_is_told_though_it_runs_elsewhere() {
    with_time_limit("a loader that asks for itself", || {
        let lazy = selfish::<Told>(|cell| {
            Lazy::new_blocking(move || {
                let inner = cell.get().expect("set before it is asked");
                inner.try_get_blocking().map(drop)
            })
        });
        assert!(is_recursive(&lazy.get_blocking()));
    });
}

#[test]
fn an_async_loader_is_told_at_every_await_of_its_own() {
    let lazy = selfish::<[Told; 2]>(|cell| {
        Lazy::new(move || {
            let cell = Arc::clone(&cell);
            async move {
                let inner = cell.get().expect("set before it is asked");
                let first = inner.try_get().await.map(drop);
                tokio::task::yield_now().await;
                [first, inner.refresh().await.map(drop)]
            }
        })
    });
    let mut caller = boxed(lazy.get());
    while look(&mut caller).is_pending() {}
    let told = lazy.peek().unwrap();
    assert!(told.iter().all(is_recursive));
}

#[test]
fn a_loader_is_told_through_another_value() {
    let (one, other) = (Itself::<Told>::default(), Itself::<Told>::default());
    let (to_one, to_other) = (Arc::clone(&one), Arc::clone(&other));
    let first = Lazy::new(move || {
        let other = to_other.get().expect("set before it is asked").clone();
        async move { other.try_get().await.map(drop) }
    });
    let second = Lazy::new_sync(move || {
        let one = to_one.get().expect("set before it is asked");
        one.try_get_blocking().map(drop)
    });
    one.set(first.clone()).unwrap();
    other.set(second.clone()).unwrap();
    // The inner one is told, and the outer one gets what comes of that.
    assert!(now(first.get()).is_ok());
    assert!(is_recursive(&second.peek().unwrap()));
}

#[test]
fn a_loader_that_resets_its_value_first_is_told_as_well() {
    with_time_limit("a loader without an end", || {
        let lazy = selfish::<Told>(|cell| {
            Lazy::new_sync(move || {
                let inner = cell.get().expect("set before it is asked");
                inner.reset();
                inner.try_get_blocking().map(drop)
            })
        });
        assert!(is_recursive(&lazy.get_blocking()));
    });
}

#[test]
fn a_loader_may_read_the_value_that_it_refreshes() {
    let lazy = selfish::<u32>(|cell| {
        Lazy::new_sync(move || {
            let inner = cell.get().expect("set before it is asked");
            inner.peek().map_or(1, |_| *inner.get_blocking() + 1)
        })
    });
    assert_eq!(*lazy.get_blocking(), 1);
    assert_eq!(*lazy.refresh_blocking().unwrap(), 2);
    assert_eq!(*lazy.refresh_blocking().unwrap(), 3);
}

#[test]
fn get_panics_inside_and_the_leader_sees_that() {
    let lazy = selfish::<u32>(|cell| {
        Lazy::new_sync(move || *cell.get().expect("set before it is asked").get_blocking())
    });
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| lazy.get_blocking()));
    let text = panic.unwrap_err().downcast::<String>().unwrap();
    assert!(text.contains("asks for the value that it loads"), "{text}");
}

#[test]
fn a_loader_that_waits_for_a_task_that_waits_for_it_is_ended_by_a_timeout() {
    let clock = ManualClock::new();
    let lazy = selfish::<Result<(), &'static str>>(|cell| {
        let timer = clock.clone();
        Lazy::builder()
            .load_timeout(Duration::from_secs(1))
            .timer(timer)
            .build(move || {
                let cell = Arc::clone(&cell);
                async move {
                    let inner = cell.get().expect("set before it is asked").clone();
                    // Polled by a task of its own, and so not by the loader.
                    let task = tokio::spawn(async move { inner.try_get().await.map(drop) });
                    task.await.map_err(|_| "no task").map(drop)
                }
            })
            .unwrap()
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut caller = boxed(lazy.try_get());
        for _ in 0..20 {
            assert!(look(&mut caller).is_pending());
            tokio::task::yield_now().await;
        }
        clock.advance(Duration::from_secs(1));
        let Poll::Ready(Err(LoadError::Timeout { .. })) = look(&mut caller) else {
            panic!("still waiting")
        };
    });
}

#[test]
fn an_initialiser_that_asks_for_its_own_cell_is_told() {
    with_time_limit("an initialiser that asks for itself", || {
        static HERE: Once<bool> = Once::new();
        let told = HERE.get_or_init_blocking(|| {
            let inner = HERE.get_or_try_init_blocking::<()>(|| Ok(false));
            matches!(inner, Err(LoadError::Recursive))
        });
        assert!(told);

        static THERE: Once<[bool; 2]> = Once::new();
        let told = now(THERE.get_or_init(|| async {
            let inner = THERE
                .get_or_try_init(|| async { Ok::<_, ()>([false; 2]) })
                .await;
            let first = matches!(inner, Err(LoadError::Recursive));
            let inner = THERE.get_or_try_init_blocking::<()>(|| Ok([false; 2]));
            [first, matches!(inner, Err(LoadError::Recursive))]
        }));
        assert_eq!(told, &[true; 2]);
    });
}

#[test]
fn keys_of_a_map_may_ask_for_each_other_but_not_for_themselves() {
    type Sums = LazyMap<u64, Result<u64, String>>;
    with_time_limit("a map that asks for itself", || {
        let cell = Arc::new(OnceLock::<Sums>::new());
        let inside = Arc::clone(&cell);
        let sums = LazyMap::new_sync(100, move |n: u64| {
            let map: &Sums = inside.get().expect("set before it is asked");
            let below = match n {
                0 => return Ok(0),
                13 => 13,
                n => n - 1,
            };
            match map.try_get_blocking(&below) {
                Ok(sum) => sum.clone().map(|sum| sum + n),
                Err(error) => Err(error.to_string()),
            }
        })
        .unwrap();
        cell.set(sums.clone()).unwrap();
        assert_eq!(*sums.get_blocking(&10), Ok(55));
        let error = sums.get_blocking(&14).clone().unwrap_err();
        assert!(error.contains("asks for the value"), "{error}");
    });
}

#[test]
fn a_loader_that_outlives_its_value_is_not_taken_for_that_of_the_next() {
    with_time_limit("a loader that is left to itself", || {
        for _ in 0..50 {
            let (go, gone) = std::sync::mpsc::channel::<Lazy<u32>>();
            let gone = std::sync::Mutex::new(gone);
            let (tell, told) = std::sync::mpsc::channel();
            let lazy = Lazy::new_blocking(move || {
                let other = gone.lock().unwrap().recv().unwrap();
                let _ = tell.send(other.try_get_blocking().map(|value| *value));
                1
            });
            let mut caller = boxed(lazy.get());
            assert!(look(&mut caller).is_pending());
            drop(caller);
            drop(lazy);
            // Likely to lie where the first one did.
            go.send(Lazy::new_blocking(|| 2)).unwrap();
            assert_eq!(told.recv().unwrap().ok(), Some(2));
        }
    });
}

#[test]
fn keys_that_need_each_other_are_told_though_there_is_room_for_one_only() {
    type Told = Result<(), String>;
    with_time_limit("keys that push each other out", || {
        let cell = Arc::new(OnceLock::<LazyMap<bool, Told>>::new());
        let inside = Arc::clone(&cell);
        let map = LazyMap::new_sync(1, move |key: bool| {
            let map: &LazyMap<bool, Told> = inside.get().expect("set before it is asked");
            match map.try_get_blocking(&!key) {
                Ok(told) => told.clone(),
                Err(error) => Err(error.to_string()),
            }
        })
        .unwrap();
        cell.set(map.clone()).unwrap();
        let error = map.get_blocking(&true).clone().unwrap_err();
        assert!(error.contains("asks for the value"), "{error}");
        assert!(map.len() <= 1);
    });
}

#[test]
fn async_keys_that_need_each_other_are_told_though_there_is_room_for_one_only() {
    type Told = Result<(), String>;
    with_time_limit("keys that push each other out", || {
        let cell = Arc::new(OnceLock::<LazyMap<bool, Told>>::new());
        let inside = Arc::clone(&cell);
        let map = LazyMap::new(1, move |key: bool| {
            let inside = Arc::clone(&inside);
            async move {
                // What was noted of an earlier poll is of no use in this one.
                let mut has_looked = false;
                std::future::poll_fn(|cx| {
                    cx.waker().wake_by_ref();
                    match std::mem::replace(&mut has_looked, true) {
                        true => Poll::Ready(()),
                        false => Poll::Pending,
                    }
                })
                .await;
                let map: &LazyMap<bool, Told> = inside.get().expect("set before it is asked");
                match map.try_get(&!key).await {
                    Ok(told) => told.clone(),
                    Err(error) => Err(error.to_string()),
                }
            }
        })
        .unwrap();
        cell.set(map.clone()).unwrap();
        let error = map.get_blocking(&true).clone().unwrap_err();
        assert!(error.contains("asks for the value"), "{error}");
        assert!(map.len() <= 1);
    });
}
