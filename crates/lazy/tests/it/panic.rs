//! A panic of foreign code is seen by the one whose it is, told to those who waited, and harms
//! nothing else.

use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use brolly_lazy::{Lazy, LazyMap, LoadError, Once};
use brolly_sync::Clock;

use crate::support::{Source, Tasks, boxed, look, now, with_time_limit};

/// What code panics with.
fn payload<R>(code: impl FnOnce() -> R) -> Box<dyn std::any::Any + Send> {
    let Err(payload) = catch_unwind(AssertUnwindSafe(code)) else {
        panic!("it did not panic")
    };
    payload
}

struct Odd(u32);

#[test]
fn who_began_the_load_sees_its_panic_and_the_others_are_told() {
    let source = Source::<bool>::new();
    let loads = Arc::clone(&source);
    let lazy: Lazy<u32> = Lazy::new(move || {
        let load = loads.load();
        async move {
            if load.await {
                panic_any(Odd(7));
            }
            1
        }
    });
    let mut leader = boxed(lazy.try_get());
    let mut waiter = boxed(lazy.try_get());
    assert!(look(&mut leader).is_pending() && look(&mut waiter).is_pending());
    source.finish(true);
    // Whoever polls it, the panic is the leader's.
    let Poll::Ready(Err(LoadError::Panicked { message })) = look(&mut waiter) else {
        panic!("not told")
    };
    assert_eq!(&*message, "a panic without a message");
    let payload = payload(|| look(&mut leader));
    assert_eq!(payload.downcast::<Odd>().ok().map(|odd| odd.0), Some(7));
    // No poison: the next one loads.
    source.finish(false);
    assert_eq!(*now(lazy.get()), 1);
}

#[test]
fn a_panic_of_whatever_kind_of_loader_is_told_and_not_kept() {
    with_time_limit("three kinds of loaders", || {
        let broken = Arc::new(AtomicBool::new(true));
        let answer = move || {
            assert!(!broken.swap(false, Ordering::SeqCst), "broken");
            7
        };
        let async_answer = answer.clone();
        let lazies = [
            Lazy::new(move || {
                let answer = async_answer();
                async move { answer }
            }),
            Lazy::new_sync(answer.clone()),
            Lazy::new_blocking(answer),
        ];
        // They share what is broken: the first is the one that panics.
        let text = payload(|| lazies[0].get_blocking());
        assert_eq!(text.downcast_ref::<&str>(), Some(&"broken"));
        for lazy in &lazies {
            assert_eq!(*lazy.get_blocking(), 7);
        }
    });
    with_time_limit("a blocking loader that panics", || {
        let lazy: Lazy<u32> = Lazy::new_blocking(|| panic!("on its thread"));
        let text = payload(|| lazy.get_blocking());
        assert_eq!(text.downcast_ref::<&str>(), Some(&"on its thread"));
        assert_eq!(lazy.stats().panics, 1);
    });
}

#[test]
fn who_waits_by_get_panics_with_the_message() {
    with_time_limit("two callers", || {
        let source = Source::<()>::new();
        let loads = Arc::clone(&source);
        let lazy: Lazy<u32> = Lazy::new(move || {
            let load = loads.load();
            async move {
                load.await;
                panic!("gone wrong")
            }
        });
        let mut leader = boxed(lazy.get());
        let mut waiter = boxed(lazy.get());
        assert!(look(&mut leader).is_pending() && look(&mut waiter).is_pending());
        source.finish(());
        let text = payload(|| look(&mut waiter)).downcast::<String>().unwrap();
        assert!(text.ends_with("the loader panicked: gone wrong"), "{text}");
        let text = payload(|| look(&mut leader));
        assert_eq!(text.downcast_ref::<&str>(), Some(&"gone wrong"));
    });
}

