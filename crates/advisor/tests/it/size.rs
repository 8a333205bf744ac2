//! Sizes: never inverted, never grown without need, and what queueing theory says.

use std::time::Duration;

use brolly_advisor::{
    Demand, MAX_SERVERS, SizeFormula, SizeRange, SizeSmoother, probability_of_wait,
};
use proptest::prelude::*;

fn suggest(utilisation: f64, min: u32, max: u32) -> (u32, u32) {
    let size = SizeFormula::default().suggest(utilisation, min, max);
    (size.min(), size.max())
}

#[test]
fn a_busy_pool_grows_by_half_and_an_idle_one_shrinks() {
    assert_eq!(suggest(0.81, 5, 20), (10, 30));
    assert_eq!(suggest(0.95, 5, 7), (4, 11));
    assert_eq!(suggest(0.29, 20, 100), (30, 70));
    assert_eq!(suggest(0.0, 5, 12), (5, 10));
}

#[test]
fn in_between_nothing_changes() {
    for utilisation in [0.3, 0.5, 0.8, f64::NAN] {
        assert_eq!(suggest(utilisation, 5, 20), (5, 20));
    }
}

#[test]
fn the_least_size_is_never_above_the_greatest() {
    // The originals gave 5 and 3 for a pool of three, 0 and 1 for a pool of one.
    assert_eq!(suggest(0.1, 1, 3), (3, 3));
    assert_eq!(suggest(0.9, 1, 1), (1, 2));
    assert_eq!(suggest(0.5, 9, 3), (3, 3));
    assert_eq!(suggest(0.5, 0, 0), (1, 1));
}

#[test]
fn a_pool_that_is_hardly_used_is_never_told_to_grow() {
    // The originals raised a pool of three to ten because hardly any of it was used.
    assert_eq!(suggest(0.1, 1, 3).1, 3);
    assert_eq!(suggest(0.1, 1, 9).1, 9);
}

#[test]
fn a_ceiling_is_kept() {
    let formula = SizeFormula {
        ceiling: 25,
        ..SizeFormula::default()
    };
    assert_eq!(formula.suggest(0.95, 5, 20), SizeRange::new(10, 25));
    let nothing = SizeFormula {
        ceiling: 0,
        ..formula
    };
    assert_eq!(nothing.suggest(0.95, 5, 20), SizeRange::new(1, 1));
}

#[test]
fn a_moment_does_not_change_the_size() {
    let mut smoother = SizeSmoother::new(SizeFormula::default(), Duration::from_secs(300));
    let at = Duration::from_secs;
    smoother.observe(at(0), 1.0);
    assert_eq!(smoother.suggest(5, 20), None, "too little is known");
    for minute in 1..30 {
        smoother.observe(at(10 * minute), 0.5);
    }
    smoother.observe(at(300), 1.0);
    assert_eq!(smoother.suggest(5, 20), Some(SizeRange::new(5, 20)));
    for step in 31..61 {
        smoother.observe(at(10 * step), 0.95);
    }
    assert_eq!(smoother.suggest(5, 20), Some(SizeRange::new(10, 30)));
    // A year later nothing is known again.
    smoother.observe(at(365 * 24 * 3600), 0.5);
    assert_eq!(smoother.suggest(5, 20), None);
}

#[test]
fn utilisation_is_smoothed_however_seldom_it_is_measured() {
    // The usual periods of a scrape, and seconds until half of five minutes is known.
    for (period, known) in [(1, 140), (15, 150), (30, 150), (60, 180), (120, 240)] {
        let mut smoother = SizeSmoother::new(SizeFormula::default(), Duration::from_secs(300));
        for at in (0..3_000).step_by(period) {
            smoother.observe(Duration::from_secs(at), 0.5);
            let is_known = smoother.utilisation().is_some();
            assert_eq!(is_known, at >= known, "every {period} s, at {at} s");
        }
        smoother.observe(Duration::from_secs(3_000), 1.0);
        assert_eq!(smoother.suggest(5, 20), Some(SizeRange::new(5, 20)));
    }
}

/// Servers, load in Erlang, probability of waiting: the small ones from tables of Erlang's second
/// formula, all of them as exact fractions give it.
#[test]
fn the_probability_of_waiting_is_that_of_the_tables() {
    for (servers, load, wait) in [
        (1, 0.5, 0.5),
        (2, 1.0, 1.0 / 3.0),
        (3, 2.0, 4.0 / 9.0),
        (5, 4.0, 0.554_11),
        (10, 8.0, 0.409_18),
        (11, 10.0, 0.682_12),
        (55, 50.0, 0.384_55),
    ] {
        let got = probability_of_wait(servers, load).expect("a valid load");
        assert!((got - wait).abs() < 5e-5, "{servers} {load}: {got}");
    }
}

