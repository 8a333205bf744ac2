//! What is given up when memory is short.

use brolly_ttl_cache::{Cache, Pressure};

fn full() -> Cache<u64, u64> {
    let cache: Cache<u64, u64> = Cache::builder()
        .max_capacity(1_000)
        .shards(1)
        .build()
        .expect("valid");
    for key in 0..1_000 {
        cache.insert(key, key);
    }
    cache
}

#[test]
fn shrinking_keeps_the_share_that_was_used_last() {
    let cache = full();
    for key in 0..100 {
        assert_eq!(cache.get(&key), Some(key));
    }
    assert_eq!(cache.shrink_to(0.1), Ok(900));
    assert_eq!(cache.len(), 100);
    assert!((0..100).all(|key| cache.contains_key(&key)));
    assert_eq!(cache.stats().evictions, 900);
}

#[test]
fn shrinking_to_all_or_nothing_is_allowed() {
    let cache = full();
    assert_eq!(cache.shrink_to(1.0), Ok(0));
    assert_eq!(cache.shrink_to(0.0), Ok(1_000));
    assert_eq!(cache.shrink_to(0.0), Ok(0));
    assert!(cache.is_empty());
    assert!(cache.check().is_healthy());
}

#[test]
fn shrinking_works_across_shards() {
    let cache: Cache<u64, u64> = Cache::builder()
        .max_capacity(1_000)
        .shards(16)
        .build()
        .expect("valid");
    for key in 0..1_000 {
        cache.insert(key, key);
    }
    let gone = cache.shrink_to(0.25).expect("a share");
    assert_eq!((gone, cache.len()), (750, 250));
    assert!(cache.check().is_healthy());
}

#[test]
fn a_share_outside_of_zero_to_one_is_an_error_and_changes_nothing() {
    let cache = full();
    for share in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        let error = cache.shrink_to(share).expect_err("out of range");
        assert_eq!((error.field, error.allowed), ("share_kept", "from 0 to 1"));
        assert!(cache.relieve(Pressure::Adaptive(share)).is_err());
    }
    assert_eq!(cache.len(), 1_000);
}

#[test]
fn presets_give_up_their_share() {
    assert_eq!(full().relieve(Pressure::Aggressive), Ok(500));
    assert_eq!(full().relieve(Pressure::Conservative), Ok(250));
    assert_eq!(full().relieve(Pressure::Adaptive(0.8)), Ok(0));
    assert_eq!(full().relieve(Pressure::Adaptive(0.3)), Ok(0));
    assert_eq!(full().relieve(Pressure::Adaptive(0.9)), Ok(200));
    assert_eq!(full().relieve(Pressure::Adaptive(1.0)), Ok(400));
}
