//! What a pool is asked for, and which way its size should go.

use std::pin::pin;

use brolly_resource_pool::{Demand, Scale, scaling_signal};

use crate::support::{Bench, bench, is_pending, lone, ms, ready, secs};

/// Uses a resource for so long, so many times, one after another.
fn serve(bench: &Bench, times: u32, hold: u64, pause: u64) {
    for _ in 0..times {
        let held = bench.take();
        bench.clock.advance(ms(hold));
        drop(held);
        bench.clock.advance(ms(pause));
    }
}

fn about(value: f64, expected: f64) -> bool {
    (value - expected).abs() <= 1e-9 * expected.abs().max(1.0)
}

#[test]
fn arrivals_times_hold_is_what_is_in_use_on_average() {
    let bench = lone(|it| it.max_size(4));
    serve(&bench, 100, 40, 60);
    let demand = bench.pool.demand();
    assert_eq!(demand.over, secs(10));
    assert_eq!((demand.arrivals, demand.served), (100, 100));
    assert!(about(demand.arrivals_per_second, 10.0), "{demand:?}");
    assert!(about(demand.hold_seconds.unwrap(), 0.04), "{demand:?}");
    assert!(about(demand.mean_in_use, 0.4), "{demand:?}");
    assert!(about(demand.mean_utilization, 0.1), "{demand:?}");
    assert!(about(demand.offered_load(), 0.4), "{demand:?}");
}

#[test]
fn demand_is_of_the_time_since_it_was_asked_for_last() {
    let bench = lone(|it| it.max_size(4));
    serve(&bench, 100, 40, 60);
    let _ = bench.pool.demand();
    let before = bench.pool.stats();
    serve(&bench, 10, 10, 90);
    let demand = bench.pool.demand();
    assert_eq!(
        (demand.over, demand.served, demand.misses),
        (secs(1), 10, 0)
    );
    assert!(about(demand.hold_seconds.unwrap(), 0.01), "{demand:?}");
    assert_eq!(bench.pool.demand_since(&before), demand);
    // Nothing happened since, not even time.
    let demand = bench.pool.demand();
    assert_eq!((demand.arrivals, demand.over), (0, secs(0)));
    assert_eq!(
        (demand.arrivals_per_second, demand.hold_seconds),
        (0.0, None)
    );
    // Figures in the wrong order are nothing, and no panic.
    let demand = Demand::between(Some(&bench.pool.stats()), &before);
    assert_eq!((demand.arrivals, demand.over), (0, secs(0)));
}

#[test]
fn waits_are_those_of_the_time_and_of_all_who_were_served() {
    let bench = bench(|it| it.max_size(1));
    drop(bench.take());
    let wait_for = |millis| {
        let held = bench.take();
        let mut waiting = pin!(bench.pool.acquire());
        assert!(is_pending(waiting.as_mut()));
        bench.clock.advance(ms(millis));
        drop(held);
        drop(ready(waiting).unwrap());
    };
    wait_for(5000);
    let _ = bench.pool.demand();
    for _ in 0..10 {
        wait_for(100);
    }
    let demand = bench.pool.demand();
    // Ten who held, and ten who waited for them.
    assert_eq!((demand.served, demand.hits, demand.misses), (20, 10, 10));
    assert!(about(demand.wait_seconds.unwrap(), 0.05), "{demand:?}");
    assert_eq!(demand.wait_p50, secs(0));
    assert!(
        demand.wait_p95 >= ms(100) && demand.wait_p95 <= ms(125),
        "{demand:?}"
    );
}

#[test]
fn who_got_nothing_has_asked_too() {
    let bench = bench(|it| it.max_size(1).acquire_timeout(secs(1)));
    let _held = bench.take();
    let _ = bench.pool.demand();
    assert!(bench.pool.try_acquire().is_err());
    let mut late = Box::pin(bench.pool.acquire());
    assert!(is_pending(late.as_mut()));
    bench.clock.advance(secs(1));
    assert!(ready(late.as_mut()).is_err());
    let mut waiting = Box::pin(bench.pool.acquire());
    assert!(is_pending(waiting.as_mut()));
    let demand = bench.pool.demand();
    assert_eq!((demand.arrivals, demand.served), (3, 0));
    assert_eq!((demand.exhaustions, demand.waiting), (2, 1));
    assert_eq!(demand.hold_seconds, None);
    assert!(about(demand.offered_load(), 2.0), "{demand:?}");
}

