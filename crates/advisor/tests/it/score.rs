//! Scores: the formulas, their bounds, and what is left out.

use brolly_advisor::{Band, CacheUsage, CacheWeights, PoolUsage, PoolWeights};
use proptest::prelude::*;

fn cache(hits: u64, misses: u64, evictions: u64, sets: u64, megabytes: f64) -> CacheUsage {
    CacheUsage {
        hits,
        misses,
        evictions: Some(evictions),
        sets: Some(sets),
        memory_bytes: Some(megabytes * 1e6),
        access_seconds: None,
    }
}

fn cache_score(cache: &CacheUsage) -> f64 {
    let score = CacheWeights::default().score(cache);
    score.expect("it was looked into").value()
}

fn pool_score(pool: &PoolUsage) -> f64 {
    let score = PoolWeights::default().score(pool);
    score.expect("it was used").value()
}

#[test]
fn memory_costs_points_from_50_megabytes_on_and_all_of_them_at_150() {
    for (megabytes, score) in [
        (0.0, 100.0),
        (49.9, 100.0),
        (50.0, 100.0),
        (100.0, 90.0),
        (150.0, 80.0),
        (1e9, 80.0),
    ] {
        assert_eq!(
            cache_score(&cache(10, 0, 0, 10, megabytes)),
            score,
            "{megabytes}"
        );
    }
}

#[test]
fn hits_give_60_points_and_evictions_cost_20() {
    assert_eq!(cache_score(&cache(0, 10, 10, 10, 150.0)), 0.0);
    assert_eq!(cache_score(&cache(1, 1, 0, 10, 0.0)), 70.0);
    assert_eq!(cache_score(&cache(1, 0, 5, 10, 0.0)), 90.0);
    assert_eq!(cache_score(&cache(1, 0, 10, 10, 0.0)), 80.0);
    // More evictions than sets are no worse than all.
    assert_eq!(cache_score(&cache(1, 0, 30, 10, 0.0)), 80.0);
}

#[test]
fn two_caches_have_scores_of_their_own() {
    // The originals counted for all caches together: hit ratios of 1 and 0 both came out as 0.5.
    assert_eq!(cache_score(&cache(10, 0, 0, 1, 0.0)), 100.0);
    assert_eq!(cache_score(&cache(0, 10, 0, 1, 0.0)), 40.0);
}

#[test]
fn a_cache_that_was_never_looked_into_has_no_score() {
    // The originals gave it 40.
    assert_eq!(CacheWeights::default().score(&CacheUsage::default()), None);
    let filled = cache(0, 0, 5, 10, 20.0);
    assert_eq!(CacheWeights::default().score(&filled), None);
    assert_eq!(filled.hit_ratio(), None);
}

#[test]
fn a_pool_that_was_never_used_has_no_score() {
    // The originals gave it 60.
    assert_eq!(PoolWeights::default().score(&PoolUsage::default()), None);
    let open = PoolUsage {
        idle: 5,
        max: Some(10),
        ..PoolUsage::default()
    };
    assert_eq!(PoolWeights::default().score(&open), None);
}

#[test]
fn a_hit_ratio_is_counted_and_not_a_constant() {
    let usage = cache(3, 1, 0, 0, 0.0);
    assert_eq!(usage.hit_ratio(), Some(0.75));
}

#[test]
fn what_is_not_measured_neither_earns_nor_costs() {
    let only_hits = CacheUsage {
        hits: 3,
        misses: 1,
        ..CacheUsage::default()
    };
    assert_eq!(cache_score(&only_hits), 75.0);
    let not_a_number = CacheUsage {
        memory_bytes: Some(f64::NAN),
        ..only_hits
    };
    assert_eq!(cache_score(&not_a_number), 75.0);
}

#[test]
fn evictions_without_sets_are_as_bad_as_can_be() {
    assert_eq!(cache(1, 0, 5, 0, 0.0).eviction_ratio(), Some(1.0));
    assert_eq!(cache(1, 0, 0, 0, 0.0).eviction_ratio(), Some(0.0));
}

#[test]
fn weights_can_be_chosen() {
    let weights = CacheWeights {
        hits: 1.0,
        evictions: 0.0,
        memory: 1.0,
        memory_free_bytes: 0.0,
        memory_full_bytes: 100e6,
    };
    let score = weights
        .score(&cache(1, 1, 9, 10, 25.0))
        .map(|score| score.value());
    assert_eq!(score, Some(62.5));
    let nothing = CacheWeights {
        hits: 0.0,
        evictions: f64::NAN,
        memory: -1.0,
        ..weights
    };
    assert_eq!(nothing.score(&cache(1, 1, 0, 1, 0.0)), None);
}

fn pool(active: u64, wait_seconds: f64, errors: u64) -> PoolUsage {
    PoolUsage {
        active,
        idle: 0,
        max: Some(100),
        hits: 90,
        misses: 10,
        errors,
        wait_seconds: Some(wait_seconds),
        ..PoolUsage::default()
    }
}

