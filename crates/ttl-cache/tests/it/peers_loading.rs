//! What went wrong in loading elsewhere, and what happens here instead.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use brolly_sync::Task;
use brolly_ttl_cache::{Cache, LoadError};

use crate::load::{Gate, block_on, clock, poll, ready};

/// moka 0.12: an invalidation during `get_with` ends with the value that was read before it.
#[test]
fn moka_an_invalidation_during_a_load_is_not_undone() {
    let (cache, gate) = (Cache::new(10), Gate::new());
    let mut get = Box::pin(cache.get_with("key", gate.loader()));
    assert!(poll(&mut get).is_pending());
    cache.invalidate("key");
    gate.open("read before");
    assert_eq!(ready(poll(&mut get)).unwrap(), "read before");
    assert_eq!(cache.get("key"), None);
}

/// moka 0.12: an insert of 5 during a load of 1 ends with 1.
#[test]
fn moka_an_insert_during_a_load_is_not_lost() {
    let (cache, gate) = (Cache::new(10), Gate::new());
    let mut get = Box::pin(cache.get_with("key", gate.loader()));
    assert!(poll(&mut get).is_pending());
    cache.insert("key", 5);
    gate.open(1);
    assert_eq!(ready(poll(&mut get)).unwrap(), 1);
    assert_eq!(cache.get("key"), Some(5));
}

/// moka 240: a task that holds a pending `get_with` and waits for something else hangs all others.
#[test]
fn moka_240_a_parked_leader_does_not_hang_the_others() {
    let (cache, gate) = (Cache::new(10), Gate::new());
    let mut parked = Box::pin(cache.get_with(1, gate.loader()));
    assert!(poll(&mut parked).is_pending());
    gate.open(7);
    // Like one arm of a `select!` that waits for the other arm, which asks for the same key.
    assert_eq!(block_on(cache.get_with(1, gate.loader())).unwrap(), 7);
    assert_eq!(gate.runs(), 1);
}

/// moka 59, 60: an aborted task left its key locked, or ran the loader anew from the beginning.
#[tokio::test]
async fn moka_59_an_aborted_leader_neither_blocks_nor_restarts() {
    let (cache, gate) = (Cache::new(10), Gate::new());
    let get = {
        let (cache, gate) = (cache.clone(), Arc::clone(&gate));
        move || {
            let (cache, gate) = (cache.clone(), Arc::clone(&gate));
            tokio::spawn(async move { cache.get_with(1, gate.loader()).await })
        }
    };
    let leader = get();
    while gate.polls() == 0 {
        tokio::task::yield_now().await;
    }
    let waiter = get();
    while cache.stats().loads.coalesced == 0 {
        tokio::task::yield_now().await;
    }
    leader.abort();
    assert!(leader.await.unwrap_err().is_cancelled());
    gate.open(3);
    assert_eq!(waiter.await.unwrap().unwrap(), 3);
    assert_eq!((gate.runs(), gate.drops()), (1, 1));
}

/// moka 43, 46: a loader that panics poisoned its key. Here 16 callers are told, once, and the next
/// one loads.
#[test]
fn moka_43_a_panicking_loader_runs_once_for_all_who_wait() {
    let (cache, gate) = (Cache::<u8, u8>::new(10), Gate::<u8>::new());
    let load = || {
        let load = (gate.loader())();
        async move {
            let value: u8 = load.await;
            assert!(value > 100, "it is {value}");
            value
        }
    };
    let mut callers: Vec<_> = (0..16).map(|_| Box::pin(cache.get_with(1, load))).collect();
    for caller in &mut callers {
        assert!(poll(caller).is_pending());
    }
    gate.open(1);
    for caller in &mut callers {
        let told = ready(poll(caller));
        assert!(matches!(told, Err(LoadError::Panicked { message }) if &*message == "it is 1"));
    }
    assert_eq!(gate.runs(), 1);
    assert_eq!(cache.get_blocking(1, || 2).unwrap(), 2);
}

/// moka, caffeine: a loader that asks for its own key waits for itself for ever.
#[test]
fn moka_a_loader_that_asks_for_its_own_key_is_refused_and_not_hung() {
    let cache: Cache<u8, bool> = Cache::new(10);
    let inner = cache.clone();
    let load = || async move {
        let nested = inner
            .try_get_with(1, || async { Err::<bool, _>("never run") })
            .await;
        matches!(nested, Err(LoadError::Reentrant))
    };
    assert!(block_on(cache.get_with(1, load)).unwrap());
}

/// quick_cache 0.7: a dropped placeholder restarts the load in a waiter, and a parked one hangs all.
#[test]
fn quick_cache_a_load_survives_its_leader_and_is_not_restarted() {
    let (cache, gate) = (Cache::new(10), Gate::new());
    let mut leader = Box::pin(cache.get_with(1, gate.loader()));
    assert!(poll(&mut leader).is_pending());
    let mut waiters: Vec<_> = (0..5)
        .map(|_| Box::pin(cache.get_with(1, gate.loader())))
        .collect();
    for waiter in &mut waiters {
        assert!(poll(waiter).is_pending());
    }
    drop(leader);
    gate.open(9);
    for waiter in &mut waiters {
        assert_eq!(ready(poll(waiter)).unwrap(), 9);
    }
    assert_eq!(gate.runs(), 1);
}

