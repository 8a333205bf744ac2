//! Who leaves, parks or never looks: the load goes on for the others, and nothing is run twice.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Wake, Waker};
use std::time::Duration;

use brolly_sync::Task;
use brolly_ttl_cache::{Cache, LoadError};

use crate::load::{Gate, block_on, pending, poll, ready};
use crate::support::with_time_limit;

/// A loader that is pending so many times, waking itself, and counts its runs and polls.
#[derive(Clone, Debug, Default)]
struct Steps {
    runs: Arc<AtomicUsize>,
    polls: Arc<AtomicUsize>,
}

impl Steps {
    fn loader(
        &self,
        steps: usize,
    ) -> impl FnOnce() -> Pin<Box<dyn Future<Output = usize> + Send>> + use<> {
        let this = self.clone();
        move || {
            this.runs.fetch_add(1, Ordering::SeqCst);
            let mut left = steps;
            Box::pin(poll_fn(move |cx| {
                this.polls.fetch_add(1, Ordering::SeqCst);
                if left == 0 {
                    return Poll::Ready(steps);
                }
                left -= 1;
                cx.waker().wake_by_ref();
                Poll::Pending
            }))
        }
    }
}

#[test]
fn a_load_goes_on_where_it_stands_whenever_its_first_caller_leaves() {
    const STEPS: usize = 12;
    for leaves_after in 1..=STEPS {
        let (cache, steps) = (Cache::new(10), Steps::default());
        let mut leader = pending(cache.get_with(1, steps.loader(STEPS)));
        let mut waiter = Box::pin(cache.get_with(1, steps.loader(STEPS)));
        // Takes part, and thereby polls the load once too.
        assert!(poll(&mut waiter).is_pending() || leaves_after + 1 >= STEPS);
        for _ in 1..leaves_after {
            let _ = poll(&mut leader);
        }
        drop(leader);
        assert_eq!(block_on(waiter).unwrap(), STEPS);
        assert_eq!(
            steps.runs.load(Ordering::SeqCst),
            1,
            "left after {leaves_after}"
        );
        assert_eq!(
            steps.polls.load(Ordering::SeqCst),
            STEPS + 1,
            "left after {leaves_after}"
        );
        assert_eq!(cache.get(&1), Some(STEPS));
    }
}

#[test]
fn whoever_leaves_whenever_one_load_runs() {
    // Three callers take turns; one after the other leaves after so many of its own.
    const STEPS: usize = 9;
    for first in 1..6 {
        for second in 1..6 {
            let (cache, steps) = (Cache::new(10), Steps::default());
            let caller = || Some(Box::pin(cache.get_with(1, steps.loader(STEPS))));
            let mut callers = [caller(), caller(), caller()];
            let leaves = [first, second, usize::MAX];
            let mut value = None;
            for turn in 1.. {
                for (caller, leaves) in callers.iter_mut().zip(leaves) {
                    if turn > leaves {
                        *caller = None;
                    }
                    if let Some(this) = caller
                        && let Poll::Ready(loaded) = poll(this)
                    {
                        value = Some(loaded.unwrap());
                        *caller = None;
                    }
                }
                if callers.iter().all(Option::is_none) {
                    break;
                }
            }
            assert_eq!(value, Some(STEPS));
            assert_eq!(steps.runs.load(Ordering::SeqCst), 1);
        }
    }
}

#[test]
fn a_caller_that_is_kept_but_never_polled_holds_up_nobody() {
    let (cache, gate) = (Cache::new(10), Gate::new());
    let mut parked = pending(cache.get_with(1, gate.loader()));
    let waiter = pending(cache.get_with(1, gate.loader()));
    gate.open(5);
    assert_eq!(block_on(waiter).unwrap(), 5);
    assert_eq!(cache.get_blocking(1, || unreachable!()).unwrap(), 5);
    assert_eq!(gate.runs(), 1);
    assert_eq!(ready(poll(&mut parked)).unwrap(), 5);
}