#[test]
fn a_panic_whose_leader_is_gone_is_told_to_all_others_and_to_nobody_else() {
    let source = Source::<()>::new();
    let loads = Arc::clone(&source);
    let lazy: Lazy<u32> = Lazy::new(move || {
        let load = loads.load();
        async move {
            load.await;
            panic!("gone wrong")
        }
    });
    let mut leader = boxed(lazy.try_get());
    let mut waiter = boxed(lazy.try_get());
    assert!(look(&mut leader).is_pending() && look(&mut waiter).is_pending());
    drop(leader);
    source.finish(());
    assert!(matches!(
        look(&mut waiter),
        Poll::Ready(Err(LoadError::Panicked { .. }))
    ));
}

/// Panics when it is dropped, unless the test is panicking already.
struct Bomb(Arc<AtomicUsize>);

impl Drop for Bomb {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
        if !thread::panicking() {
            panic!("a destructor that panics");
        }
    }
}

#[test]
fn destructors_that_panic_harm_nobody() {
    let drops = Arc::new(AtomicUsize::new(0));
    // Of a loader's future that has ended, and of one that is given up.
    let bomb = Arc::clone(&drops);
    let source = Source::new();
    let loads = Arc::clone(&source);
    let lazy = Lazy::new(move || {
        let (load, bomb) = (loads.load(), Bomb(Arc::clone(&bomb)));
        Explosive { load, _bomb: bomb }
    });
    let mut caller = boxed(lazy.get());
    assert!(look(&mut caller).is_pending());
    drop(caller);
    assert_eq!(drops.load(Ordering::SeqCst), 1);
    source.finish(7);
    assert_eq!(*now(lazy.get()), 7);
    assert_eq!(drops.load(Ordering::SeqCst), 2);

    // Of an error that is not the last one, and of a value that is refreshed.
    let bomb = Arc::clone(&drops);
    let lazy = Lazy::new_sync(move || Bomb(Arc::clone(&bomb)));
    drop(lazy.get_blocking());
    assert!(lazy.refresh_blocking().is_ok());
    assert_eq!(drops.load(Ordering::SeqCst), 3);
    let _ = payload(|| drop(lazy.reset()));
    assert_eq!(drops.load(Ordering::SeqCst), 4);
    assert!(!lazy.is_loaded());
}

/// A load that drops a bomb with itself, and not when it ends.
struct Explosive<L> {
    load: L,
    _bomb: Bomb,
}

impl<L: Future + Unpin> Future for Explosive<L> {
    type Output = L::Output;

