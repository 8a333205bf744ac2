//! The controller: within its bounds, by steps, with pauses, and never to and fro.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use brolly_resource_pool::{Controller, ControllerBuilder, Demand, Event, Resized};
use proptest::prelude::*;

use crate::support::{Bench, bench, ms, secs};

fn built(settings: impl FnOnce(ControllerBuilder) -> ControllerBuilder) -> Controller {
    settings(Controller::builder()).build().unwrap()
}

/// A load in Erlang on a pool of this size.
fn demand(load: f64, max: usize) -> Demand {
    let mut demand = Demand::default();
    demand.over = secs(10);
    demand.arrivals_per_second = load * 10.0;
    demand.hold_seconds = Some(0.1);
    demand.max = max;
    demand
}

#[test]
fn settings_out_of_their_range_are_named() {
    type Change = fn(ControllerBuilder) -> ControllerBuilder;
    let cases: [(Change, &str); 10] = [
        (|it| it.max_size(0), "max_size is 0, allowed is 1 to 65536"),
        (
            |it| it.max_size(70_000),
            "max_size is 70000, allowed is 1 to 65536",
        ),
        (
            |it| it.min_size(0),
            "min_size is 0, allowed is 1 to max_size",
        ),
        (
            |it| it.min_size(9).max_size(8),
            "min_size is 9, allowed is 1 to max_size",
        ),
        (
            |it| it.headroom(f64::NAN),
            "headroom is NaN, allowed is 0 to 100",
        ),
        (
            |it| it.headroom(-1.0),
            "headroom is -1.0, allowed is 0 to 100",
        ),
        (|it| it.step(0), "step is 0, allowed is 1 or more"),
        (
            |it| it.hysteresis(1.0),
            "hysteresis is 1.0, allowed is 0 to 0.9",
        ),
        (
            |it| it.cool_down(Duration::ZERO),
            "cool_down is 0ns, allowed is more than zero",
        ),
        (
            |it| it.interval(Duration::ZERO),
            "interval is 0ns, allowed is more than zero",
        ),
    ];
    for (change, text) in cases {
        let error = change(Controller::builder()).build().unwrap_err();
        assert_eq!(error.to_string(), text);
    }
    let controller = built(|it| it.min_size(4).max_size(8));
    let pool = brolly_resource_pool::Pool::builder(crate::support::Factory::new());
    let error = pool.max_size(9).controller(controller).build().unwrap_err();
    assert_eq!(
        error.to_string(),
        "max_size is 9, allowed is within the bounds of the controller"
    );
}

#[test]
fn it_grows_by_steps_with_pauses_until_the_demand_is_met() {
    let mut controller = built(|it| it.max_size(100).step(8).cool_down(secs(30)));
    let mut max = 10;
    let mut changes = Vec::new();
    for at in (0..300).step_by(10) {
        if let Some(to) = controller.decide(&demand(25.0, max), secs(at)) {
            changes.push((at, to));
            max = to;
        }
    }
    // 25 + 2 · 5 are needed.
    assert_eq!(changes, [(0, 18), (30, 26), (60, 34), (90, 35)]);
}

#[test]
fn it_shrinks_only_when_less_was_needed_for_a_while() {
    let mut controller = built(|it| it.min_size(2).step(100).cool_down(secs(30)).headroom(0.0));
    // A burst at 80 s, and quiet before and after.
    let load = |at| if at == 80 { 20.0 } else { 4.0 };
    let mut max = 20;
    let mut changes = Vec::new();
    for at in (0..200).step_by(10) {
        if let Some(to) = controller.decide(&demand(load(at), max), secs(at)) {
            changes.push((at, to));
            max = to;
        }
    }
    // A whole cool-down has to be quiet before that is believed.
    assert_eq!(changes, [(30, 5), (80, 20), (120, 5)]);
}

