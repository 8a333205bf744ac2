//! How long loads may take, and how many may run.

use std::convert::Infallible;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use brolly_ttl_cache::{Cache, LoadError};

use crate::load::{Gate, block_on, clock, never, pending, poll, ready};

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
    let mut first = pending(cache.get_with(1, gate.loader()));
    let mut second = pending(cache.get_with(1, never));
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
        let mut waits = pending(cache.get_with("key", never));
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
    let get = pending(cache.get_with(1, gate.loader()));
    let mut waits = pending(cache.get_with(2, || async { 2 }));
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