/// quick_cache 0.7: the source says that removing a placeholder may lead to two of them.
#[test]
fn quick_cache_a_removal_during_a_load_leads_to_one_new_load_only() {
    let cache = Cache::new(10);
    let (old, new) = (Gate::new(), Gate::new());
    let mut first = Box::pin(cache.get_with(1, old.loader()));
    assert!(poll(&mut first).is_pending());
    cache.remove(&1);
    let mut rest: Vec<_> = (0..8)
        .map(|_| Box::pin(cache.get_with(1, new.loader())))
        .collect();
    for get in &mut rest {
        assert!(poll(get).is_pending());
    }
    assert_eq!(new.runs(), 1);
    new.open(2);
    for get in &mut rest {
        assert_eq!(ready(poll(get)).unwrap(), 2);
    }
    old.open(1);
    assert_eq!(ready(poll(&mut first)).unwrap(), 1);
    assert_eq!(cache.get(&1), Some(2));
}

/// caffeine 193: an invalidation while a refresh runs is followed by the refreshed, older value.
#[test]
fn caffeine_193_an_invalidation_during_a_refresh_is_not_undone() {
    let (cache, gate) = (Cache::new(10), Gate::new());
    cache.insert(1, 1);
    let mut refresh = Box::pin(cache.refresh(1, gate.loader()));
    assert!(poll(&mut refresh).is_pending());
    cache.invalidate(&1);
    gate.open(Ok::<_, Infallible>(2));
    assert_eq!(ready(poll(&mut refresh)).unwrap(), 2);
    assert_eq!(cache.get(&1), None);
}

/// caffeine 175: a refresh that takes longer than the interval is started again and again.
#[test]
fn caffeine_175_a_refresh_slower_than_its_interval_runs_once() {
    let clock = clock();
    let tasks: Arc<Mutex<Vec<Task>>> = Arc::default();
    let list = Arc::clone(&tasks);
    let cache = Cache::builder()
        .clock(clock.clone())
        .refresh_after(Duration::from_secs(1))
        .spawner(move |task| list.lock().unwrap().push(task))
        .build()
        .unwrap();
    cache.insert(1, 1);
    let gate = Gate::new();
    for _ in 0..10 {
        clock.advance(Duration::from_secs(1));
        assert_eq!(block_on(cache.get_with(1, gate.loader())).unwrap(), 1);
    }
    assert_eq!((gate.runs(), tasks.lock().unwrap().len()), (1, 1));
}

/// foyer 0.22 spawns every load. Here a load needs no runtime, unless it is left by everybody.
#[test]
fn foyer_a_load_needs_no_runtime() {
    let spawned = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&spawned);
    let cache = Cache::builder()
        .spawner(move |_: Task| _ = counter.fetch_add(1, Ordering::SeqCst))
        .build()
        .unwrap();
    assert_eq!(block_on(cache.get_with(1, || async { 1 })).unwrap(), 1);
    assert_eq!(spawned.load(Ordering::SeqCst), 0);
}

/// cached: the closure runs under the lock of a shard, so that loading one key blocks others.
#[test]
fn cached_a_loader_may_use_the_cache_and_blocks_no_other_key() {
    let cache: Cache<u8, u8> = Cache::builder().shards(1).build().unwrap();
    let load = || {
        cache.insert(2, 2);
        cache.invalidate(&3);
        cache.get_blocking(4, || 4).unwrap() + cache.get(&2).unwrap()
    };
    assert_eq!(cache.get_blocking(1, load).unwrap(), 6);
}

/// One that stored errors as values gave a remembered failure to later callers as a success.
#[test]
fn a_remembered_failure_is_never_a_value() {
    let cache: Cache<u8, u8> = Cache::builder()
        .cache_errors_for(Duration::from_secs(30))
        .build()
        .unwrap();
    for _ in 0..2 {
        let result = cache.try_get_blocking(1, || Err::<u8, _>("down"));
        assert_eq!(result.unwrap_err().failure(), Some(&"down"));
        assert_eq!((cache.get(&1), cache.len()), (None, 0));
    }
}

/// One that was switched off kept answering from what it held.
#[test]
fn a_switched_off_cache_runs_the_loader_each_time() {
    let cache = Cache::new(10);
    cache.insert(1, 1);
    cache.set_enabled(false);
    let runs = AtomicUsize::new(10);
    let load = || runs.fetch_add(1, Ordering::SeqCst);
    assert_eq!(cache.get_blocking(1, load).unwrap(), 10);
    assert_eq!(cache.get_blocking(1, load).unwrap(), 11);
}

/// Without single flight, 64 callers of a missing key are 64 loads.
#[test]
fn naive_a_stampede_is_one_load() {
    let (cache, gate) = (Cache::new(10), Gate::new());
    let mut callers: Vec<_> = (0..64)
        .map(|_| Box::pin(cache.get_with(1, gate.loader())))
        .collect();
    assert!(callers.iter_mut().all(|caller| poll(caller).is_pending()));
    gate.open(1);
    assert!(
        callers
            .iter_mut()
            .all(|caller| matches!(poll(caller), Poll::Ready(Ok(1))))
    );
    assert_eq!(gate.runs(), 1);
    assert_eq!(cache.stats().loads.coalesced, 63);
}
