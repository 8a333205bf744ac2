//! Loading: one load of a key at a time, who is told what, and what is stored.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use brolly_sync::ManualClock;
use brolly_ttl_cache::{Cache, LoadError};

/// Steers loads from outside: they are pending until it is opened.
#[derive(Debug)]
pub(crate) struct Gate<T> {
    state: Mutex<(Option<T>, Vec<Waker>)>,
    runs: AtomicUsize,
    polls: AtomicUsize,
    drops: AtomicUsize,
}

impl<T: Clone + Send + 'static> Gate<T> {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new((None, Vec::new())),
            runs: AtomicUsize::new(0),
            polls: AtomicUsize::new(0),
            drops: AtomicUsize::new(0),
        })
    }

    /// A loader: counted when it is called, ready when the gate is open.
    pub(crate) fn loader(self: &Arc<Self>) -> impl FnOnce() -> Load<T> + use<T> {
        let gate = Arc::clone(self);
        move || {
            gate.runs.fetch_add(1, Ordering::SeqCst);
            Load(gate)
        }
    }

    /// Ends all loads with this value.
    pub(crate) fn open(&self, value: T) {
        let wakers = {
            let mut state = self.state.lock().expect("nobody panics under it");
            state.0 = Some(value);
            std::mem::take(&mut state.1)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// How many loads were started.
    pub(crate) fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }

    /// How often loads were polled.
    pub(crate) fn polls(&self) -> usize {
        self.polls.load(Ordering::SeqCst)
    }

    /// How many loads were dropped.
    pub(crate) fn drops(&self) -> usize {
        self.drops.load(Ordering::SeqCst)
    }
}

#[derive(Debug)]
pub(crate) struct Load<T>(Arc<Gate<T>>);

impl<T: Clone> Future for Load<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        self.0.polls.fetch_add(1, Ordering::SeqCst);
        let mut state = self.0.state.lock().expect("nobody panics under it");
        match &state.0 {
            Some(value) => Poll::Ready(value.clone()),
            None => {
                state.1.push(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl<T> Drop for Load<T> {
    fn drop(&mut self) {
        self.0.drops.fetch_add(1, Ordering::SeqCst);
    }
}

/// A clock that does not stand at its origin.
pub(crate) fn clock() -> ManualClock {
    let clock = ManualClock::new();
    clock.advance(Duration::from_secs(1_000));
    clock
}

/// Polls once, with a waker that does nothing.
pub(crate) fn poll<F: Future>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
}

/// Runs a future on this thread.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park_timeout(Duration::from_millis(100)),
        }
    }
}

pub(crate) fn ready<T: std::fmt::Debug>(poll: Poll<T>) -> T {
    match poll {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it is pending"),
    }
}

fn never<T>() -> std::future::Pending<T> {
    panic!("the loader is called")
}

#[test]
fn a_hit_does_not_call_the_loader() {
    let cache = Cache::new(10);
    cache.insert(1, "old");
    let mut get = Box::pin(cache.get_with(1, never));
    assert_eq!(ready(poll(&mut get)).unwrap(), "old");
    assert_eq!(cache.get_blocking(1, || unreachable!()).unwrap(), "old");
    assert_eq!(cache.stats().loads.started, 0);
}

#[test]
fn a_loaded_value_is_stored_and_counted() {
    let cache = Cache::new(10);
    assert_eq!(
        block_on(cache.get_with(1, || async { "new" })).unwrap(),
        "new"
    );
    assert_eq!(cache.get(&1), Some("new"));
    assert_eq!(cache.get_blocking(2, || "two").unwrap(), "two");
    assert_eq!(cache.get(&2), Some("two"));
    let stats = cache.stats();
    assert_eq!((stats.loads.started, stats.misses, stats.hits), (2, 2, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_tasks_share_one_load() {
    for round in 0..200_u32 {
        let cache = Cache::new(10);
        let runs = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..64)
            .map(|_| {
                let (cache, runs) = (cache.clone(), Arc::clone(&runs));
                tokio::spawn(async move {
                    let load = || async move {
                        runs.fetch_add(1, Ordering::SeqCst);
                        if round % 2 == 0 {
                            tokio::task::yield_now().await;
                        }
                        round
                    };
                    cache.get_with("key", load).await
                })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap().unwrap(), round);
        }
        assert_eq!(runs.load(Ordering::SeqCst), 1);
        assert_eq!(cache.stats().loads.started, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_loader_is_not_even_called_for_nothing() {
    for _ in 0..300 {
        let cache = Cache::new(10);
        let calls = Arc::new(AtomicUsize::new(0));
        let start = Arc::new(tokio::sync::Barrier::new(8));
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let (cache, calls, start) = (cache.clone(), Arc::clone(&calls), Arc::clone(&start));
                tokio::spawn(async move {
                    start.wait().await;
                    let load = || {
                        calls.fetch_add(1, Ordering::SeqCst);
                        async { 1 }
                    };
                    cache.get_with("key", load).await
                })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap().unwrap(), 1);
        }
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    }
}

/// The listener runs between the moment a loaded value is stored and the end of its load.
#[test]
fn who_asks_after_an_invalidation_does_not_join_a_load_that_has_just_stored() {
    type Slot = Arc<Mutex<Option<Cache<u8, &'static str>>>>;
    let (slot, told) = (Slot::default(), Arc::new(Mutex::new(None)));
    let (cache_slot, told_there) = (Arc::clone(&slot), Arc::clone(&told));
    let cache = Cache::builder()
        .max_capacity(1)
        .eviction_listener(move |_, _, _| {
            let Some(cache) = cache_slot.lock().unwrap().take() else {
                return;
            };
            let asks = thread::spawn(move || {
                cache.invalidate(&2);
                let mut late = Box::pin(cache.get_with(2, || async { "after" }));
                match poll(&mut late) {
                    Poll::Ready(result) => result.ok(),
                    Poll::Pending => Some("pending"),
                }
            });
            *told_there.lock().unwrap() = asks.join().unwrap();
        })
        .build()
        .unwrap();
    cache.insert(1, "makes room");
    *slot.lock().unwrap() = Some(cache.clone());
    assert_eq!(
        block_on(cache.get_with(2, || async { "before" })).unwrap(),
        "before"
    );
    assert_eq!(*told.lock().unwrap(), Some("after"));
    assert_eq!(cache.get(&2), Some("after"));
}

#[test]
fn threads_share_one_load() {
    for _ in 0..200 {
        let cache = Cache::new(10);
        let runs = AtomicUsize::new(0);
        let barrier = Barrier::new(8);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    barrier.wait();
                    let load = || {
                        runs.fetch_add(1, Ordering::SeqCst);
                        thread::yield_now();
                        7
                    };
                    assert_eq!(cache.get_blocking("key", load).unwrap(), 7);
                });
            }
        });
        assert_eq!(runs.load(Ordering::SeqCst), 1);
    }
}

