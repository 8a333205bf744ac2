//! Tags and prefixes: exactly what they name goes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use brolly_sync::ManualClock;
use brolly_ttl_cache::{Cache, Compute, Refusal, RemovalCause};

#[test]
fn a_tag_takes_out_its_entries_and_no_other() {
    let cache: Cache<u64, u64> = Cache::builder()
        .max_capacity(10_000)
        .shards(8)
        .build()
        .expect("valid");
    for key in 0..1_000 {
        let own = format!("mod-{}", key % 7);
        cache
            .insert_tagged(key, key, [own, "all".to_owned()])
            .expect("few tags");
    }
    cache.insert(5_000, 0);
    assert_eq!(cache.invalidate_tag("mod-3"), 143);
    for key in 0..1_000 {
        assert_eq!(cache.get(&key).is_some(), key % 7 != 3, "key {key}");
    }
    assert_eq!(cache.invalidate_tag("mod-3"), 0);
    assert_eq!(cache.invalidate_tag("no such tag"), 0);
    assert_eq!(cache.invalidate_tag("all"), 857);
    assert_eq!(cache.len(), 1);
    assert!(cache.check().is_healthy());
}

#[test]
fn a_value_written_without_tags_has_none() {
    let cache: Cache<&str, u64> = Cache::new(10);
    cache.insert_tagged("a", 1, ["t"]).expect("few tags");
    cache.insert("a", 2);
    assert_eq!(cache.invalidate_tag("t"), 0);
    cache.insert_tagged("a", 3, ["u", "u"]).expect("few tags");
    cache.insert_tagged("a", 4, ["v"]).expect("few tags");
    assert_eq!(cache.invalidate_tag("u"), 0);
    assert_eq!(cache.get("a"), Some(4));
    assert_eq!(cache.invalidate_tag("v"), 1);
    assert_eq!(cache.get("a"), None);
}

#[test]
fn a_slot_that_is_used_again_does_not_inherit_tags() {
    let cache: Cache<u64, u64> = Cache::builder().max_capacity(16).build().expect("valid");
    for key in 0..16 {
        cache.insert_tagged(key, key, ["old"]).expect("few tags");
    }
    // All of them are evicted; their slots are taken by others.
    for key in 100..116 {
        cache.insert(key, key);
    }
    assert_eq!(cache.invalidate_tag("old"), 0);
    assert_eq!(cache.len(), 16);
}

#[test]
fn expired_entries_do_not_count_and_go_as_expired() {
    let clock = ManualClock::new();
    let causes = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&causes);
    let cache: Cache<&str, u64> = Cache::builder()
        .time_to_live(Duration::from_secs(10))
        .clock(clock.clone())
        .eviction_listener(move |key, _, cause| told.lock().expect("no panic").push((key, cause)))
        .build()
        .expect("valid");
    cache.insert_tagged("old", 1, ["t"]).expect("few tags");
    clock.advance(Duration::from_secs(5));
    cache.insert_tagged("new", 1, ["t"]).expect("few tags");
    clock.advance(Duration::from_secs(5));
    assert_eq!(cache.invalidate_tag("t"), 1);
    let mut causes = causes.lock().expect("no panic").clone();
    causes.sort_by_key(|(key, _)| *key);
    assert_eq!(
        causes,
        [
            ("new", RemovalCause::Explicit),
            ("old", RemovalCause::Expired)
        ]
    );
}

#[test]
fn too_many_and_too_long_tags_are_refused_and_change_nothing() {
    let cache: Cache<u8, u64> = Cache::new(10);
    cache.insert_tagged(1, 1, ["t"]).expect("few tags");
    let many = (0..65).map(|number| format!("tag {number}"));
    let error = cache.insert_tagged(1, 2, many).expect_err("too many");
    assert_eq!((error.key, error.value), (1, 2));
    assert_eq!(
        error.reason,
        Refusal::TooManyTags {
            tags: 65,
            allowed: 64
        }
    );
    let error = cache
        .insert_tagged(1, 2, ["x".repeat(1_001)])
        .expect_err("too long");
    assert_eq!(
        error.reason.to_string(),
        "a tag is 1001 bytes long, allowed are 1000"
    );
    let endless = std::iter::repeat("tag");
    assert!(cache.insert_tagged(1, 2, endless).is_err());
    assert_eq!(cache.get(&1), Some(1));
    let most = (0..64).map(|number| format!("{number:>1000}"));
    cache.insert_tagged(1, 3, most).expect("just allowed");
    assert_eq!(cache.invalidate_tag(&format!("{:>1000}", 63)), 1);
}

#[test]
fn a_computation_on_a_key_that_is_invalidated_meanwhile_is_asked_again() {
    let cache: Cache<&str, u64> = Cache::new(10);
    cache.insert_tagged("a", 1, ["t"]).expect("few tags");
    let mut seen = Vec::new();
    cache.compute("a", |before| {
        seen.push(before);
        if seen.len() == 1 {
            assert_eq!(cache.invalidate_tag("t"), 1);
        }
        Compute::Put(before.unwrap_or(100) + 1)
    });
    assert_eq!(seen, [Some(1), None]);
    assert_eq!(cache.get("a"), Some(101));
}

