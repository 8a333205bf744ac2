//! When entries end, and when they do not.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use brolly_sync::{Clock, ManualClock};
use brolly_ttl_cache::Cache;

const SECOND: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_nanos(1);

fn cache(clock: &ManualClock) -> Cache<u64, u64> {
    let builder = Cache::builder().clock(clock.clone()).time_to_live(SECOND);
    builder.build().expect("the setting is valid")
}

#[test]
fn an_entry_ends_at_its_time_to_the_nanosecond() {
    let clock = ManualClock::new();
    let cache = cache(&clock);
    cache.insert(1, 1);
    clock.advance(SECOND - TICK);
    assert!(cache.contains_key(&1) && cache.get(&1) == Some(1) && cache.len() == 1);
    clock.advance(TICK);
    assert_eq!((cache.get(&1), cache.peek(&1)), (None, None));
    assert!(!cache.contains_key(&1) && cache.is_empty() && cache.iter().next().is_none());
    assert_eq!(cache.remove(&1), None);
}

#[test]
fn reading_never_extends_a_ttl() {
    let clock = ManualClock::new();
    let cache = cache(&clock);
    cache.insert(1, 1);
    for _ in 0..9 {
        clock.advance(SECOND / 10);
        assert_eq!(cache.get(&1), Some(1));
    }
    clock.advance(SECOND / 10);
    assert_eq!(cache.get(&1), None);
}

#[test]
fn writing_begins_a_ttl_anew() {
    let clock = ManualClock::new();
    let cache = cache(&clock);
    cache.insert(1, 1);
    clock.advance(SECOND - TICK);
    assert_eq!(cache.insert(1, 2), Some(1));
    clock.advance(SECOND - TICK);
    assert_eq!(cache.get(&1), Some(2));
    clock.advance(TICK);
    assert_eq!(cache.get(&1), None);
    assert_eq!(
        cache.insert(1, 3),
        None,
        "an expired value is not given back"
    );
}

#[test]
fn reading_extends_an_idle_time_and_peeking_does_not() {
    let clock = ManualClock::new();
    let cache = Cache::<u64, u64>::builder()
        .clock(clock.clone())
        .no_time_to_live()
        .time_to_idle(SECOND)
        .build()
        .unwrap();
    cache.insert(1, 1);
    cache.insert(2, 2);
    for _ in 0..5 {
        clock.advance(SECOND - TICK);
        assert_eq!(cache.get(&1), Some(1));
        let _ = (cache.peek(&2), cache.contains_key(&2), cache.iter().count());
    }
    assert_eq!(cache.get(&2), None);
    clock.advance(SECOND);
    assert_eq!(cache.get(&1), None);
}

#[test]
fn an_idle_time_never_extends_a_ttl() {
    let clock = ManualClock::new();
    let cache = Cache::<u64, u64>::builder()
        .clock(clock.clone())
        .time_to_live(SECOND * 3)
        .time_to_idle(SECOND)
        .build()
        .unwrap();
    cache.insert(1, 1);
    for _ in 0..29 {
        clock.advance(SECOND / 10);
        assert_eq!(cache.get(&1), Some(1));
    }
    clock.advance(SECOND / 10);
    assert_eq!(cache.get(&1), None);
}

#[test]
fn a_ttl_of_its_own_comes_before_expire_with_and_that_before_the_caches() {
    let clock = ManualClock::new();
    let cache = Cache::<u64, u64>::builder()
        .clock(clock.clone())
        .time_to_live(SECOND)
        .expire_with(|key, _| (*key > 1).then_some(SECOND * 2))
        .build()
        .unwrap();
    cache.insert(1, 1);
    cache.insert(2, 2);
    cache.insert_with_ttl(3, 3, SECOND * 3).unwrap();
    let mut alive = Vec::new();
    for _ in 0..4 {
        alive.push(cache.len());
        clock.advance(SECOND);
    }
    assert_eq!(alive, [3, 2, 1, 0]);
}

#[test]
fn len_never_counts_what_has_expired_although_nobody_cleaned_up() {
    let clock = ManualClock::new();
    for idle in [false, true] {
        let mut builder = Cache::<u64, u64>::builder()
            .clock(clock.clone())
            .time_to_live(SECOND)
            .max_capacity(5000);
        if idle {
            builder = builder.time_to_idle(SECOND);
        }
        let cache = builder.build().unwrap();
        for key in 0..2000 {
            cache.insert(key, key);
            clock.advance(Duration::from_millis(1));
        }
        // Those of the last second, without the one that ends right now.
        assert_eq!(cache.len(), 999);
        assert_eq!(cache.iter().count(), 999);
        assert_eq!(cache.stats().entries, 999);
        clock.advance(SECOND);
        let stats = cache.stats();
        assert_eq!((stats.entries, stats.hits), (0, 0));
        assert_eq!(cache.weight(), cache.len());
    }
}