    fn poll(mut self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<L::Output> {
        std::pin::Pin::new(&mut self.load).poll(cx)
    }
}

#[test]
fn wakers_that_panic_harm_only_their_own_task() {
    struct Angry;
    impl Wake for Angry {
        fn wake(self: Arc<Self>) {
            panic!("a waker that panics");
        }
    }
    let source = Source::new();
    let lazy = Lazy::new(source.loader());
    let mut angry = boxed(lazy.get());
    let waker = Waker::from(Arc::new(Angry));
    assert!(
        angry
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    let mut other = boxed(lazy.get());
    assert!(look(&mut other).is_pending());
    source.finish(7);
    assert_eq!(look(&mut other).map(|value| *value), Poll::Ready(7));
    assert_eq!(look(&mut angry).map(|value| *value), Poll::Ready(7));
}

#[test]
fn a_spawner_that_panics_leaves_the_value_readable() {
    let lazy = Lazy::builder()
        .spawner(|_| panic!("a spawner that panics"))
        .build_sync(|| 7)
        .unwrap();
    assert_eq!(*now(lazy.get()), 7);
    let _ = lazy.refresh_in_background();
    assert_eq!(*now(lazy.get()), 7);
    assert!(!lazy.is_loading());
}

#[test]
fn a_clock_that_panics_costs_one_load_and_no_more() {
    /// Panics when it is asked for the time so many calls from now.
    #[derive(Debug)]
    struct Brittle(Arc<AtomicUsize>);
    impl Clock for Brittle {
        fn now(&self) -> Duration {
            assert!(self.0.fetch_sub(1, Ordering::SeqCst) != 0, "no time");
            Duration::ZERO
        }
    }
    for at in 0..6 {
        let left = Arc::new(AtomicUsize::new(at));
        let lazy = Lazy::builder()
            .time_to_live(Duration::from_secs(1))
            .clock(Brittle(Arc::clone(&left)))
            .build_sync(|| 7)
            .unwrap();
        let _ = catch_unwind(AssertUnwindSafe(|| lazy.try_get_blocking().map(drop)));
        left.store(usize::MAX / 2, Ordering::SeqCst);
        assert_eq!(*lazy.get_blocking(), 7, "after {at} readings");
        assert!(!lazy.is_loading());
    }
}

#[test]
fn a_clock_that_panics_under_a_key_does_not_end_the_process() {
    /// Panics for as long as it is told to.
    #[derive(Debug)]
    struct Broken(Arc<AtomicBool>);
    impl Clock for Broken {
        fn now(&self) -> Duration {
            assert!(!self.0.load(Ordering::SeqCst), "no time");
            Duration::ZERO
        }
    }
    let is_broken = Arc::new(AtomicBool::new(true));
    let rules = Lazy::builder()
        .time_to_live(Duration::from_secs(1))
        .clock(Broken(Arc::clone(&is_broken)));
    let map = LazyMap::builder().each(rules).build_sync(|n: u32| n);
    let map = map.unwrap();
    // The call unwinds through the one who leaves the entry, who asks the clock as well.
    let _ = payload(|| map.try_get_blocking(&7).map(drop));
    let _ = payload(|| now(map.try_get(&7)).map(drop));
    is_broken.store(false, Ordering::SeqCst);
    assert_eq!(*map.get_blocking(&7), 7);
}

#[test]
fn a_predicate_that_panics_changes_nothing() {
    let lazy = Lazy::new_sync(|| 7);
    drop(lazy.get_blocking());
    let _ = payload(|| lazy.reset_if(|_| panic!("a predicate that panics")));
    assert_eq!(lazy.peek().as_deref(), Some(&7));
}

#[test]
fn a_loader_that_panics_before_it_has_a_future_is_no_different() {
    let lazy: Lazy<u32> = Lazy::new(|| -> std::future::Ready<u32> { panic!("at once") });
    let text = payload(|| now(lazy.try_get()));
    assert_eq!(text.downcast_ref::<&str>(), Some(&"at once"));
    assert!(!lazy.is_loading());
}

#[test]
fn a_panic_in_the_background_is_nobodys_and_is_counted() {
    let tasks = Tasks::default();
    let lazy: Lazy<u32> = Lazy::builder()
        .spawner(tasks.spawner())
        .build_sync(|| panic!("nobody sees this"))
        .unwrap();
    assert!(lazy.refresh_in_background());
    assert_eq!(tasks.run(), 0);
    assert_eq!(lazy.stats().panics, 1);
    assert!(matches!(
        lazy.last_error(),
        Some(LoadError::Panicked { .. })
    ));
}

#[test]
fn an_initialiser_that_panics_is_seen_by_its_caller_and_the_cell_stays_empty() {
    let once: Once<u32> = Once::new();
    let text = payload(|| once.get_or_init_blocking(|| panic!("on this thread")));
    assert_eq!(text.downcast_ref::<&str>(), Some(&"on this thread"));
    let text = payload(|| now(once.get_or_init(|| async { panic!("in this task") })));
    assert_eq!(text.downcast_ref::<&str>(), Some(&"in this task"));
    let text = payload(|| {
        now(once.get_or_init(|| -> std::future::Ready<u32> { panic!("before there is a task") }))
    });
    assert_eq!(text.downcast_ref::<&str>(), Some(&"before there is a task"));
    assert_eq!(once.get(), None);
    assert_eq!(*once.get_or_init_blocking(|| 7), 7);
}
