//! Loads that fail, panic or find nothing: who is told what, and what is kept of it.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use brolly_ttl_cache::{Cache, LoadError};

use crate::load::{Gate, block_on, clock, never, pending, poll, ready};

#[test]
fn an_error_is_told_to_all_who_waited_and_is_not_cached() {
    let cache: Cache<u8, u8> = Cache::new(10);
    let gate = Gate::new();
    let mut first = pending(cache.try_get_with(1, gate.loader()));
    let mut second = pending(cache.try_get_with(1, gate.loader()));
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
        let mut waits = pending(cache.try_get_with(1, never::<Result<u8, &str>>));
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
    let mut fails = pending(cache.try_get_with(1, gate.loader()));
    let mut other = pending(cache.get_with(1, || async { 5 }));
    let mut third = pending(cache.try_get_with(1, || async { Err::<u8, u32>(404) }));
    gate.open(Err::<u8, _>("no"));
    assert_eq!(ready(poll(&mut fails)).unwrap_err().failure(), Some(&"no"));
    assert_eq!(ready(poll(&mut other)).unwrap(), 5);
    assert_eq!(ready(poll(&mut third)).unwrap(), 5);
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
    let mut first = pending(cache.get_with(1, load));
    let mut second = pending(cache.get_with(1, never));
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
