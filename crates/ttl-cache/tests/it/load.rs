//! Loading: one load of a key at a time, whoever asks for it.

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

/// A future that was polled once and has to wait.
pub(crate) fn pending<F: Future>(future: F) -> Pin<Box<F>> {
    let mut future = Box::pin(future);
    assert!(poll(&mut future).is_pending());
    future
}

pub(crate) fn never<T>() -> std::future::Pending<T> {
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
    let mut task = pending(cache.get_with("a", gate.loader()));
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
        let mut task = pending(cache.get_with("b", never));
        go_on.wait();
        assert_eq!(leads.join().unwrap().unwrap(), 2);
        assert_eq!(ready(poll(&mut task)).unwrap(), 2);
    });
}

#[test]
fn callers_of_different_types_share_a_value() {
    let cache: Cache<u8, u8> = Cache::new(10);
    let gate = Gate::new();
    let mut leads = pending(cache.get_with(1, gate.loader()));
    let mut tries = pending(cache.try_get_with(1, never::<Result<u8, String>>));
    let mut maybe = pending(cache.optionally_get_with(1, never::<Option<u8>>));
    gate.open(9);
    assert_eq!(ready(poll(&mut tries)).unwrap(), 9);
    assert_eq!(ready(poll(&mut maybe)).unwrap(), Some(9));
    assert_eq!(ready(poll(&mut leads)).unwrap(), 9);
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
    let mut first = pending(cache.refresh(1, gate.loader()));
    let mut second = pending(cache.refresh(1, never::<Result<&str, &str>>));
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
    let mut get = pending(cache.get_with(1, gate.loader()));
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
    let abandoned = pending(cache.get_with(2, gate.loader()));
    drop(abandoned);
    let _ = cache.try_get_blocking(3, || Err::<Arc<()>, _>("kept"));
    let _ = cache.get_blocking(4, || panic!("gone"));
    let dropped_first = pending(cache.clone().into_get(5, gate.loader()));
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