#[test]
fn threads_and_tasks_share_one_load() {
    let cache = Cache::new(10);
    let gate = Gate::new();
    // A task leads, a thread waits.
    let mut task = Box::pin(cache.get_with("a", gate.loader()));
    assert!(poll(&mut task).is_pending());
    thread::scope(|scope| {
        let waits = scope.spawn(|| cache.get_blocking("a", || unreachable!()));
        while cache.stats().loads.coalesced == 0 {
            thread::yield_now();
        }
        gate.open(1);
        assert_eq!(waits.join().unwrap().unwrap(), 1);
    });
    assert_eq!(ready(poll(&mut task)).unwrap(), 1);
    // A thread leads, a task waits.
    let (inside, go_on) = (Barrier::new(2), Barrier::new(2));
    thread::scope(|scope| {
        let leads = scope.spawn(|| {
            let load = || {
                inside.wait();
                go_on.wait();
                2
            };
            cache.get_blocking("b", load)
        });
        inside.wait();
        let mut task = Box::pin(cache.get_with("b", never));
        assert!(poll(&mut task).is_pending());
        go_on.wait();
        assert_eq!(leads.join().unwrap().unwrap(), 2);
        assert_eq!(ready(poll(&mut task)).unwrap(), 2);
    });
}

#[test]
fn an_error_is_told_to_all_who_waited_and_is_not_cached() {
    let cache: Cache<u8, u8> = Cache::new(10);
    let gate = Gate::new();
    let mut first = Box::pin(cache.try_get_with(1, gate.loader()));
    let mut second = Box::pin(cache.try_get_with(1, gate.loader()));
    assert!(poll(&mut first).is_pending() && poll(&mut second).is_pending());
    gate.open(Err("no"));
    let errors = [ready(poll(&mut first)), ready(poll(&mut second))];
    let [Err(LoadError::Failed(one)), Err(LoadError::Failed(other))] = errors else {
        panic!("{errors:?}");
    };
    assert_eq!(*one, "no");
    assert!(Arc::ptr_eq(&one, &other), "the error is shared");
    assert_eq!(gate.runs(), 1);
    let load = || async { Ok::<_, &str>(3) };
    assert_eq!(block_on(cache.try_get_with(1, load)).unwrap(), 3);
    assert_eq!(cache.stats().loads.failures, 1);
}

#[test]
fn a_thread_tells_its_error_to_those_who_wait() {
    let cache: Cache<u8, u8> = Cache::new(10);
    let (inside, go_on) = (Barrier::new(2), Barrier::new(2));
    thread::scope(|scope| {
        let leads = scope.spawn(|| {
            let load = || {
                inside.wait();
                go_on.wait();
                Err::<u8, _>("no")
            };
            cache.try_get_blocking(1, load)
        });
        inside.wait();
        let mut waits = Box::pin(cache.try_get_with(1, never::<Result<u8, &str>>));
        assert!(poll(&mut waits).is_pending());
        go_on.wait();
        assert_eq!(leads.join().unwrap().unwrap_err().failure(), Some(&"no"));
        assert_eq!(ready(poll(&mut waits)).unwrap_err().failure(), Some(&"no"));
    });
    assert_eq!(cache.get(&1), None);
}