/// Counts how often it was woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Who joins makes the flight, and may be the one who polls the load last.
#[test]
fn a_first_caller_is_woken_whoever_joins_during_its_first_poll() {
    for other_looks in [false, true] {
        let (cache, gate) = (Cache::<u8, u8>::new(10), Gate::new());
        type Waiter = Pin<Box<dyn Future<Output = Result<u8, LoadError<Infallible>>> + Send>>;
        let joined: Arc<Mutex<Option<Waiter>>> = Arc::default();
        let (others, place, load) = (cache.clone(), Arc::clone(&joined), gate.loader());
        let loader = || {
            let mut load = Box::pin(load());
            let mut first = true;
            poll_fn(move |cx| {
                let polled = load.as_mut().poll(cx);
                if std::mem::replace(&mut first, false) {
                    let cache = others.clone();
                    let mut waiter: Waiter =
                        Box::pin(async move { cache.get_with(1, || async { 0 }).await });
                    let joins = move || {
                        let mut cx = Context::from_waker(Waker::noop());
                        assert!(waiter.as_mut().poll(&mut cx).is_pending());
                        waiter
                    };
                    let waiter = std::thread::spawn(joins).join().unwrap();
                    *place.lock().unwrap() = Some(waiter);
                }
                polled
            })
        };
        let mut leader = Box::pin(cache.get_with(1, loader));
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let mut cx = Context::from_waker(&waker);
        assert!(leader.as_mut().poll(&mut cx).is_pending());
        let mut waiter = joined.lock().unwrap().take().unwrap();
        if other_looks {
            assert!(
                waiter
                    .as_mut()
                    .poll(&mut Context::from_waker(Waker::noop()))
                    .is_pending()
            );
        }
        let before = wakes.0.load(Ordering::SeqCst);
        gate.open(5);
        assert!(
            wakes.0.load(Ordering::SeqCst) > before,
            "it would sleep for ever"
        );
        assert!(matches!(leader.as_mut().poll(&mut cx), Poll::Ready(Ok(5))));
        assert_eq!(block_on(waiter).unwrap(), 5);
        assert_eq!(gate.runs(), 1);
    }
}

#[test]
fn a_parked_caller_in_line_for_a_permit_holds_up_nobody_who_wants_its_key() {
    let cache = Cache::builder().max_concurrent_loads(1).build().unwrap();
    let gate = Gate::new();
    let mut running = Box::pin(cache.get_with(1, gate.loader()));
    let mut parked = Box::pin(cache.get_with(2, || async { 2 }));
    let mut waiter = Box::pin(cache.get_with(2, || async { 3 }));
    assert!(poll(&mut running).is_pending());
    assert!(poll(&mut parked).is_pending() && poll(&mut waiter).is_pending());
    gate.open(1);
    assert_eq!(block_on(running).unwrap(), 1);
    assert_eq!(block_on(waiter).unwrap(), 2);
    assert_eq!(ready(poll(&mut parked)).unwrap(), 2);
}

#[test]
fn the_last_to_leave_takes_the_load_along_and_the_next_caller_loads_anew() {
    let (cache, gate) = (Cache::new(10), Gate::new());
    let first = pending(cache.get_with(1, gate.loader()));
    let second = pending(cache.get_with(1, gate.loader()));
    drop(first);
    assert_eq!(gate.drops(), 0);
    drop(second);
    assert_eq!(gate.drops(), 1);
    assert_eq!(cache.stats().loads.abandoned, 1);
    assert_eq!(block_on(cache.get_with(1, || async { 8 })).unwrap(), 8);
    assert_eq!(cache.stats().loads.abandoned, 1);
}

#[test]
fn a_caller_that_was_never_polled_has_started_nothing() {
    let (cache, gate) = (Cache::<u8, u8>::new(10), Gate::new());
    drop(cache.get_with(1, gate.loader()));
    assert_eq!((gate.runs(), cache.stats().loads.started), (0, 0));
}

/// A spawner that only collects.
fn collecting() -> (Arc<Mutex<Vec<Task>>>, impl Fn(Task) + Send + Sync) {
    let tasks = Arc::new(Mutex::new(Vec::new()));
    let list = Arc::clone(&tasks);
    (tasks, move |task| {
        list.lock().expect("nobody panics under it").push(task)
    })
}