#[test]
fn jitter_shortens_and_never_lengthens() {
    let clock = ManualClock::new();
    let cache = Cache::<u64, u64>::builder()
        .clock(clock.clone())
        .max_capacity(10_000)
        .time_to_live(SECOND)
        .ttl_jitter(0.5)
        .build()
        .unwrap();
    for key in 0..4000 {
        cache.insert(key, key);
    }
    clock.advance(SECOND / 2 - TICK);
    assert_eq!(cache.len(), 4000);
    clock.advance(SECOND / 4);
    let half = cache.len();
    assert!(
        (1600..2400).contains(&half),
        "{half} of 4,000 in the middle"
    );
    clock.advance(SECOND / 4 + TICK);
    assert_eq!(cache.len(), 0);
}

/// A clock whose cheap reading lags behind.
#[derive(Clone, Debug)]
struct Lagging(Arc<AtomicU64>);

const LAG: u64 = 4_000_000;

impl Clock for Lagging {
    fn now(&self) -> Duration {
        Duration::from_nanos(self.0.load(Relaxed))
    }

    fn coarse(&self) -> Duration {
        // As a tick does: it stands still, and then catches up.
        Duration::from_nanos(self.0.load(Relaxed) / LAG * LAG)
    }

    fn coarse_lag(&self) -> Duration {
        Duration::from_nanos(LAG)
    }
}

#[test]
fn a_lagging_clock_never_shows_a_value_late_and_loses_a_thousandth_at_most() {
    for ttl in [
        1,
        1000,
        LAG - 1,
        LAG,
        LAG + 1,
        7 * LAG,
        999 * LAG,
        1000 * LAG,
        3_333 * LAG,
    ] {
        for start in [LAG, LAG + 1, 2 * LAG - 1, 5 * LAG + 17] {
            for idle in [false, true] {
                let time = Arc::new(AtomicU64::new(start));
                let mut builder = Cache::<u64, u64>::builder()
                    .clock(Lagging(Arc::clone(&time)))
                    .optimistic_reads();
                builder = if idle {
                    builder
                        .no_time_to_live()
                        .time_to_idle(Duration::from_nanos(ttl))
                } else {
                    builder.time_to_live(Duration::from_nanos(ttl))
                };
                let cache = builder.build().unwrap();
                cache.insert(1, 1);
                let early = start + ttl - ttl.div_ceil(1000);
                time.store(early.max(start), Relaxed);
                let what = format!("ttl {ttl} from {start}, idle {idle}");
                if early > start {
                    assert_eq!(cache.peek(&1), Some(1), "{what}: gone early");
                }
                time.store(start + ttl, Relaxed);
                assert_eq!(cache.get(&1), None, "{what}: seen late");
                assert_eq!(cache.len(), 0, "{what}: counted late");
            }
        }
    }
}

#[test]
fn ten_years_pass_in_steps_of_all_sizes() {
    let clock = ManualClock::new();
    let cache = Cache::<u64, u64>::builder()
        .clock(clock.clone())
        .max_capacity(100_000)
        .no_time_to_live()
        .build()
        .unwrap();
    let year = SECOND * 3600 * 24 * 365;
    let mut ends = std::collections::BTreeMap::new();
    for key in 0..5000_u64 {
        let ttl = Duration::from_nanos(1 + key * key * key * 2_500_000);
        cache.insert_with_ttl(key, key, ttl).unwrap();
        ends.insert(ttl, key);
    }
    let mut step = TICK;
    while clock.now() < year * 10 {
        clock.advance(step);
        step = (step * 2).min(year / 7);
        let now = clock.now();
        ends = ends.split_off(&(now + TICK));
        assert_eq!(cache.len(), ends.len() as u64, "after {now:?}");
    }
    assert!(cache.len() < 5000);
}

#[test]
fn the_system_clock_ends_entries_too() {
    let ttl = Duration::from_millis(30);
    let cache = Cache::<u64, u64>::builder()
        .time_to_live(ttl)
        .build()
        .unwrap();
    let before = std::time::Instant::now();
    cache.insert(1, 1);
    let written = std::time::Instant::now();
    loop {
        let asked = std::time::Instant::now();
        let seen = cache.get(&1);
        let answered = std::time::Instant::now();
        if seen.is_some() {
            assert!(asked.duration_since(written) < ttl, "seen late");
        } else {
            assert!(
                answered.duration_since(before) >= ttl - ttl / 100,
                "gone early"
            );
            break;
        }
        std::thread::yield_now();
    }
    assert_eq!(cache.len(), 0);
}