#[test]
fn a_pool_scores_by_utilisation_wait_and_errors() {
    for (active, wait, errors, score) in [
        (80, 0.0, 0, 100.0),
        (100, 0.0, 0, 100.0),
        (40, 0.0, 0, 80.0),
        (0, 0.0, 0, 60.0),
        (80, 0.15, 0, 85.0),
        (80, 0.3, 0, 70.0),
        (80, 60.0, 0, 70.0),
        (80, 0.0, 50, 85.0),
        (80, 0.0, 500, 70.0),
        (0, 9.0, 100, 0.0),
    ] {
        let got = pool_score(&pool(active, wait, errors));
        assert!(
            (got - score).abs() < 1e-9,
            "{active} {wait} {errors}: {got}"
        );
    }
}

#[test]
fn errors_without_acquisitions_divide_by_nothing() {
    let held = PoolUsage {
        active: 1,
        max: Some(0),
        errors: 7,
        ..PoolUsage::default()
    };
    assert_eq!(held.error_ratio(), 0.0);
    assert_eq!(held.utilisation(), 0.0);
    assert!(PoolWeights::default().score(&held).is_some());
}

#[test]
fn utilisation_is_that_of_the_configured_maximum() {
    // Of one open connection that is lent out, in a pool that may grow to twenty.
    let growing = PoolUsage {
        active: 1,
        idle: 0,
        max: Some(20),
        ..PoolUsage::default()
    };
    assert_eq!(growing.utilisation(), 0.05);
    let unknown = PoolUsage {
        active: 1,
        idle: 3,
        max: None,
        ..PoolUsage::default()
    };
    assert_eq!(unknown.utilisation(), 0.25);
}

#[test]
fn bands_begin_at_80_60_and_40() {
    for (hits, band) in [
        (80, Band::Excellent),
        (79, Band::Good),
        (60, Band::Good),
        (59, Band::Fair),
        (40, Band::Fair),
        (39, Band::Poor),
        (0, Band::Poor),
    ] {
        let usage = CacheUsage {
            hits,
            misses: 100 - hits,
            ..CacheUsage::default()
        };
        let score = CacheWeights::default().score(&usage).expect("looked into");
        assert_eq!(score.band(), band, "{hits}");
    }
}

fn any_f64() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>(),
        0.0..1e9,
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
        Just(-1.0),
        Just(f64::MAX),
    ]
}

fn any_cache() -> impl Strategy<Value = CacheUsage> {
    let counts = any::<(u64, u64, Option<u64>, Option<u64>)>();
    let measures = (
        proptest::option::of(any_f64()),
        proptest::option::of(any_f64()),
    );
    (counts, measures).prop_map(
        |((hits, misses, evictions, sets), (memory, access))| CacheUsage {
            hits,
            misses,
            evictions,
            sets,
            memory_bytes: memory,
            access_seconds: access,
        },
    )
}

proptest! {
    #[test]
    fn every_score_is_within_0_and_100(
        cache in any_cache(),
        weights in (any_f64(), any_f64(), any_f64(), any_f64(), any_f64()),
    ) {
        let weights = CacheWeights {
            hits: weights.0,
            evictions: weights.1,
            memory: weights.2,
            memory_free_bytes: weights.3,
            memory_full_bytes: weights.4,
        };
        for weights in [weights, CacheWeights::default()] {
            if let Some(score) = weights.score(&cache) {
                prop_assert!((0.0..=100.0).contains(&score.value()), "{}", score);
            }
        }
        let is_used = cache.hits > 0 || cache.misses > 0;
        prop_assert_eq!(CacheWeights::default().score(&cache).is_some(), is_used);
    }

    #[test]
    fn every_pool_score_is_within_0_and_100(
        counts in any::<(u64, u64, u64, u64, u64)>(),
        max in any::<Option<u32>>(),
        wait in proptest::option::of(any_f64()),
        mean in proptest::option::of(any_f64()),
        weights in (any_f64(), any_f64(), any_f64(), any_f64(), any_f64()),
    ) {
        let pool = PoolUsage {
            active: counts.0,
            idle: counts.1,
            max,
            hits: counts.2,
            misses: counts.3,
            errors: counts.4,
            wait_seconds: wait,
            mean_utilisation: mean,
            ..PoolUsage::default()
        };
        let weights = PoolWeights {
            utilisation: weights.0,
            wait: weights.1,
            errors: weights.2,
            good_utilisation: weights.3,
            full_wait_seconds: weights.4,
        };
        for weights in [weights, PoolWeights::default()] {
            if let Some(score) = weights.score(&pool) {
                prop_assert!((0.0..=100.0).contains(&score.value()), "{}", score);
            }
        }
        prop_assert!((0.0..=1.0).contains(&pool.utilisation()));
        prop_assert!((0.0..=1.0).contains(&pool.error_ratio()));
    }

    #[test]
    fn a_higher_score_is_never_in_a_lower_band(a in 0u64..=1000, b in 0u64..=1000) {
        let score = |hits: u64| {
            let usage = CacheUsage { hits, misses: 1000 - hits, ..CacheUsage::default() };
            CacheWeights::default().score(&usage).expect("looked into")
        };
        let (low, high) = (score(a.min(b)), score(a.max(b)));
        prop_assert!(low.value() <= high.value());
        prop_assert!(low.band() <= high.band());
    }
}