#[test]
fn with_a_spawner_the_last_to_leave_hands_the_load_to_it() {
    let (tasks, spawner) = collecting();
    let cache = Cache::builder().spawner(spawner).build().unwrap();
    let gate = Gate::new();
    let only = pending(cache.get_with(1, gate.loader()));
    drop(only);
    assert_eq!(gate.drops(), 0);
    let mut task = tasks.lock().unwrap().pop().expect("it was handed over");
    gate.open(4);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(task.as_mut().poll(&mut cx).is_ready());
    assert_eq!(cache.get(&1), Some(4));
    assert_eq!(gate.runs(), 1);
}

#[test]
fn a_spawner_that_drops_its_task_abandons_the_load_and_nothing_is_stuck() {
    let cache = Cache::builder()
        .spawner(|task: Task| drop(task))
        .build()
        .unwrap();
    let gate = Gate::new();
    let only = pending(cache.get_with(1, gate.loader()));
    drop(only);
    assert_eq!(gate.drops(), 1);
    assert_eq!(block_on(cache.get_with(1, || async { 2 })).unwrap(), 2);
}

#[test]
fn a_bulk_load_goes_on_for_those_who_wait_for_one_of_its_keys() {
    let (cache, gate) = (Cache::new(10), Gate::new());
    let all = pending(cache.get_all_with([1, 2, 3], |_| (gate.loader())()));
    let two = pending(cache.get_with(2, || async { unreachable!() }));
    drop(all);
    assert_eq!(gate.drops(), 0);
    gate.open(Ok::<_, Infallible>(vec![(1, 10), (2, 20), (3, 30)]));
    assert_eq!(block_on(two).unwrap(), 20);
    assert_eq!(gate.runs(), 1);
    // Nobody waited for the others any more.
    assert_eq!(cache.get_blocking(1, || 11).unwrap(), 11);
}

