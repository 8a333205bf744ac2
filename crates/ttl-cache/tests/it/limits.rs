//! Bounds in bytes.

use brolly_ttl_cache::{Cache, Limits, weigh_bytes};

#[test]
fn limits_are_a_ceiling_over_what_is_given() {
    let built = |entries, bytes, limits: Limits| {
        let cache: Cache<String, String> = Cache::builder()
            .max_capacity(entries)
            .max_weight(bytes)
            .limits(limits)
            .build()
            .expect("valid");
        let stats = cache.stats();
        (stats.max_entries, stats.max_weight)
    };
    let limits = Limits {
        max_entries: 100,
        max_bytes: 1_000,
    };
    assert_eq!(built(50, 5_000, limits), (Some(50), Some(1_000)));
    assert_eq!(built(500, 500, limits), (Some(100), Some(500)));
    assert_eq!(
        built(1 << 40, 1 << 40, Limits::default().paranoid()),
        (Some(10_000), Some(10 << 20))
    );
    assert_eq!(limits.paranoid(), limits);
}

#[test]
fn bytes_are_bounded_exactly_by_the_weigher() {
    let cache: Cache<u64, String> = Cache::builder()
        .limits(Limits {
            max_entries: 1_000,
            max_bytes: 10_000,
        })
        .build()
        .expect("valid");
    for key in 0..200 {
        cache.insert(key, "x".repeat(key as usize));
        let held: u64 = cache
            .iter()
            .map(|(key, value)| weigh_bytes(&key, &value))
            .sum();
        assert_eq!(cache.weight(), held);
        assert!(held <= 10_000);
    }
    assert!(cache.weight() > 9_000);
}

#[test]
fn a_weigher_of_ones_own_goes_before() {
    let limits = Limits {
        max_entries: 100,
        max_bytes: 10,
    };
    let cache: Cache<u64, String> = Cache::builder()
        .weigher(|_, _| 1)
        .limits(limits)
        .build()
        .expect("valid");
    for key in 0..100 {
        cache.insert(key, "x".repeat(100));
    }
    assert_eq!((cache.len(), cache.weight()), (10, 10));
}

#[test]
fn limits_of_zero_are_errors() {
    for (limits, field) in [
        (
            Limits {
                max_entries: 0,
                max_bytes: 1,
            },
            "max_entries",
        ),
        (
            Limits {
                max_entries: 1,
                max_bytes: 0,
            },
            "max_bytes",
        ),
    ] {
        let error = Cache::<u64, u64>::builder()
            .limits(limits)
            .build()
            .expect_err("zero");
        assert_eq!(error.field, field);
    }
}
