//! Functions whose results are cached.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use brolly_ttl_cache::{Cache, LoadError};

use crate::load::{Gate, block_on, clock, poll, ready};

#[test]
fn a_memoized_function_is_called_once_for_each_key() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let add = Cache::new(10).memoize(
        |(a, b): &(u32, u32)| (*a, *b),
        move |(a, b)| {
            counter.fetch_add(1, Ordering::SeqCst);
            async move { a + b }
        },
    );
    assert_eq!(block_on(add.call((1, 2))).unwrap(), 3);
    assert_eq!(block_on(add.call((1, 2))).unwrap(), 3);
    assert_eq!(block_on(add.call((2, 1))).unwrap(), 3);
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    assert_eq!(add.stats().hits, 1);
    add.invalidate(&(1, 2));
    assert_eq!(block_on(add.call((1, 2))).unwrap(), 3);
    assert_eq!(calls.load(Ordering::SeqCst), 3);
    assert_eq!(add.clear(), 2);
    assert_eq!(block_on(add.clone().call((2, 1))).unwrap(), 3);
    assert_eq!(calls.load(Ordering::SeqCst), 4);
}

#[test]
fn errors_of_a_memoized_function_are_not_cached() {
    let calls = AtomicUsize::new(0);
    let halve = Cache::new(10).memoize_sync(
        |n: &u32| *n,
        |n| {
            calls.fetch_add(1, Ordering::SeqCst);
            if n % 2 == 0 { Ok(n / 2) } else { Err("odd") }
        },
    );
    for _ in 0..2 {
        assert_eq!(halve.try_call(3).unwrap_err().failure(), Some(&"odd"));
    }
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    for _ in 0..2 {
        assert_eq!(halve.try_call(4).unwrap(), 2);
    }
    assert_eq!(calls.load(Ordering::SeqCst), 3);
    let halve = Cache::new(10).memoize(
        |n: &u32| *n,
        |n: u32| async move {
            if n.is_multiple_of(2) {
                Ok(n / 2)
            } else {
                Err("odd")
            }
        },
    );
    assert_eq!(
        block_on(halve.try_call(3)).unwrap_err().failure(),
        Some(&"odd")
    );
    assert_eq!(block_on(halve.try_call(4)).unwrap(), 2);
    assert_eq!(halve.cache().len(), 1);
}

#[test]
fn arguments_may_be_borrowed_by_a_function_that_runs_here() {
    let length =
        Cache::new(10).memoize_sync(|text: &&str| (*text).to_owned(), |text: &str| text.len());
    let text = String::from("brolly");
    assert_eq!(length.call(&text).unwrap(), 6);
    assert_eq!(length.call("brolly").unwrap(), 6);
    assert_eq!(length.stats().hits, 1);
}

#[test]
fn keys_are_compared_and_never_mistaken_for_each_other() {
    // Joined to one text, these arguments would be the same.
    let join = Cache::new(10).memoize_sync(
        |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned()),
        |(a, b): (&str, &str)| a.len() * 10 + b.len(),
    );
    assert_eq!(join.call(("a:b", "c")).unwrap(), 31);
    assert_eq!(join.call(("a", "b:c")).unwrap(), 13);
}

#[test]
fn an_invalidation_during_a_call_is_not_undone_by_it() {
    let gate = Gate::new();
    let double = {
        let gate = Arc::clone(&gate);
        Cache::new(10).memoize(|n: &u8| *n, move |_| (gate.loader())())
    };
    let mut call = Box::pin(double.call(4));
    assert!(poll(&mut call).is_pending());
    double.invalidate(&4);
    gate.open(8);
    assert_eq!(ready(poll(&mut call)).unwrap(), 8);
    assert!(double.cache().is_empty());
}

#[test]
fn a_recursive_function_may_call_itself_with_other_arguments_only() {
    let cache: Cache<u64, u64> = Cache::new(100);
    fn fibonacci(cache: &Cache<u64, u64>, n: u64) -> u64 {
        let below = |less| fibonacci(cache, n - less);
        cache
            .get_blocking(n, || if n < 2 { n } else { below(1) + below(2) })
            .unwrap()
    }
    assert_eq!(fibonacci(&cache, 50), 12_586_269_025);
    assert_eq!(cache.stats().loads.started, 51);
    let itself = || cache.get_blocking(99, || unreachable!()).unwrap_err();
    let told = cache.get_blocking(99, || u64::from(matches!(itself(), LoadError::Reentrant)));
    assert_eq!(told.unwrap(), 1);
}

#[test]
fn results_expire_with_the_cache_in_front() {
    let clock = clock();
    let calls = AtomicUsize::new(0);
    let cache = Cache::builder()
        .clock(clock.clone())
        .time_to_live(Duration::from_secs(30))
        .build()
        .unwrap();
    let count = cache.memoize_sync(|()| (), |()| calls.fetch_add(1, Ordering::SeqCst));
    assert_eq!((count.call(()).unwrap(), count.call(()).unwrap()), (0, 0));
    clock.advance(Duration::from_secs(30));
    assert_eq!(count.call(()).unwrap(), 1);
}