#[test]
fn a_caller_that_cannot_be_told_an_error_runs_its_own_loader() {
    let cache: Cache<u8, u8> = Cache::new(10);
    let gate = Gate::new();
    let mut fails = Box::pin(cache.try_get_with(1, gate.loader()));
    assert!(poll(&mut fails).is_pending());
    let mut other = Box::pin(cache.get_with(1, || async { 5 }));
    let mut third = Box::pin(cache.try_get_with(1, || async { Err::<u8, u32>(404) }));
    assert!(poll(&mut other).is_pending() && poll(&mut third).is_pending());
    gate.open(Err::<u8, _>("no"));
    assert_eq!(ready(poll(&mut fails)).unwrap_err().failure(), Some(&"no"));
    assert_eq!(ready(poll(&mut other)).unwrap(), 5);
    assert_eq!(ready(poll(&mut third)).unwrap(), 5);
}

#[test]
fn callers_of_different_types_share_a_value() {
    let cache: Cache<u8, u8> = Cache::new(10);
    let gate = Gate::new();
    let mut leads = Box::pin(cache.get_with(1, gate.loader()));
    assert!(poll(&mut leads).is_pending());
    let mut tries = Box::pin(cache.try_get_with(1, never::<Result<u8, String>>));
    let mut maybe = Box::pin(cache.optionally_get_with(1, never::<Option<u8>>));
    assert!(poll(&mut tries).is_pending() && poll(&mut maybe).is_pending());
    gate.open(9);
    assert_eq!(ready(poll(&mut tries)).unwrap(), 9);
    assert_eq!(ready(poll(&mut maybe)).unwrap(), Some(9));
    assert_eq!(ready(poll(&mut leads)).unwrap(), 9);
}

