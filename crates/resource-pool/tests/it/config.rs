//! Settings that are refused, and the defaults.

use brolly_resource_pool::{Check, Pool, PoolBuilder};
use std::time::Duration;

use crate::support::{Factory, ms, secs};

fn error(change: impl FnOnce(PoolBuilder<Factory>) -> PoolBuilder<Factory>) -> String {
    let result = change(Pool::builder(Factory::new())).build();
    result.unwrap_err().to_string()
}

#[test]
fn what_is_out_of_its_range_is_named_with_its_value() {
    let positive = |field: &str| format!("{field} is 0ns, allowed is more than zero");
    let zero = Duration::ZERO;
    assert_eq!(
        error(|it| it.max_size(0)),
        "max_size is 0, allowed is 1 to 65536"
    );
    assert_eq!(
        error(|it| it.max_size(65_537)),
        "max_size is 65537, allowed is 1 to 65536"
    );
    assert_eq!(
        error(|it| it.max_size(2).min_size(3)),
        "min_size is 3, allowed is 0 to max_size"
    );
    assert_eq!(
        error(|it| it.max_size(2).min_idle(3)),
        "min_idle is 3, allowed is 0 to max_size"
    );
    assert_eq!(
        error(|it| it.evictions_per_tick(0)),
        "evictions_per_tick is 0, allowed is 1 or more"
    );
    assert_eq!(
        error(|it| it.acquire_timeout(zero)),
        positive("acquire_timeout")
    );
    assert_eq!(
        error(|it| it.create_timeout(zero)),
        positive("create_timeout")
    );
    assert_eq!(
        error(|it| it.check_timeout(zero)),
        positive("check_timeout")
    );
    assert_eq!(
        error(|it| it.close_timeout(zero)),
        positive("close_timeout")
    );
    assert_eq!(
        error(|it| it.check(Check::IfIdleFor(zero))),
        positive("check")
    );
    assert_eq!(
        error(|it| it.health_interval(zero)),
        positive("health_interval")
    );
    assert_eq!(error(|it| it.idle_timeout(zero)), positive("idle_timeout"));
    assert_eq!(error(|it| it.max_lifetime(zero)), positive("max_lifetime"));
    assert_eq!(error(|it| it.leak_after(zero)), positive("leak_after"));
    assert_eq!(
        error(|it| it.lease_timeout(zero)),
        positive("lease_timeout")
    );
    assert_eq!(
        error(|it| it.lifetime_jitter(0.6)),
        "lifetime_jitter is 0.6, allowed is 0 to 0.5"
    );
    assert!(error(|it| it.lifetime_jitter(f64::NAN)).contains("NaN"));
    assert_eq!(
        error(|it| it.max_uses(0)),
        "max_uses is 0, allowed is 1 or more"
    );
    assert_eq!(
        error(|it| it.create_concurrency(0)),
        "create_concurrency is 0, allowed is 1 or more"
    );
    assert_eq!(error(|it| it.shards(0)), "shards is 0, allowed is 1 to 32");
}

#[test]
fn a_minimum_that_was_not_set_follows_the_maximum() {
    let pool = Pool::builder(Factory::new()).max_size(2).build().unwrap();
    assert_eq!((pool.stats().min, pool.stats().max), (2, 2));
    let pool = Pool::builder(Factory::new()).build().unwrap();
    assert_eq!((pool.stats().min, pool.stats().max), (5, 20));
}

/// Each default, found out by what it does.
#[test]
fn the_defaults_are_what_they_are_said_to_be() {
    let bench = crate::support::bench(|it| it.max_size(2).min_size(0));
    drop(bench.take());
    bench.clock.advance(ms(499));
    drop(bench.take());
    assert_eq!(
        bench.plant.checks.load(std::sync::atomic::Ordering::SeqCst),
        0
    );
    bench.clock.advance(ms(500));
    drop(bench.take());
    assert_eq!(
        bench.plant.checks.load(std::sync::atomic::Ordering::SeqCst),
        1
    );
    bench.pass(secs(301));
    assert_eq!(bench.pool.stats().size, 0);
    let held = (bench.take(), bench.take());
    let mut acquire = std::pin::pin!(bench.pool.acquire());
    assert!(crate::support::is_pending(acquire.as_mut()));
    bench.clock.advance(ms(29_999));
    assert!(crate::support::is_pending(acquire.as_mut()));
    bench.clock.advance(ms(1));
    assert!(crate::support::is_timeout(&crate::support::ready(acquire)));
    bench.pass(secs(3571));
    assert_eq!(bench.pool.stats().leaks, 2);
    drop(held);
}
