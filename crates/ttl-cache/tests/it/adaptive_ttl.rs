//! Times to live that adapt: inside their bounds, and better than any fixed one in both respects.

use std::time::Duration;

use brolly_sync::ManualClock;
use brolly_ttl_cache::{AdaptiveTtl, Cache, Stats};

const MIN: Duration = Duration::from_secs(5);
const MAX: Duration = Duration::from_secs(600);
const SETTINGS: AdaptiveTtl = AdaptiveTtl {
    min: MIN,
    max: MAX,
    target_hit_rate: 0.9,
};

/// Keys below this come back again and again, the others never.
const HOT: u64 = 200;

struct Replay {
    stats: Stats,
    /// Live entries, on average over the second half.
    held: f64,
}

/// Four thousand seconds of a service: each hot key is asked for once in 40 seconds, and ten new keys
/// a second come by once. What is missing is written.
fn replay(cache: &Cache<u64, u64>, clock: &ManualClock) -> Replay {
    const SECONDS: u64 = 4_000;
    let mut held = 0;
    let mut fresh = HOT;
    let ask = |key| {
        if cache.get(&key).is_none() {
            cache.insert(key, key);
        }
    };
    for second in 0..SECONDS {
        (0..HOT).filter(|key| key % 40 == second % 40).for_each(ask);
        (fresh..fresh + 10).for_each(ask);
        fresh += 10;
        clock.advance(Duration::from_secs(1));
        if second >= SECONDS / 2 {
            held += cache.len();
        }
    }
    Replay {
        stats: cache.stats(),
        held: held as f64 / (SECONDS / 2) as f64,
    }
}

fn fixed(time_to_live: Duration) -> Replay {
    let clock = ManualClock::new();
    let builder = Cache::builder().max_capacity(100_000).clock(clock.clone());
    replay(
        &builder.time_to_live(time_to_live).build().expect("valid"),
        &clock,
    )
}

#[test]
fn it_hits_more_than_the_shortest_and_holds_less_than_the_longest() {
    let (short, long) = (fixed(MIN), fixed(MAX));
    let clock = ManualClock::new();
    let cache = Cache::builder()
        .max_capacity(100_000)
        .clock(clock.clone())
        .time_to_live(Duration::from_secs(30))
        .adaptive_ttl(SETTINGS)
        .adaptive_ttl_groups(|key| u64::from(*key >= HOT))
        .build()
        .expect("valid");
    let adaptive = replay(&cache, &clock);
    println!(
        "hits {} / {} / {}, held {:.0} / {:.0} / {:.0} (shortest, adaptive, longest)",
        short.stats.hits,
        adaptive.stats.hits,
        long.stats.hits,
        short.held,
        adaptive.held,
        long.held
    );
    assert!(adaptive.stats.hits > short.stats.hits + 10_000);
    assert!(adaptive.held < long.held / 4.0);
    let decisions = adaptive.stats.adaptive_ttl.expect("it is on");
    assert_eq!(decisions.groups, 2);
    assert!(
        decisions.lengthened > 0 && decisions.shortened > 0,
        "{decisions:?}"
    );
    assert_eq!(decisions.shortest, Some(MIN));
    assert!(decisions.longest.expect("two groups") > Duration::from_secs(40));
}

#[test]
fn it_never_leaves_its_bounds() {
    let clock = ManualClock::new();
    let cache: Cache<u64, u64> = Cache::builder()
        .max_capacity(100_000)
        .clock(clock.clone())
        .no_time_to_live()
        .adaptive_ttl(SETTINGS)
        .build()
        .expect("valid");
    let mut random = 1_u64;
    for _ in 0..200_000 {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let key = (random >> 40) % 5_000;
        if cache.get(&key).is_none() {
            cache.insert(key, key);
        }
        if random >> 60 == 0 {
            clock.advance(Duration::from_millis(random >> 44 & 0xffff));
        }
    }
    let decisions = cache.stats().adaptive_ttl.expect("it is on");
    assert!(
        decisions.shortest >= Some(MIN) && decisions.longest <= Some(MAX),
        "{decisions:?}"
    );
    cache.clear();
    cache.insert(1, 1);
    clock.advance(MIN - Duration::from_nanos(1));
    assert!(cache.contains_key(&1));
    clock.advance(MAX);
    assert!(!cache.contains_key(&1));
}

#[test]
fn a_time_to_live_that_is_given_is_kept() {
    let clock = ManualClock::new();
    let cache: Cache<u64, u64> = Cache::builder()
        .clock(clock.clone())
        .adaptive_ttl(SETTINGS)
        .build()
        .expect("valid");
    cache
        .insert_with_ttl(1, 1, Duration::from_secs(1))
        .expect("positive");
    cache
        .insert_with_ttl(2, 2, Duration::from_secs(10_000))
        .expect("positive");
    clock.advance(Duration::from_secs(1));
    assert_eq!((cache.get(&1), cache.get(&2)), (None, Some(2)));
    clock.advance(Duration::from_secs(9_998));
    assert_eq!(cache.get(&2), Some(2));
}

#[test]
fn a_grouping_that_panics_refuses_the_entry() {
    let cache: Cache<u64, u64> = Cache::builder()
        .adaptive_ttl(SETTINGS)
        .adaptive_ttl_groups(|_| panic!("on purpose"))
        .build()
        .expect("valid");
    let error = cache.try_insert(1, 1).expect_err("refused");
    assert_eq!(error.to_string(), "the adaptive_ttl_groups panicked");
    assert!(cache.is_empty());
}

#[test]
fn settings_out_of_range_are_errors() {
    let field = |change: fn(&mut AdaptiveTtl)| {
        let mut settings = SETTINGS;
        change(&mut settings);
        let built = Cache::<u64, u64>::builder().adaptive_ttl(settings).build();
        built.map(|_| ()).map_err(|error| error.field)
    };
    assert_eq!(field(|_| ()), Ok(()));
    assert_eq!(field(|it| it.min = Duration::ZERO), Err("adaptive_ttl.min"));
    assert_eq!(field(|it| it.max = MIN / 2), Err("adaptive_ttl.max"));
    assert_eq!(field(|it| it.max = Duration::MAX), Ok(()));
    for rate in [0.0, 1.0, -1.0, f64::NAN] {
        let settings = AdaptiveTtl {
            target_hit_rate: rate,
            ..SETTINGS
        };
        assert!(
            Cache::<u64, u64>::builder()
                .adaptive_ttl(settings)
                .build()
                .is_err()
        );
    }
}

#[test]
fn lookups_of_loads_count_too() {
    let clock = ManualClock::new();
    let cache: Cache<u64, u64> = Cache::builder()
        .max_capacity(100_000)
        .clock(clock.clone())
        .time_to_live(MIN)
        .adaptive_ttl(SETTINGS)
        .adaptive_ttl_groups(|_| 0)
        .build()
        .expect("valid");
    for _ in 0..60 {
        for key in 0..50 {
            cache.get_blocking(key, || key).expect("no panic");
        }
        clock.advance(Duration::from_secs(20));
    }
    // Each key is asked for every 20 seconds.
    let longest = cache.stats().adaptive_ttl.expect("it is on").longest;
    assert!(longest > Some(Duration::from_secs(20)), "{longest:?}");
    assert!(cache.stats().hits > 2_000, "{:?}", cache.stats().hits);
}
