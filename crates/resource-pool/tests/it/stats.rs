//! The figures.

use std::pin::pin;
use std::time::Duration;

use brolly_resource_pool::CloseReason;

use crate::support::{Mode, bench, is_pending, lone, ms, ready, secs};

#[test]
fn a_pool_that_was_never_used_has_nothing_to_show() {
    let stats = lone(|it| it.name("db").max_size(3)).pool.stats();
    assert_eq!(stats.name, "db");
    assert_eq!(
        (stats.size, stats.idle, stats.in_use, stats.peak),
        (0, 0, 0, 0)
    );
    assert_eq!((stats.acquisitions, stats.hits, stats.misses), (0, 0, 0));
    assert_eq!((stats.utilization, stats.mean_utilization), (0.0, 0.0));
    assert_eq!((stats.wait.count, stats.wait.p99), (0, secs(0)));
    assert!(stats.closed_by.is_empty());
    assert!(stats.last_health_check.is_none());
}

#[test]
fn hits_and_misses_are_counted_after_the_event() {
    let bench = bench(|it| it.max_size(1).acquire_timeout(secs(1)));
    drop(bench.take()); // made: a miss
    drop(bench.take()); // there: a hit
    let held = bench.take();
    let mut waiting = pin!(bench.pool.acquire());
    assert!(is_pending(waiting.as_mut()));
    assert_eq!(bench.pool.stats().misses, 1);
    drop(held);
    drop(ready(waiting).unwrap()); // waited: a miss
    let _held = bench.take();
    let mut waiting = pin!(bench.pool.acquire());
    assert!(is_pending(waiting.as_mut()));
    bench.clock.advance(secs(1));
    assert!(ready(waiting).is_err()); // neither
    let stats = bench.pool.stats();
    assert_eq!((stats.acquisitions, stats.hits, stats.misses), (5, 3, 2));
    assert_eq!((stats.timeouts, stats.created), (1, 1));
}

#[test]
fn the_sizes_always_add_up() {
    let bench = bench(|it| it.max_size(8).check(brolly_resource_pool::Check::Always));
    let _held = (bench.take(), bench.take());
    drop((bench.take(), bench.take()));
    bench.plant.set_create(Mode::Gated);
    bench.plant.set_check(Mode::Gated);
    bench.plant.set_close(Mode::Gated);
    brolly_resource_pool::Guard::discard(_held.0);
    let mut waiting: Vec<_> = (0..5).map(|_| Box::pin(bench.pool.acquire())).collect();
    for acquire in &mut waiting {
        assert!(is_pending(acquire.as_mut()));
    }
    bench.tasks.run();
    let stats = bench.assert_conserved();
    // One is held, two are checked, one is closed, three are made for those left.
    assert_eq!((stats.in_use, stats.reserved, stats.creating), (1, 3, 3));
    assert!(stats.size <= stats.max);
    for _ in 0..8 {
        bench.plant.open(1);
        bench.tasks.run();
        let stats = bench.assert_conserved();
        assert!(stats.size <= stats.max);
    }
}

#[test]
fn the_peak_is_the_most_that_were_in_use_at_once() {
    let bench = lone(|it| it.max_size(8));
    drop((bench.take(), bench.take(), bench.take()));
    drop(bench.take());
    assert_eq!(bench.pool.stats().peak, 3);
}

#[test]
fn closures_are_counted_by_reason() {
    let bench = lone(|it| it.max_size(4));
    for _ in 0..2 {
        bench.take().is_broken = true;
    }
    brolly_resource_pool::Guard::discard(bench.take());
    let stats = bench.pool.stats();
    assert_eq!(stats.closed, 3);
    assert_eq!(
        stats.closed_by,
        [(CloseReason::Broken, 2), (CloseReason::Discarded, 1)]
    );
}

#[test]
fn hold_times_are_sorted_into_buckets() {
    let bench = lone(|it| it.max_size(1));
    for hold in [0, 3, 3, 1000] {
        let held = bench.take();
        bench.clock.advance(ms(hold));
        drop(held);
    }
    let hold = bench.pool.stats().hold;
    assert_eq!(hold.total, ms(1006));
    let counts: Vec<_> = hold
        .buckets
        .iter()
        .filter(|(_, count)| *count > 0)
        .collect();
    assert_eq!(counts, [&(ms(1), 1), &(ms(4), 2), &(ms(1024), 1)]);
}

#[test]
fn waits_and_holds_have_percentiles() {
    let bench = bench(|it| it.max_size(1));
    drop(bench.take());
    for millis in 1..=100_u64 {
        let held = bench.take();
        let mut waiting = pin!(bench.pool.acquire());
        assert!(is_pending(waiting.as_mut()));
        bench.clock.advance(ms(millis));
        drop(held);
        drop(ready(waiting).unwrap());
    }
    let stats = bench.pool.stats();
    let wait = &stats.wait;
    assert_eq!((wait.count, wait.total), (101, ms(5050)));
    assert!(wait.p50 >= ms(50) && wait.p50 < ms(63), "{wait:?}");
    assert!(wait.p95 >= ms(95) && wait.p99 >= ms(99) && wait.max == ms(100));
    let counted: u64 = wait.buckets.iter().map(|(_, count)| count).sum();
    assert_eq!(counted, 101);
    assert!(wait.buckets.windows(2).all(|pair| pair[0].0 < pair[1].0));
    // Half of the holds were over at once, and the rest took as long as the waits.
    let hold = &stats.hold;
    assert_eq!((hold.count, hold.total), (201, ms(5050)));
    assert_eq!(hold.mean, ms(5050) / 201);
    assert_eq!((hold.p50, hold.p95, hold.p99), (ms(1), ms(256), ms(256)));
}

#[test]
fn churn_is_what_is_closed_in_a_second() {
    let bench = lone(|it| it.max_size(1));
    brolly_resource_pool::Guard::discard(bench.take());
    assert_eq!(bench.pool.stats().churn_per_second, 0.0, "in no time");
    for _ in 0..9 {
        brolly_resource_pool::Guard::discard(bench.take());
        bench.clock.advance(ms(500));
    }
    let stats = bench.pool.stats();
    assert_eq!((stats.age, stats.closed), (ms(4500), 10));
    assert!((stats.churn_per_second - 10.0 / 4.5).abs() < 1e-9);
}

#[cfg(feature = "serde")]
#[test]
fn figures_and_holders_are_data() {
    let bench = lone(|it| it.name("db").max_size(2));
    let _held = bench.take();
    let stats = serde_json::to_value(bench.pool.stats()).unwrap();
    assert_eq!(
        (&stats["name"], &stats["in_use"]),
        (&"db".into(), &1.into())
    );
    let holders = serde_json::to_value(bench.pool.holders()).unwrap();
    assert_eq!(holders[0]["id"], "db_0");
    assert!(holders[0]["site"]["line"].as_u64().unwrap() > 0);
}

#[test]
fn who_does_not_wait_is_not_said_to_have_waited() {
    let bench = lone(|it| it.max_size(1));
    // Created at once, while it looks.
    drop(bench.pool.try_acquire().unwrap());
    let stats = bench.pool.stats();
    assert_eq!((stats.created, stats.wait.max), (1, Duration::ZERO));
}