#[test]
fn a_little_less_moves_nothing() {
    let mut controller = built(|it| it.hysteresis(0.2).headroom(0.0).cool_down(secs(10)));
    for at in 0..100 {
        let load = if at % 2 == 0 { 8.0 } else { 8.5 };
        assert_eq!(controller.decide(&demand(load, 10), secs(at * 10)), None);
    }
    // Less than that by more than the hysteresis, for a whole cool-down.
    assert_eq!(controller.decide(&demand(7.0, 10), secs(1000)), None);
    assert_eq!(controller.decide(&demand(7.0, 10), secs(1010)), Some(8));
}

#[test]
fn a_forecast_grows_it_before_and_a_bad_one_does_nothing() {
    let mut controller = built(|it| it.headroom(0.0).step(100).forecast(|_| 300.0));
    assert_eq!(controller.decide(&demand(4.0, 10), secs(0)), Some(30));
    type Forecast = fn(&Demand) -> f64;
    let bad: [Forecast; 5] = [
        |_| f64::NAN,
        |_| f64::INFINITY,
        |_| -1e300,
        |_| 0.0,
        |_| panic!("no idea"),
    ];
    for forecast in bad {
        let mut controller = built(|it| it.headroom(0.0).step(100).forecast(forecast));
        assert_eq!(controller.decide(&demand(12.0, 10), secs(0)), Some(12));
    }
}

#[test]
fn what_somebody_else_has_set_is_brought_back_within_the_bounds() {
    let mut controller = built(|it| it.min_size(4).max_size(8).step(1));
    assert_eq!(controller.decide(&demand(5.0, 50), secs(0)), Some(8));
    assert_eq!(controller.decide(&demand(5.0, 1), secs(1)), Some(4));
    // The pool's own minimum is a bound too.
    let mut below = demand(0.0, 6);
    below.min = 7;
    assert_eq!(controller.decide(&below, secs(2)), Some(7));
}

#[test]
fn figures_that_are_none_do_no_harm() {
    let mut controller = built(|it| it.max_size(8).cool_down(Duration::MAX));
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, -1.0] {
        let mut odd = demand(1.0, 8);
        odd.arrivals_per_second = value;
        odd.hold_seconds = Some(value);
        odd.mean_in_use = value;
        let to = controller.decide(&odd, Duration::MAX).unwrap_or(8);
        assert!((1..=8).contains(&to));
    }
}

/// A pool whose janitor steers it, and what was told about it.
fn steered() -> (Bench, Arc<Mutex<Vec<Resized>>>) {
    let controller = built(|it| {
        let it = it.min_size(2).max_size(12).step(3).interval(secs(10));
        it.cool_down(secs(20))
    });
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&told);
    let bench = bench(|it| {
        let it = it.max_size(4).min_size(1).health_interval(None);
        let it = it.max_lifetime(None).leak_after(None);
        it.controller(controller).on_event(move |event| {
            if let Event::Resized(resized) = event {
                listener.lock().unwrap().push(*resized);
            }
        })
    });
    (bench, told)
}

#[test]
fn a_pool_that_is_steered_grows_with_its_queue_and_shrinks_when_it_is_quiet() {
    let (bench, told) = steered();
    let mut held: Vec<_> = (0..4).map(|_| bench.take()).collect();
    bench.pass(secs(1));
    let mut waiting: Vec<_> = (0..8)
        .map(|_| Box::pin(bench.pool.acquire_timeout(secs(500))))
        .collect();
    for acquire in &mut waiting {
        assert!(crate::support::is_pending(acquire.as_mut()));
    }
    for _ in 0..30 {
        bench.pass(secs(10));
        waiting.retain_mut(|acquire| match crate::support::look(acquire.as_mut()) {
            std::task::Poll::Ready(guard) => {
                held.push(guard.unwrap());
                false
            }
            std::task::Poll::Pending => true,
        });
    }
    assert_eq!(bench.pool.stats().max, 12);
    assert_eq!(held.len(), 12);
    drop(held);
    bench.pass(secs(600));
    let stats = bench.assert_conserved();
    assert_eq!((stats.max, stats.min), (3, 1), "{:?}", told.lock().unwrap());
    let told = told.lock().unwrap();
    assert!(told.windows(2).all(|pair| pair[0].to == pair[1].from));
    assert!(told.iter().all(|it| it.from.abs_diff(it.to) <= 3));
    let turns = told
        .windows(2)
        .filter(|it| (it[0].to > it[0].from) != (it[1].to > it[1].from));
    assert_eq!(turns.count(), 1);
}