#[test]
fn the_last_to_leave_a_bulk_load_takes_it_along() {
    let (cache, gate) = (Cache::<u8, u8>::new(10), Gate::new());
    let all = pending(cache.get_all_with([1, 2], |_| (gate.loader())()));
    let two = pending(cache.get_with(2, || async { unreachable!() }));
    drop(two);
    assert_eq!(gate.drops(), 0);
    drop(all);
    assert_eq!(gate.drops(), 1);
    gate.open(Ok::<_, Infallible>(vec![(1, 1)]));
    assert_eq!(cache.get_blocking(2, || 5).unwrap(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_aborted_leader_costs_no_second_load() {
    let cache = Cache::new(10);
    let runs = Arc::new(AtomicUsize::new(0));
    let (started, begun) = tokio::sync::oneshot::channel();
    let leader = {
        let (cache, runs) = (cache.clone(), Arc::clone(&runs));
        tokio::spawn(async move {
            let load = || async move {
                runs.fetch_add(1, Ordering::SeqCst);
                let _ = started.send(());
                tokio::time::sleep(Duration::from_millis(30)).await;
                "loaded"
            };
            cache.get_with("key", load).await
        })
    };
    begun.await.unwrap();
    let waiters: Vec<_> = (0..16)
        .map(|_| {
            let (cache, runs) = (cache.clone(), Arc::clone(&runs));
            tokio::spawn(async move {
                let load = || async move {
                    runs.fetch_add(1, Ordering::SeqCst);
                    "loaded again"
                };
                cache.get_with("key", load).await
            })
        })
        .collect();
    while cache.stats().loads.coalesced < 16 {
        tokio::task::yield_now().await;
    }
    leader.abort();
    for waiter in waiters {
        assert_eq!(waiter.await.unwrap().unwrap(), "loaded");
    }
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_storm_of_aborts_invalidations_and_threads_leaves_nothing_behind() {
    let cache: Cache<u32, u64> = Cache::builder()
        .max_concurrent_loads(3)
        .max_capacity(8)
        .build()
        .unwrap();
    let running = Arc::new(AtomicUsize::new(0));
    let mut random = 0x9E37_79B9_u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    for _ in 0..60 {
        let mut tasks = Vec::new();
        for _ in 0..48 {
            let (cache, key, dice) = (cache.clone(), (next() % 12) as u32, next());
            let running = Arc::clone(&running);
            tasks.push(tokio::spawn(async move {
                let steps = dice % 4;
                let load = move || async move {
                    assert!(
                        running.fetch_add(1, Ordering::SeqCst) < 3,
                        "more than three run"
                    );
                    let _end = OnDrop(running);
                    for _ in 0..steps {
                        tokio::task::yield_now().await;
                    }
                    assert!(dice % 11 != 0, "chance");
                    u64::from(key)
                };
                match dice % 7 {
                    0 => cache.invalidate(&key),
                    1 => drop(cache.insert(key, u64::from(key))),
                    2 if dice % 3 == 0 => drop(cache.clear()),
                    _ => {
                        if let Ok(value) = cache.get_with(key, load).await {
                            assert_eq!(value, u64::from(key));
                        }
                    }
                }
            }));
        }
        for (number, task) in tasks.iter().enumerate() {
            if next() % 3 == 0 {
                task.abort();
            }
            if number % 16 == 0 {
                tokio::task::yield_now().await;
            }
        }
        for task in tasks {
            let ended = tokio::time::timeout(Duration::from_secs(20), task).await;
            if let Err(error) = ended.expect("nobody hangs") {
                assert!(error.is_cancelled(), "{error}");
            }
        }
    }
    assert_eq!(running.load(Ordering::SeqCst), 0);
    // All permits are back: three loads can run, and each key can be loaded.
    for key in 100..112 {
        assert_eq!(cache.get_with(key, || async { 1 }).await.unwrap(), 1);
    }
    let stats = cache.stats().loads;
    assert!(stats.started >= stats.panics + stats.abandoned + stats.superseded);
}

/// Counts down when it is dropped.
struct OnDrop(Arc<AtomicUsize>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A waker whose every copy runs something when it is dropped.
fn waker_that_ends_with(end: impl Fn() + Send + Sync + 'static) -> Waker {
    type End = Box<dyn Fn() + Send + Sync>;
    static TABLE: RawWakerVTable = RawWakerVTable::new(
        |data| RawWaker::new(data, &TABLE),
        nothing,
        nothing,
        |data| {
            // SAFETY: what was leaked below, which lives for ever.
            let end = unsafe { &*data.cast::<End>() };
            end();
        },
    );
    fn nothing(_: *const ()) {}
    let end: End = Box::new(end);
    let end: &'static End = Box::leak(Box::new(end));
    // SAFETY: what the table does is right from any thread, and for any number of copies.
    unsafe { Waker::new(std::ptr::from_ref(end).cast(), &TABLE) }
}

#[test]
fn no_waker_is_dropped_under_a_lock() {
    with_time_limit("a waker that uses the cache when it goes", || {
        let cache = Cache::<u64, u64>::builder().shards(1).build().unwrap();
        let used = cache.clone();
        let waker =
            waker_that_ends_with(move || assert!(used.insert(2, 2).is_none_or(|it| it == 2)));
        let mut others = Vec::new();
        let (joined, at) = (cache.clone(), Arc::new(Mutex::new(None)));
        let join = Arc::clone(&at);
        let loader = move || {
            // While the load is on its caller's stack, somebody else joins it.
            let other = std::thread::spawn(move || {
                let mut other = Box::pin(async move { joined.get_with(1, || async { 3 }).await });
                let mut cx = Context::from_waker(Waker::noop());
                assert!(other.as_mut().poll(&mut cx).is_pending());
                *join.lock().unwrap() = Some(other);
            });
            other.join().unwrap();
            let mut first = true;
            poll_fn(move |cx| {
                if std::mem::take(&mut first) {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Poll::Ready(1)
            })
        };
        let mut load = Box::pin(cache.get_with(1, loader));
        let mut cx = Context::from_waker(&waker);
        while load.as_mut().poll(&mut cx).is_pending() {}
        others.extend(at.lock().unwrap().take());
        for other in others {
            assert_eq!(block_on(other).unwrap(), 1);
        }
        assert_eq!(cache.get(&2), Some(2));
    });
}
