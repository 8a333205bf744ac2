//! What is written while a key is loaded, and what is stored in the end.

use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::thread;

use brolly_ttl_cache::Cache;

use crate::load::{Gate, block_on, never, pending, poll, ready};

/// Starts a load of key 1, writes in between, and looks what is stored in the end.
fn written_during_a_load(write: impl FnOnce(&Cache<u8, u8>)) -> Option<u8> {
    let cache = Cache::new(10);
    let gate = Gate::new();
    let mut early = pending(cache.get_with(1, gate.loader()));
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
    let mut early = pending(cache.get_with(1, older.loader()));
    cache.invalidate(&1);
    let mut late = pending(cache.get_with(1, newer.loader()));
    assert_eq!(newer.runs(), 1, "it has a load of its own");
    let mut later = pending(cache.get_with(1, never));
    // The older one lands first and leaves the newer one in the air.
    older.open("older");
    assert_eq!(ready(poll(&mut early)).unwrap(), "older");
    assert_eq!(cache.get(&1), None);
    let mut last = pending(cache.get_with(1, never));
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
    let mut early = pending(cache.get_with(1, older.loader()));
    cache.invalidate(&1);
    let mut late = pending(cache.get_with(1, newer.loader()));
    newer.open("newer");
    assert_eq!(ready(poll(&mut late)).unwrap(), "newer");
    older.open("older");
    assert_eq!(ready(poll(&mut early)).unwrap(), "older");
    assert_eq!(cache.get(&1), Some("newer"));
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