#[test]
fn ticked_by_hand_it_does_the_same() {
    let bench = bench(|it| it.max_size(4));
    let mut controller = built(|it| it.headroom(0.0).step(2).cool_down(secs(20)));
    assert!(controller.tick(&bench.pool).is_none());
    // No time has passed: nothing is known.
    assert!(controller.tick(&bench.pool).is_none());
    bench.pass(secs(30));
    drop(bench.take());
    bench.pass(secs(1));
    assert!(controller.tick(&bench.pool).is_none());
    bench.pass(secs(30));
    let resized = controller.tick(&bench.pool).unwrap();
    assert_eq!((resized.from, resized.to), (4, 2));
    assert_eq!(bench.pool.stats().max, 2);
    bench.pool.close();
    bench.pass(secs(100));
    assert!(controller.tick(&bench.pool).is_none());
}

#[test]
fn a_forecast_that_uses_its_pool_does_not_lock_it_up() {
    let pool = Arc::new(Mutex::new(
        None::<brolly_resource_pool::Pool<crate::support::Factory>>,
    ));
    let seen = Arc::clone(&pool);
    let controller = built(|it| {
        it.interval(secs(1)).forecast(move |_| {
            let pool = seen.lock().unwrap().clone().unwrap();
            pool.stats().in_use as f64 + pool.demand().arrivals_per_second
        })
    });
    let bench = bench(|it| it.max_size(4).controller(controller));
    *pool.lock().unwrap() = Some(bench.pool.clone());
    drop(bench.take());
    for _ in 0..5 {
        bench.pass(secs(1));
        drop(bench.take());
    }
    pool.lock().unwrap().take();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever is asked for: within the bounds, no more than a step, no sooner than the pause.
    #[test]
    fn bounds_steps_and_pauses_hold(
        bounds in (1..40_usize, 0..40_usize),
        step in 1..10_usize,
        cool_down in 1..50_u64,
        headroom in 0.0..5.0_f64,
        loads in prop::collection::vec((0.0..100.0_f64, 1..20_u64), 1..80),
    ) {
        let (low, high) = (bounds.0, bounds.0 + bounds.1);
        let mut controller = built(|it| {
            let it = it.min_size(low).max_size(high).step(step);
            it.headroom(headroom).cool_down(secs(cool_down))
        });
        let (mut max, mut at, mut changed) = (low, 0, None::<u64>);
        for (load, after) in loads {
            at += after;
            let Some(to) = controller.decide(&demand(load, max), secs(at)) else { continue };
            prop_assert!((low..=high).contains(&to));
            prop_assert!(to != max && to.abs_diff(max) <= step);
            prop_assert!(changed.is_none_or(|changed| at - changed >= cool_down));
            // Nobody takes away what is needed just now.
            let needed = (load + headroom * load.sqrt()).ceil() as usize;
            prop_assert!(to > max || to >= needed.clamp(low, high).min(max));
            (max, changed) = (to, Some(at));
        }
    }

    /// Under a demand that stays about the same it comes to rest, and turns round never.
    #[test]
    fn a_steady_demand_never_makes_it_turn(
        load in 0.0..80.0_f64,
        first in 1..100_usize,
        noise in prop::collection::vec(0.97..1.03_f64, 200),
    ) {
        let mut controller = built(|it| it.cool_down(secs(30)));
        let (mut max, mut directions) = (first, Vec::new());
        for (tick, noise) in noise.iter().enumerate() {
            let at = secs(10 * tick as u64) + ms(1);
            if let Some(to) = controller.decide(&demand(load * noise, max), at) {
                directions.push(to > max);
                max = to;
            }
        }
        directions.dedup();
        prop_assert!(directions.len() <= 1, "{directions:?}");
        let needed = load + 2.0 * load.sqrt();
        prop_assert!(max as f64 >= (needed * 0.97).min(100.0).floor(), "{max} of {needed}");
    }
}
