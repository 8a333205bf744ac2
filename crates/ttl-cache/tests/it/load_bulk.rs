//! Many keys, loaded by one call.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use brolly_ttl_cache::{Cache, LoadError};

use crate::load::{Gate, block_on, never, pending, poll, ready};

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
    let mut one = pending(cache.get_with(1, single.loader()));
    let load = |missing: Vec<u8>| {
        assert_eq!(missing, [2, 3]);
        (bulk.loader())()
    };
    let mut all = pending(cache.get_all_with::<Infallible, _, _, _>([1, 2, 3], load));
    // Of different error types, callers still share values; bulk loads join only their like.
    let mut two = pending(cache.get_with(2, never));
    let mut three = pending(cache.get_with(3, || async { "own three" }));
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
    let mut all = pending(cache.get_all_with([1, 2], |_| (gate.loader())()));
    let mut one = pending(cache.try_get_with(1, never::<Result<u8, &str>>));
    let mut own = pending(cache.get_with(2, || async { 2 }));
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
    let mut all = pending(cache.get_all_with([1, 2, 3], |_| (gate.loader())()));
    cache.insert(1, 10);
    cache.invalidate(&2);
    gate.open(Ok::<_, Infallible>(vec![(1, 1), (2, 2), (3, 3)]));
    assert_eq!(ready(poll(&mut all)).unwrap().len(), 3);
    assert_eq!(
        (cache.get(&1), cache.get(&2), cache.get(&3)),
        (Some(10), None, Some(3))
    );
}