#[test]
fn an_overloaded_pool_waits_for_certain() {
    assert_eq!(probability_of_wait(4, 4.0), Some(1.0));
    assert_eq!(probability_of_wait(4, 1e300), Some(1.0));
    assert_eq!(probability_of_wait(4, f64::INFINITY), Some(1.0));
    assert_eq!(probability_of_wait(0, 0.0), Some(1.0));
    assert_eq!(probability_of_wait(4, 0.0), Some(0.0));
    assert_eq!(probability_of_wait(4, -1.0), None);
    assert_eq!(probability_of_wait(4, f64::NAN), None);
}

#[test]
fn a_demand_is_met_by_the_smallest_size_that_keeps_the_wait() {
    // 200 acquisitions a second that hold for 40 ms: 8 are in use on average.
    let demand = Demand {
        arrivals_per_second: 200.0,
        hold_seconds: 0.040,
    };
    assert_eq!(demand.offered_load(), Some(8.0));
    let size = demand.size(0.005).expect("within reach");
    assert_eq!(size.min(), 8);
    let wait = |servers| demand.mean_wait_seconds(servers).expect("valid");
    assert!(wait(size.max()) <= 0.005);
    assert!(wait(size.max() - 1) > 0.005);
    assert_eq!(wait(8), f64::INFINITY);
}

#[test]
fn a_demand_beyond_reach_has_no_size() {
    let demand = |arrivals_per_second, hold_seconds| Demand {
        arrivals_per_second,
        hold_seconds,
    };
    assert_eq!(demand(1e9, 1.0).size(1.0), None);
    assert_eq!(demand(f64::INFINITY, 0.0).size(1.0), None);
    assert_eq!(demand(f64::NAN, 1.0).size(1.0), None);
    assert_eq!(demand(1.0, -1.0).size(1.0), None);
    assert_eq!(demand(1.0, 1.0).size(f64::NAN), None);
    assert_eq!(demand(1.0, 1.0).size(-1.0), None);
    assert_eq!(demand(0.0, 0.0).size(0.0), Some(SizeRange::new(1, 1)));
    let huge = demand(65_000.0, 1.0).size(0.01).expect("just within reach");
    assert!(huge.max() <= MAX_SERVERS);
}

fn edges_u32() -> impl Strategy<Value = u32> {
    prop_oneof![any::<u32>(), 0u32..20, Just(u32::MAX), Just(u32::MAX - 1)]
}

fn edges_f64() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>(),
        0.0..1.0,
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
    ]
}

proptest! {
    #[test]
    fn every_size_is_in_order_and_at_least_one(
        utilisation in edges_f64(),
        min in edges_u32(),
        max in edges_u32(),
        ceiling in edges_u32(),
        grow_above in edges_f64(),
        shrink_below in edges_f64(),
    ) {
        let formula = SizeFormula { grow_above, shrink_below, ceiling };
        for formula in [formula, SizeFormula::default()] {
            let size = formula.suggest(utilisation, min, max);
            prop_assert!(1 <= size.min() && size.min() <= size.max());
        }
        if utilisation < 0.8 {
            let size = SizeFormula::default().suggest(utilisation, min, max);
            prop_assert!(size.max() <= max.max(1));
        }
    }

    #[test]
    fn more_connections_never_wait_longer(servers in 1u32..300, load in 0.0f64..300.0) {
        let fewer = probability_of_wait(servers, load).expect("valid");
        let more = probability_of_wait(servers + 1, load).expect("valid");
        prop_assert!((0.0..=1.0).contains(&fewer));
        prop_assert!(more <= fewer);
        let heavier = probability_of_wait(servers, load * 1.1).expect("valid");
        prop_assert!(heavier >= fewer - 1e-12);
    }

    #[test]
    fn every_demand_has_an_answer(
        arrivals in edges_f64(),
        hold in edges_f64(),
        target in edges_f64(),
        servers in edges_u32(),
    ) {
        let demand = Demand { arrivals_per_second: arrivals, hold_seconds: hold };
        if let Some(size) = demand.size(target) {
            prop_assert!(1 <= size.min() && size.min() <= size.max());
            prop_assert!(demand.mean_wait_seconds(size.max()).expect("valid") <= target);
        }
        if let Some(wait) = demand.mean_wait_seconds(servers) {
            prop_assert!(wait >= 0.0);
        }
    }
}