#[test]
fn utilization_over_time_goes_by_the_maximum_of_the_time() {
    let bench = lone(|it| it.max_size(2));
    let held = (bench.take(), bench.take());
    bench.clock.advance(secs(10));
    // All were used of the two, and then half of four.
    bench.pool.resize(0, 4).unwrap();
    bench.clock.advance(secs(10));
    let stats = bench.pool.stats();
    assert_eq!(stats.capacity, secs(60));
    assert_eq!(stats.hold.total, secs(40));
    assert!(
        about(stats.mean_utilization, 100.0 * 40.0 / 60.0),
        "{stats:?}"
    );
    assert!(about(stats.utilization, 50.0));
    drop(held);
}

#[test]
fn the_signal_follows_use_and_queue() {
    let bench = bench(|it| it.max_size(10));
    let signal = || scaling_signal(&bench.pool.stats());
    assert_eq!(signal().scale, Scale::Down);
    let mut held = Vec::new();
    let mut scales = Vec::new();
    for _ in 0..10 {
        held.push(bench.take());
        scales.push(signal().scale);
    }
    // Less than three of ten, and more than eight of ten.
    assert_eq!(scales[..2], [Scale::Down; 2]);
    assert_eq!(scales[2..8], [Scale::Stay; 6]);
    assert_eq!(scales[8..], [Scale::Up; 2]);
    let mut waiting: Vec<_> = (0..5).map(|_| Box::pin(bench.pool.acquire())).collect();
    for acquire in &mut waiting {
        assert!(is_pending(acquire.as_mut()));
    }
    let queued = signal();
    assert!(about(queued.queue_pressure, 0.5) && about(queued.utilization, 1.0));
    // Who waits counts more than what is in use.
    let mut stats = bench.pool.stats();
    stats.in_use = 0;
    assert_eq!(scaling_signal(&stats).scale, Scale::Up);
    stats.is_closed = true;
    assert_eq!(scaling_signal(&stats).scale, Scale::Stay);
    stats.max = 0;
    assert!(scaling_signal(&stats).queue_pressure.is_finite());
}

/// The advisor's figures are copied field by field; nothing has to be reckoned.
#[test]
fn an_adviser_of_sizes_gets_what_it_asks_for() {
    let bench = lone(|it| it.max_size(20).min_size(2));
    serve(&bench, 100, 40, 10);
    let demand = bench.pool.demand();
    let asked = brolly_advisor::Demand {
        arrivals_per_second: demand.arrivals_per_second,
        hold_seconds: demand.hold_seconds.unwrap(),
    };
    let load = asked.offered_load().unwrap();
    assert!(about(load, demand.offered_load()) && about(load, 0.8));
    assert_eq!(asked.size(0.1).unwrap().max(), 2);
    let usage = brolly_advisor::PoolUsage {
        active: demand.in_use as u64,
        idle: demand.idle as u64,
        min: u32::try_from(demand.min).ok(),
        max: u32::try_from(demand.max).ok(),
        hits: demand.hits,
        misses: demand.misses,
        errors: demand.errors,
        exhaustions: demand.exhaustions,
        wait_seconds: demand.wait_seconds,
        hold_seconds: demand.hold_seconds,
        mean_utilisation: Some(demand.mean_utilization),
    };
    assert_eq!(usage.acquisitions(), 100);
    assert!(about(usage.utilisation(), 0.04));
}

#[cfg(feature = "serde")]
#[test]
fn demand_and_signal_are_data() {
    let bench = lone(|it| it.max_size(1));
    drop(bench.take());
    let demand = serde_json::to_value(bench.pool.demand()).unwrap();
    assert_eq!(demand["served"], 1);
    let signal = serde_json::to_value(scaling_signal(&bench.pool.stats())).unwrap();
    assert_eq!(signal["scale"], "down");
}