#[test]
fn a_panic_is_told_to_all_who_waited_and_the_next_caller_loads_anew() {
    let cache: Cache<u8, u8> = Cache::new(10);
    let gate = Gate::new();
    let load = || {
        let load = (gate.loader())();
        async move {
            let value: u8 = load.await;
            panic!("value {value} is bad")
        }
    };
    let mut first = Box::pin(cache.get_with(1, load));
    let mut second = Box::pin(cache.get_with(1, never));
    assert!(poll(&mut first).is_pending() && poll(&mut second).is_pending());
    gate.open(4);
    for caller in [&mut second, &mut first] as [&mut dyn Unpinned; 2] {
        match caller.end() {
            Err(LoadError::Panicked { message }) => assert_eq!(&*message, "value 4 is bad"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(block_on(cache.get_with(1, || async { 6 })).unwrap(), 6);
    let stats = cache.stats().loads;
    assert_eq!((stats.started, stats.panics, stats.abandoned), (2, 1, 0));
}

/// Two futures of different types in one list.
trait Unpinned {
    fn end(&mut self) -> Result<u8, LoadError<Infallible>>;
}

impl<F: Future<Output = Result<u8, LoadError<Infallible>>>> Unpinned for Pin<Box<F>> {
    fn end(&mut self) -> Result<u8, LoadError<Infallible>> {
        ready(poll(self))
    }
}

#[test]
fn a_loader_that_panics_before_it_has_a_future_is_contained() {
    let cache: Cache<u8, u8> = Cache::new(10);
    let error = block_on(cache.get_with(1, || -> std::future::Ready<u8> { panic!("early") }));
    assert!(matches!(error, Err(LoadError::Panicked { message }) if &*message == "early"));
    let error = cache.get_blocking(1, || panic!("on the stack"));
    assert!(matches!(error, Err(LoadError::Panicked { message }) if &*message == "on the stack"));
    assert_eq!(cache.get_blocking(1, || 3).unwrap(), 3);
    assert_eq!(cache.stats().loads.panics, 2);
}

#[test]
fn a_kept_error_comes_back_as_an_error_until_its_time_is_over() {
    let clock = clock();
    let cache: Cache<u8, u8> = Cache::builder()
        .clock(clock.clone())
        .cache_errors_for(Duration::from_secs(30))
        .build()
        .unwrap();
    let runs = AtomicUsize::new(0);
    let ask = || {
        let load = || {
            runs.fetch_add(1, Ordering::SeqCst);
            Err::<u8, _>("down")
        };
        cache.try_get_blocking(1, load)
    };
    for _ in 0..3 {
        assert_eq!(ask().unwrap_err().failure(), Some(&"down"));
    }
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    assert_eq!(cache.get(&1), None, "an error is not a value");
    clock.advance(Duration::from_secs(29));
    assert!(ask().is_err());
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    clock.advance(Duration::from_secs(1));
    assert!(ask().is_err());
    assert_eq!(runs.load(Ordering::SeqCst), 2);
    assert_eq!(cache.stats().loads.failures_served, 3);
    // Somebody who cannot be told it is not held up by it.
    assert_eq!(cache.get_blocking(1, || 8).unwrap(), 8);
}

#[test]
fn a_kept_error_is_void_once_the_key_is_written() {
    let cache: Cache<u8, u8> = Cache::builder()
        .cache_errors_for(Duration::from_secs(30))
        .build()
        .unwrap();
    let fail = |key| cache.try_get_blocking(key, || Err::<u8, _>("down"));
    let succeed = |key| cache.try_get_blocking(key, || Ok::<u8, &str>(2));
    assert!(fail(1).is_err() && succeed(1).is_err());
    cache.invalidate(&1);
    assert_eq!(succeed(1).unwrap(), 2);
    assert!(fail(2).is_err());
    cache.insert(2, 7);
    cache.remove(&2);
    assert_eq!(succeed(2).unwrap(), 2);
    assert!(fail(3).is_err());
    cache.clear();
    assert_eq!(succeed(3).unwrap(), 2);
}

#[test]
fn kept_errors_are_bounded_in_number() {
    let cache: Cache<u32, u8> = Cache::builder()
        .cache_errors_for(Duration::from_secs(3600))
        .build()
        .unwrap();
    for key in 0..20_000 {
        let _ = cache.try_get_blocking(key, || Err::<u8, _>("down"));
    }
    let before = cache.stats().loads.failures_served;
    for key in 0..20_000 {
        let _ = cache.try_get_blocking(key, || Ok::<u8, &str>(1));
    }
    let kept = cache.stats().loads.failures_served - before;
    assert!((1..=2_048).contains(&kept), "{kept} are kept");
}

#[test]
fn that_there_is_no_value_is_not_an_error_and_not_remembered() {
    let cache: Cache<u8, u8> = Cache::new(10);
    assert_eq!(
        block_on(cache.optionally_get_with(1, || async { None })).unwrap(),
        None
    );
    assert_eq!(cache.optionally_get_blocking(1, || None).unwrap(), None);
    assert_eq!(
        cache.optionally_get_blocking(1, || Some(3)).unwrap(),
        Some(3)
    );
    let stats = cache.stats().loads;
    assert_eq!((stats.started, stats.failures), (3, 0));
    let keeps: Cache<u8, u8> = Cache::builder()
        .cache_errors_for(Duration::from_secs(1))
        .build()
        .unwrap();
    assert_eq!(keeps.optionally_get_blocking(1, || None).unwrap(), None);
    assert_eq!(
        keeps.optionally_get_blocking(1, || unreachable!()).unwrap(),
        None
    );
}

/// Starts a load of key 1, writes in between, and looks what is stored in the end.
fn written_during_a_load(write: impl FnOnce(&Cache<u8, u8>)) -> Option<u8> {
    let cache = Cache::new(10);
    let gate = Gate::new();
    let mut early = Box::pin(cache.get_with(1, gate.loader()));
    assert!(poll(&mut early).is_pending());
    write(&cache);
    gate.open(1);
    assert_eq!(
        ready(poll(&mut early)).expect("loaded"),
        1,
        "who waited is given the result"
    );
    assert_eq!(cache.stats().loads.superseded, 1);
    cache.get(&1)
}

#[test]
fn a_load_never_replaces_what_was_inserted_meanwhile() {
    assert_eq!(
        written_during_a_load(|cache| _ = cache.insert(1, 5)),
        Some(5)
    );
}

#[test]
fn a_load_never_brings_back_what_was_removed_meanwhile() {
    assert_eq!(written_during_a_load(|cache| _ = cache.remove(&1)), None);
    assert_eq!(written_during_a_load(|cache| cache.invalidate(&1)), None);
    assert_eq!(written_during_a_load(|cache| _ = cache.clear()), None);
    let insert_and_remove = |cache: &Cache<u8, u8>| {
        cache.insert(1, 5);
        cache.remove(&1);
    };
    assert_eq!(written_during_a_load(insert_and_remove), None);
}

#[test]
fn who_asks_after_an_invalidation_does_not_join_the_older_load() {
    let cache = Cache::new(10);
    let (older, newer) = (Gate::new(), Gate::new());
    let mut early = Box::pin(cache.get_with(1, older.loader()));
    assert!(poll(&mut early).is_pending());
    cache.invalidate(&1);
    let mut late = Box::pin(cache.get_with(1, newer.loader()));
    assert!(poll(&mut late).is_pending());
    assert_eq!(newer.runs(), 1, "it has a load of its own");
    let mut later = Box::pin(cache.get_with(1, never));
    assert!(poll(&mut later).is_pending());
    // The older one lands first and leaves the newer one in the air.
    older.open("older");
    assert_eq!(ready(poll(&mut early)).unwrap(), "older");
    assert_eq!(cache.get(&1), None);
    let mut last = Box::pin(cache.get_with(1, never));
    assert!(poll(&mut last).is_pending());
    newer.open("newer");
    assert_eq!(ready(poll(&mut late)).unwrap(), "newer");
    assert_eq!(ready(poll(&mut later)).unwrap(), "newer");
    assert_eq!(ready(poll(&mut last)).unwrap(), "newer");
    assert_eq!(cache.get(&1), Some("newer"));
}

#[test]
fn an_older_load_that_lands_last_does_not_replace_the_newer_one() {
    let cache = Cache::new(10);
    let (older, newer) = (Gate::new(), Gate::new());
    let mut early = Box::pin(cache.get_with(1, older.loader()));
    assert!(poll(&mut early).is_pending());
    cache.invalidate(&1);
    let mut late = Box::pin(cache.get_with(1, newer.loader()));
    assert!(poll(&mut late).is_pending());
    newer.open("newer");
    assert_eq!(ready(poll(&mut late)).unwrap(), "newer");
    older.open("older");
    assert_eq!(ready(poll(&mut early)).unwrap(), "older");
    assert_eq!(cache.get(&1), Some("newer"));
}

#[test]
fn loads_and_evictions_do_not_disturb_each_other() {
    let cache = Cache::new(1);
    let gates: Vec<_> = (0..8).map(|_| Gate::new()).collect();
    let mut gets: Vec<_> = (0..8)
        .map(|key: usize| Box::pin(cache.get_with(key, gates[key].loader())))
        .collect();
    for get in &mut gets {
        assert!(poll(get).is_pending());
    }
    for key in (0..8).rev() {
        gates[key].open(key);
        assert_eq!(ready(poll(&mut gets[key])).unwrap(), key);
        assert_eq!(cache.get(&key), Some(key));
        assert_eq!(cache.len(), 1);
    }
}

#[test]
fn a_load_that_takes_too_long_is_dropped_and_all_are_told() {
    let clock = clock();
    let cache = Cache::builder()
        .clock(clock.clone())
        .timer(clock.clone())
        .load_timeout(Duration::from_secs(30))
        .build()
        .unwrap();
    let gate = Gate::new();
    let mut first = Box::pin(cache.get_with(1, gate.loader()));
    let mut second = Box::pin(cache.get_with(1, never));
    assert!(poll(&mut first).is_pending() && poll(&mut second).is_pending());
    clock.advance(Duration::from_secs(29));
    assert!(poll(&mut second).is_pending());
    clock.advance(Duration::from_secs(1));
    let told = |result: Result<u8, LoadError<Infallible>>| match result {
        Err(LoadError::Timeout { after }) => after,
        other => panic!("{other:?}"),
    };
    assert_eq!(told(ready(poll(&mut second))), Duration::from_secs(30));
    assert_eq!(told(ready(poll(&mut first))), Duration::from_secs(30));
    assert_eq!(gate.drops(), 1);
    gate.open(1);
    assert_eq!(cache.get(&1), None);
    assert_eq!(block_on(cache.get_with(1, || async { 2 })).unwrap(), 2);
    let stats = cache.stats().loads;
    assert_eq!((stats.timeouts, stats.abandoned), (1, 0));
    assert!(stats.total_time >= Duration::from_secs(30));
}

#[test]
fn who_waits_for_a_thread_waits_only_so_long() {
    let clock = clock();
    let cache = Cache::builder()
        .clock(clock.clone())
        .timer(clock.clone())
        .load_timeout(Duration::from_secs(30))
        .build()
        .unwrap();
    let (inside, go_on) = (Barrier::new(2), Barrier::new(2));
    thread::scope(|scope| {
        let leads = scope.spawn(|| {
            let load = || {
                inside.wait();
                go_on.wait();
                1
            };
            cache.get_blocking("key", load)
        });
        inside.wait();
        let mut waits = Box::pin(cache.get_with("key", never));
        assert!(poll(&mut waits).is_pending());
        clock.advance(Duration::from_secs(30));
        assert!(matches!(
            ready(poll(&mut waits)),
            Err(LoadError::Timeout { .. })
        ));
        // The next one does not wait for it.
        assert_eq!(block_on(cache.get_with("key", || async { 2 })).unwrap(), 2);
        go_on.wait();
        assert_eq!(leads.join().unwrap().unwrap(), 1);
    });
    assert_eq!(
        cache.get("key"),
        Some(2),
        "the late one does not replace it"
    );
}

#[test]
fn never_more_loads_run_than_there_are_permits_and_they_are_given_in_order() {
    let cache = Cache::builder().max_concurrent_loads(2).build().unwrap();
    let gates: Vec<_> = (0..6).map(|_| Gate::new()).collect();
    let mut gets: Vec<_> = (0..6)
        .map(|key: usize| Box::pin(cache.get_with(key, gates[key].loader())))
        .collect();
    for get in &mut gets {
        assert!(poll(get).is_pending());
    }
    let running = || {
        gates
            .iter()
            .map(|gate| usize::from(gate.polls() > 0))
            .collect::<Vec<_>>()
    };
    assert_eq!(running(), [1, 1, 0, 0, 0, 0]);
    gates[1].open(1);
    assert_eq!(ready(poll(&mut gets[1])).unwrap(), 1);
    for get in gets.iter_mut().skip(2).rev() {
        assert!(poll(get).is_pending());
    }
    assert_eq!(running(), [1, 1, 1, 0, 0, 0], "the first in line is next");
    // One in line leaves, and the one behind it moves up.
    drop(gets.remove(3));
    gates[0].open(0);
    assert_eq!(ready(poll(&mut gets[0])).unwrap(), 0);
    for get in gets.iter_mut().skip(2).rev() {
        assert!(poll(get).is_pending());
    }
    assert_eq!(running(), [1, 1, 1, 0, 1, 0]);
}

#[test]
fn a_permit_is_given_back_by_a_load_that_is_dropped_fails_or_panics() {
    let cache: Cache<u8, u8> = Cache::builder().max_concurrent_loads(1).build().unwrap();
    let gate = Gate::new();
    let mut get = Box::pin(cache.get_with(1, gate.loader()));
    assert!(poll(&mut get).is_pending());
    let mut waits = Box::pin(cache.get_with(2, || async { 2 }));
    assert!(poll(&mut waits).is_pending());
    drop(get);
    assert_eq!(ready(poll(&mut waits)).unwrap(), 2);
    assert!(cache.get_blocking(3, || panic!("three")).is_err());
    assert!(block_on(cache.get_with(4, || async { panic!("four") })).is_err());
    assert!(block_on(cache.try_get_with(5, || async { Err::<u8, _>(5) })).is_err());
    assert_eq!(cache.get_blocking(6, || 6).unwrap(), 6);
}

#[test]
fn a_granted_permit_passes_on_when_its_load_leaves_the_line() {
    let cache = Cache::builder().max_concurrent_loads(1).build().unwrap();
    let gate = Gate::new();
    let mut first = Box::pin(cache.get_with(1, gate.loader()));
    let mut second = Box::pin(cache.get_with(2, || async { 2 }));
    let mut third = Box::pin(cache.get_with(3, || async { 3 }));
    assert!(poll(&mut first).is_pending());
    assert!(poll(&mut second).is_pending() && poll(&mut third).is_pending());
    gate.open(1);
    assert!(poll(&mut first).is_ready());
    // The second was handed the permit, and never looks.
    drop(second);
    assert_eq!(ready(poll(&mut third)).unwrap(), 3);
}

#[test]
fn a_load_within_a_load_needs_no_permit_of_its_own() {
    let cache: Cache<u8, u8> = Cache::builder().max_concurrent_loads(1).build().unwrap();
    let inner = cache.clone();
    let load = || async move { inner.get_with(2, || async { 20 }).await.unwrap() + 1 };
    assert_eq!(block_on(cache.get_with(1, load)).unwrap(), 21);
    let nested = || cache.get_blocking(4, || 40).unwrap() + 1;
    assert_eq!(cache.get_blocking(3, nested).unwrap(), 41);
    // Another cache has its own.
    let other: Cache<u8, u8> = Cache::builder().max_concurrent_loads(1).build().unwrap();
    let nested = || {
        other
            .get_blocking(1, || cache.get_blocking(6, || 60).unwrap())
            .unwrap()
    };
    assert_eq!(cache.get_blocking(5, nested).unwrap(), 60);
}

#[test]
fn a_loader_that_asks_for_its_own_key_is_told_so() {
    let cache: Cache<u8, u8> = Cache::new(10);
    let inner = cache.clone();
    let load = || async move {
        match inner.get_with(1, never).await {
            Err(LoadError::Reentrant) => 1,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(block_on(cache.get_with(1, load)).unwrap(), 1);
    let load = || match cache.get_blocking(2, || unreachable!()) {
        Err(LoadError::Reentrant) => 2,
        other => panic!("{other:?}"),
    };
    assert_eq!(cache.get_blocking(2, load).unwrap(), 2);
    // A thread within a task's load, and around another key.
    let inner = cache.clone();
    let load = || async move {
        let other = inner.get_blocking(4, || match inner.get_blocking(3, || unreachable!()) {
            Err(LoadError::Reentrant) => 4,
            other => panic!("{other:?}"),
        });
        other.unwrap() - 1
    };
    assert_eq!(block_on(cache.get_with(3, load)).unwrap(), 3);
}

#[test]
fn a_refresh_replaces_a_value_that_stays_readable_meanwhile() {
    let cache = Cache::new(10);
    cache.insert(1, "old");
    let gate = Gate::new();
    let mut first = Box::pin(cache.refresh(1, gate.loader()));
    let mut second = Box::pin(cache.refresh(1, never::<Result<&str, &str>>));
    assert!(poll(&mut first).is_pending() && poll(&mut second).is_pending());
    assert_eq!(cache.get(&1), Some("old"));
    gate.open(Ok::<_, &str>("new"));
    assert_eq!(ready(poll(&mut first)).unwrap(), "new");
    assert_eq!(ready(poll(&mut second)).unwrap(), "new");
    assert_eq!(cache.get(&1), Some("new"));
    let fails = || async { Err("down") };
    assert!(block_on(cache.refresh(1, fails)).is_err());
    assert_eq!(
        cache.get(&1),
        Some("new"),
        "a refresh that fails changes nothing"
    );
    assert_eq!(cache.stats().loads.refreshes, 2);
}

#[test]
fn a_bulk_load_asks_for_what_is_missing_each_once() {
    let cache = Cache::new(10);
    cache.insert(1, "one");
    let asked = Arc::new(Mutex::new(Vec::new()));
    let load = |missing: Vec<u8>| {
        let asked = Arc::clone(&asked);
        async move {
            *asked.lock().unwrap() = missing.clone();
            let name = |key| if key == 2 { "two" } else { "three" };
            let asked_for = missing.into_iter().filter(|key| *key != 4);
            let found: Vec<_> = asked_for
                .map(|key| (key, name(key)))
                .chain([(99, "extra")])
                .collect();
            Ok::<_, Infallible>(found)
        }
    };
    let values = block_on(cache.get_all_with([3, 1, 2, 3, 4, 2], load)).unwrap();
    assert_eq!(*asked.lock().unwrap(), [3, 2, 4]);
    assert_eq!(
        values,
        HashMap::from([(1, "one"), (2, "two"), (3, "three")])
    );
    assert_eq!(
        (cache.get(&2), cache.get(&3), cache.get(&4)),
        (Some("two"), Some("three"), None)
    );
    assert_eq!(cache.get(&99), None, "it was not asked for");
    assert_eq!(cache.stats().loads.started, 1);
    let nothing = |_: Vec<u8>| async { unreachable!() as Result<Vec<(u8, &str)>, Infallible> };
    assert_eq!(
        block_on(cache.get_all_with([1, 2], nothing)).unwrap().len(),
        2
    );
}

#[test]
fn a_bulk_load_waits_for_keys_that_are_loaded_already_and_others_wait_for_its_keys() {
    let cache = Cache::new(10);
    let (single, bulk) = (Gate::new(), Gate::new());
    let mut one = Box::pin(cache.get_with(1, single.loader()));
    assert!(poll(&mut one).is_pending());
    let load = |missing: Vec<u8>| {
        assert_eq!(missing, [2, 3]);
        (bulk.loader())()
    };
    let mut all = Box::pin(cache.get_all_with::<Infallible, _, _, _>([1, 2, 3], load));
    assert!(poll(&mut all).is_pending());
    // Of different error types, callers still share values; bulk loads join only their like.
    let mut two = Box::pin(cache.get_with(2, never));
    let mut three = Box::pin(cache.get_with(3, || async { "own three" }));
    assert!(poll(&mut two).is_pending() && poll(&mut three).is_pending());
    bulk.open(Ok(vec![(2, "two")]));
    // A waiter may drive the bulk load.
    assert_eq!(ready(poll(&mut two)).unwrap(), "two");
    assert_eq!(
        ready(poll(&mut three)).unwrap(),
        "own three",
        "an absent key is loaded alone"
    );
    assert!(poll(&mut all).is_pending());
    single.open("one");
    let values = ready(poll(&mut all)).unwrap();
    assert_eq!(
        (values.get(&1), values.get(&2)),
        (Some(&"one"), Some(&"two"))
    );
    assert_eq!(values.get(&3), None);
    assert_eq!(ready(poll(&mut one)).unwrap(), "one");
    assert_eq!(bulk.runs(), 1);
}

#[test]
fn a_bulk_load_that_fails_or_panics_tells_all_who_wait_for_its_keys() {
    let cache: Cache<u8, u8> = Cache::new(10);
    let gate = Gate::new();
    let mut all = Box::pin(cache.get_all_with([1, 2], |_| (gate.loader())()));
    assert!(poll(&mut all).is_pending());
    let mut one = Box::pin(cache.try_get_with(1, never::<Result<u8, &str>>));
    let mut own = Box::pin(cache.get_with(2, || async { 2 }));
    assert!(poll(&mut one).is_pending() && poll(&mut own).is_pending());
    gate.open(Err::<Vec<(u8, u8)>, _>("down"));
    assert_eq!(ready(poll(&mut all)).unwrap_err().failure(), Some(&"down"));
    assert_eq!(ready(poll(&mut one)).unwrap_err().failure(), Some(&"down"));
    assert_eq!(ready(poll(&mut own)).unwrap(), 2);
    let panics = |_| async { panic!("bulk") as Result<Vec<(u8, u8)>, &str> };
    let error = block_on(cache.get_all_with([3], panics));
    assert!(matches!(error, Err(LoadError::Panicked { message }) if &*message == "bulk"));
    let early = |_| -> std::future::Ready<Result<Vec<(u8, u8)>, &str>> { panic!("early") };
    assert!(block_on(cache.get_all_with([3], early)).is_err());
    assert_eq!(cache.get_blocking(3, || 3).unwrap(), 3);
    let stats = cache.stats().loads;
    assert_eq!((stats.failures, stats.panics), (1, 2));
}

#[test]
fn a_bulk_load_does_not_replace_what_was_written_meanwhile() {
    let cache = Cache::new(10);
    let gate = Gate::new();
    let mut all = Box::pin(cache.get_all_with([1, 2, 3], |_| (gate.loader())()));
    assert!(poll(&mut all).is_pending());
    cache.insert(1, 10);
    cache.invalidate(&2);
    gate.open(Ok::<_, Infallible>(vec![(1, 1), (2, 2), (3, 3)]));
    assert_eq!(ready(poll(&mut all)).unwrap().len(), 3);
    assert_eq!(
        (cache.get(&1), cache.get(&2), cache.get(&3)),
        (Some(10), None, Some(3))
    );
}

#[test]
fn a_switched_off_cache_always_loads_and_stores_nothing() {
    let cache: Cache<u8, usize> = Cache::builder().enabled(false).build().unwrap();
    let runs = AtomicUsize::new(0);
    let count = || runs.fetch_add(1, Ordering::SeqCst);
    assert_eq!(cache.get_blocking(1, count).unwrap(), 0);
    assert_eq!(cache.get_blocking(1, count).unwrap(), 1);
    assert_eq!(block_on(cache.get_with(1, || async { 7 })).unwrap(), 7);
    assert_eq!(block_on(cache.get_with(1, || async { 8 })).unwrap(), 8);
    let load =
        |keys: Vec<u8>| async move { Ok::<_, Infallible>(keys.into_iter().map(|key| (key, 9))) };
    assert_eq!(block_on(cache.get_all_with([1, 2], load)).unwrap().len(), 2);
    cache.set_enabled(true);
    assert_eq!((cache.get(&1), cache.len()), (None, 0));
}

#[test]
fn a_result_is_not_stored_in_a_cache_that_was_switched_off_meanwhile() {
    let cache = Cache::new(10);
    let gate = Gate::new();
    let mut get = Box::pin(cache.get_with(1, gate.loader()));
    assert!(poll(&mut get).is_pending());
    cache.set_enabled(false);
    gate.open(1);
    assert_eq!(ready(poll(&mut get)).unwrap(), 1);
    cache.set_enabled(true);
    assert_eq!(cache.get(&1), None);
}

#[test]
fn a_cache_is_freed_although_loads_were_left_in_every_state() {
    let value = Arc::new(());
    let cache: Cache<u8, Arc<()>> = Cache::builder()
        .cache_errors_for(Duration::from_secs(1))
        .build()
        .unwrap();
    cache.insert(1, Arc::clone(&value));
    let gate: Arc<Gate<Arc<()>>> = Gate::new();
    let mut abandoned = Box::pin(cache.get_with(2, gate.loader()));
    assert!(poll(&mut abandoned).is_pending());
    drop(abandoned);
    let _ = cache.try_get_blocking(3, || Err::<Arc<()>, _>("kept"));
    let _ = cache.get_blocking(4, || panic!("gone"));
    let mut dropped_first = Box::pin(cache.clone().into_get(5, gate.loader()));
    assert!(poll(&mut dropped_first).is_pending());
    drop(cache);
    assert_eq!(
        Arc::strong_count(&value),
        2,
        "the load still holds the cache"
    );
    drop(dropped_first);
    assert_eq!(Arc::strong_count(&value), 1);
}

/// A load that owns its handle.
trait IntoGet<V> {
    fn into_get(self, key: u8, loader: impl FnOnce() -> Load<V>) -> impl Future<Output = V>;
}

impl<V: Clone + Send + Sync + 'static> IntoGet<V> for Cache<u8, V> {
    async fn into_get(self, key: u8, loader: impl FnOnce() -> Load<V>) -> V {
        self.get_with(key, loader).await.expect("loaded")
    }
}

#[test]
fn futures_of_loading_may_move_between_threads() {
    fn is_send<T: Send>(_: &T) {}
    let cache: Cache<String, String> = Cache::new(10);
    is_send(&cache.get_with(String::new(), || async { String::new() }));
    is_send(&cache.try_get_with(String::new(), || async {
        Err::<String, String>(String::new())
    }));
    is_send(&cache.optionally_get_with(String::new(), || async { None }));
    is_send(&cache.refresh(String::new(), || async {
        Err::<String, String>(String::new())
    }));
    let load = |_: Vec<String>| async { Ok::<Vec<(String, String)>, String>(Vec::new()) };
    is_send(&cache.get_all_with([String::new()], load));
}

#[test]
fn keys_with_equal_hashes_are_loaded_apart() {
    #[derive(Clone, Default)]
    struct Same;
    impl std::hash::BuildHasher for Same {
        type Hasher = Same;
        fn build_hasher(&self) -> Same {
            Same
        }
    }
    impl std::hash::Hasher for Same {
        fn finish(&self) -> u64 {
            7
        }
        fn write(&mut self, _: &[u8]) {}
    }
    let cache = Cache::builder().hasher(Same).build().unwrap();
    let gates: Vec<_> = (0..4).map(|_| Gate::new()).collect();
    let mut gets: Vec<_> = (0..4)
        .map(|key: usize| Box::pin(cache.get_with(key, gates[key].loader())))
        .collect();
    for get in &mut gets {
        assert!(poll(get).is_pending());
    }
    let mut joins: Vec<_> = (0..4)
        .map(|key| Box::pin(cache.get_with(key, never)))
        .collect();
    for join in &mut joins {
        assert!(poll(join).is_pending());
    }
    for key in [1, 3, 0, 2] {
        gates[key].open(key * 10);
        assert_eq!(ready(poll(&mut gets[key])).unwrap(), key * 10);
        assert_eq!(ready(poll(&mut joins[key])).unwrap(), key * 10);
    }
    assert_eq!(cache.get(&1), Some(10));
}