#[test]
fn tags_agree_with_a_model_under_eviction_and_replacement() {
    let cache: Cache<u64, u64> = Cache::builder()
        .max_capacity(64)
        .shards(2)
        .build()
        .expect("valid");
    let mut model: BTreeMap<u64, BTreeSet<&str>> = BTreeMap::new();
    let names = ["a", "b", "c", "d", "e"];
    let mut random = 1_u64;
    for step in 0..20_000 {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let (key, choice) = ((random >> 33) % 96, (random >> 50) as usize);
        match choice % 8 {
            0 => {
                cache.remove(&key);
                model.remove(&key);
            }
            1 if step % 16 == 0 => {
                let tag = names[choice % 5];
                model.retain(|key, _| cache.contains_key(key));
                let tagged = model.values().filter(|tags| tags.contains(tag)).count();
                assert_eq!(cache.invalidate_tag(tag), tagged as u64, "step {step}");
                model.retain(|_, tags| !tags.contains(tag));
            }
            _ => {
                let tags: BTreeSet<_> = (0..5)
                    .filter(|bit| choice >> bit & 1 == 1)
                    .map(|at| names[at])
                    .collect();
                cache
                    .insert_tagged(key, key, tags.iter().copied())
                    .expect("few tags");
                model.insert(key, tags);
            }
        }
    }
    model.retain(|key, _| cache.contains_key(key));
    assert_eq!(cache.len(), model.len() as u64);
    assert!(cache.check().is_healthy(), "{:?}", cache.check());
}

#[test]
fn a_listener_may_use_the_cache_while_a_tag_goes() {
    let slot: Arc<Mutex<Option<Cache<u64, u64>>>> = Arc::default();
    let own = Arc::clone(&slot);
    let cache: Cache<u64, u64> = Cache::builder()
        .eviction_listener(move |key, _, cause| {
            let cache = own.lock().expect("no panic").clone();
            if let (Some(cache), RemovalCause::Explicit) = (cache, cause) {
                cache.insert(key + 1_000, 0);
            }
        })
        .build()
        .expect("valid");
    *slot.lock().expect("no panic") = Some(cache.clone());
    for key in 0..300 {
        cache.insert_tagged(key, 0, ["t"]).expect("few tags");
    }
    assert_eq!(cache.invalidate_tag("t"), 300);
    assert_eq!(cache.len(), 300);
    slot.lock().expect("no panic").take();
}

#[test]
fn writers_that_tag_for_ever_do_not_hold_an_invalidation_up() {
    let cache: Cache<u64, u64> = Cache::new(500);
    let stop = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut key = 0;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                cache
                    .insert_tagged(key % 400, key, ["t"])
                    .expect("few tags");
                key += 1;
            }
        });
        for _ in 0..50 {
            cache.invalidate_tag("t");
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    cache.invalidate_tag("t");
    assert_eq!(cache.len(), 0);
}

#[test]
fn a_prefix_takes_out_the_keys_that_begin_with_it() {
    let cache: Cache<String, u64> = Cache::builder()
        .max_capacity(1_000)
        .shards(4)
        .build()
        .expect("valid");
    for user in 0..10 {
        for page in 0..20 {
            cache.insert(format!("user:{user}:page:{page}"), page);
        }
    }
    assert_eq!(cache.invalidate_prefix("user:1:"), 20);
    assert_eq!(cache.invalidate_prefix("user:1:"), 0);
    assert_eq!(cache.get("user:1:page:3"), None);
    assert_eq!(cache.get("user:2:page:3"), Some(3));
    assert_eq!(cache.invalidate_prefix(""), 180);
    assert!(cache.is_empty());
}

#[test]
fn a_load_in_progress_does_not_bring_back_what_was_invalidated() {
    type Invalidate = fn(&Cache<String, u64>) -> u64;
    let by_tag: Invalidate = |cache| cache.invalidate_tag("t");
    let by_prefix: Invalidate = |cache| cache.invalidate_prefix("us");
    for invalidate in [by_tag, by_prefix] {
        let clock = ManualClock::new();
        let cache: Cache<String, u64> = Cache::builder()
            .time_to_live(Duration::from_secs(10))
            .clock(clock.clone())
            .build()
            .expect("valid");
        cache
            .insert_tagged("user".to_owned(), 1, ["t"])
            .expect("few tags");
        clock.advance(Duration::from_secs(10));
        let (begun, wait_begun) = std::sync::mpsc::channel();
        let (end, wait_end) = std::sync::mpsc::channel();
        thread::scope(|scope| {
            let cache = &cache;
            let loading = scope.spawn(move || {
                cache.get_blocking("user".to_owned(), || {
                    begun.send(()).expect("somebody waits");
                    wait_end.recv().expect("somebody ends it");
                    2
                })
            });
            wait_begun.recv().expect("it began");
            assert_eq!(invalidate(cache), 0);
            end.send(()).expect("it waits");
            let loaded = loading.join().expect("no panic");
            assert_eq!(loaded.expect("loaded"), 2, "who waited for it gets it");
        });
        assert_eq!(cache.get("user"), None, "but it is not stored");
        assert_eq!(cache.stats().loads.superseded, 1);
    }
}
