//! Advice: when it is given, with which evidence, and when there is none.

use brolly_advisor::{
    CacheAdvice, CacheThresholds, CacheUsage, PoolAdvice, PoolThresholds, PoolUsage, Severity,
    SizeRange,
};

fn good_cache() -> CacheUsage {
    CacheUsage {
        hits: 90,
        misses: 10,
        evictions: Some(1),
        sets: Some(10),
        memory_bytes: Some(10e6),
        access_seconds: Some(0.001),
    }
}

fn about_cache(cache: &CacheUsage) -> Vec<CacheAdvice> {
    CacheThresholds::default().advise(cache)
}

#[test]
fn a_good_cache_gets_no_advice() {
    assert_eq!(about_cache(&good_cache()), []);
    let on_every_threshold = CacheUsage {
        hits: 50,
        misses: 50,
        evictions: Some(3),
        sets: Some(10),
        memory_bytes: Some(80e6),
        access_seconds: Some(0.010),
    };
    assert_eq!(about_cache(&on_every_threshold), []);
}

#[test]
fn each_threshold_of_a_cache_gives_its_advice_with_its_figures() {
    let bad = CacheUsage {
        hits: 49,
        misses: 51,
        evictions: Some(31),
        sets: Some(100),
        memory_bytes: Some(80.5e6),
        access_seconds: Some(0.0101),
    };
    let advice = about_cache(&bad);
    assert_eq!(
        advice,
        [
            CacheAdvice::LowHitRate {
                ratio: 0.49,
                threshold: 0.5,
                lookups: 100
            },
            CacheAdvice::HighEviction {
                ratio: 0.31,
                threshold: 0.3,
                sets: 100
            },
            CacheAdvice::HighMemory {
                bytes: 80.5e6,
                threshold: 80e6
            },
            CacheAdvice::SlowAccess {
                seconds: 0.0101,
                threshold: 0.010
            },
        ]
    );
    let texts: Vec<String> = advice.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "raise the time to live or the capacity: 49.0 % of 100 lookups hit, less than 50.0 %",
            "raise the capacity: 31.0 % of 100 sets evicted an entry, more than 30.0 %",
            "lower the capacity or the time to live: 80.5 MB in use, more than 80.0 MB",
            "look for contention: an access takes 10.1 ms, more than 10.0 ms",
        ]
    );
    assert!(advice.iter().all(|one| one.severity() == Severity::Warning));
}

#[test]
fn too_few_lookups_get_no_advice_yet() {
    let few = CacheUsage {
        hits: 0,
        misses: 99,
        memory_bytes: Some(1e12),
        ..CacheUsage::default()
    };
    let unsure = CacheAdvice::InsufficientData {
        lookups: 99,
        needed: 100,
    };
    assert_eq!(about_cache(&few), [unsure]);
    assert_eq!(unsure.severity(), Severity::Info);
    let none = CacheThresholds {
        min_samples: 0,
        ..CacheThresholds::default()
    };
    assert_eq!(none.advise(&CacheUsage::default()), []);
}

fn good_pool() -> PoolUsage {
    PoolUsage {
        active: 10,
        idle: 10,
        min: Some(5),
        max: Some(20),
        hits: 95,
        misses: 5,
        wait_seconds: Some(0.001),
        ..PoolUsage::default()
    }
}

fn about_pool(pool: &PoolUsage) -> Vec<PoolAdvice> {
    PoolThresholds::default().advise(pool)
}

#[test]
fn a_good_pool_gets_no_advice() {
    assert_eq!(about_pool(&good_pool()), []);
}

#[test]
fn each_threshold_of_a_pool_gives_its_advice_with_its_figures() {
    let bad = PoolUsage {
        active: 19,
        idle: 1,
        errors: 6,
        exhaustions: 2,
        wait_seconds: Some(0.2),
        ..good_pool()
    };
    let advice = about_pool(&bad);
    assert_eq!(
        advice,
        [
            PoolAdvice::Exhausted { exhaustions: 2 },
            PoolAdvice::HighUtilisation {
                ratio: 0.95,
                threshold: 0.9
            },
            PoolAdvice::HighWait {
                seconds: 0.2,
                threshold: 0.1
            },
            PoolAdvice::HighErrors {
                ratio: 0.06,
                threshold: 0.05,
                errors: 6
            },
            PoolAdvice::SuggestedSize {
                max: 20,
                suggested: SizeRange::new(10, 30)
            },
        ]
    );
    assert_eq!(advice[0].severity(), Severity::Critical);
    assert_eq!(
        advice[4].to_string(),
        "set the minimum to 10 and the maximum to 30; the maximum is 20"
    );
}

#[test]
fn an_idle_pool_is_told_to_shrink() {
    let idle = PoolUsage {
        active: 1,
        idle: 19,
        ..good_pool()
    };
    assert_eq!(
        about_pool(&idle),
        [
            PoolAdvice::LowUtilisation {
                ratio: 0.05,
                threshold: 0.2
            },
            PoolAdvice::SuggestedSize {
                max: 20,
                suggested: SizeRange::new(6, 14)
            },
        ]
    );
}

#[test]
fn exhaustion_is_reported_from_the_first_one_on() {
    let first = PoolUsage {
        hits: 1,
        misses: 0,
        exhaustions: 1,
        ..good_pool()
    };
    assert_eq!(
        about_pool(&first),
        [
            PoolAdvice::Exhausted { exhaustions: 1 },
            PoolAdvice::InsufficientData {
                acquisitions: 1,
                needed: 100
            },
        ]
    );
}

#[test]
fn a_pool_in_use_is_not_taken_for_idle() {
    // The originals never updated the total, so that every pool was told of low utilisation.
    let used = PoolUsage {
        active: 8,
        idle: 0,
        max: Some(10),
        ..good_pool()
    };
    assert_eq!(used.utilisation(), 0.8);
    assert_eq!(about_pool(&used), []);
}

#[test]
fn no_size_is_suggested_for_a_pool_without_a_known_maximum() {
    let unknown = PoolUsage {
        active: 20,
        idle: 0,
        max: None,
        ..good_pool()
    };
    let advice = about_pool(&unknown);
    assert!(matches!(advice[..], [PoolAdvice::HighUtilisation { .. }]));
}
