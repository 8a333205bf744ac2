//! Limits that find themselves: near the capacity of a simulated service, and never beyond bounds.

#[path = "../../examples/adaptive_limit/simulation.rs"]
mod simulation;

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use brolly_batch::{
    AdaptiveLimit, AdaptiveLimitBuilder, Aimd, ConfigError, Gradient, LimitReason, Verdict,
};
use brolly_sync::ManualClock;
use proptest::prelude::*;

use simulation::{Report, Service, Simulation};

const MS: Duration = Duration::from_millis(1);

fn gradient(clock: &ManualClock, initial: usize) -> AdaptiveLimit {
    let limit = builder(clock).initial(initial).build();
    limit.expect("tests use settings within range")
}

fn builder(clock: &ManualClock) -> AdaptiveLimitBuilder {
    AdaptiveLimit::builder()
        .min(1)
        .max(1000)
        .clock(clock.clone())
}

fn before_service(workers: usize, takes: Duration, initial: usize) -> Simulation {
    let clock = ManualClock::new();
    let limit = gradient(&clock, initial);
    Simulation::new(clock, Service::new(workers, takes, 7), limit)
}

fn fixed(workers: usize, takes: Duration, at: usize) -> Simulation {
    let clock = ManualClock::new();
    let limit = builder(&clock).min(at).max(at).build();
    let limit = limit.expect("tests use settings within range");
    Simulation::new(clock, Service::new(workers, takes, 7), limit)
}

/// Requests a second that all workers together can answer.
fn capacity(workers: u32, takes: Duration) -> f64 {
    f64::from(workers) / takes.as_secs_f64()
}

fn highest(report: &Report) -> usize {
    report.limits.iter().copied().max().unwrap_or(0)
}

fn refused_field(builder: AdaptiveLimitBuilder) -> &'static str {
    match builder.build() {
        Err(ConfigError::OutOfRange { field, .. }) => field,
        Err(ConfigError::DurationOutOfRange { field, .. }) => field,
        other => panic!("{other:?}"),
    }
}

#[test]
fn settings_out_of_range_are_named() {
    let builder = AdaptiveLimit::builder;
    assert_eq!(refused_field(builder().min(0)), "min");
    assert_eq!(refused_field(builder().max(usize::MAX)), "max");
    assert_eq!(refused_field(builder().min(5).max(4)), "max");
    assert_eq!(refused_field(builder().min(5).initial(4)), "initial");
    assert_eq!(refused_field(builder().max(5).initial(6)), "initial");
    assert_eq!(refused_field(builder().window(0)), "window");
    let (aimd, slope) = (Aimd::default(), Gradient::default());
    for (aimd, field) in [
        (
            Aimd {
                increase: 0,
                ..aimd
            },
            "increase",
        ),
        (
            Aimd {
                decrease_percent: 100,
                ..aimd
            },
            "decrease_percent",
        ),
        (
            Aimd {
                latency: Some(Duration::ZERO),
                ..aimd
            },
            "latency",
        ),
    ] {
        assert_eq!(refused_field(builder().algorithm(aimd)), field);
    }
    for (slope, field) in [
        (
            Gradient {
                tolerance_percent: 100,
                ..slope
            },
            "tolerance_percent",
        ),
        (
            Gradient {
                probe_interval: 0,
                ..slope
            },
            "probe_interval",
        ),
    ] {
        assert_eq!(refused_field(builder().algorithm(slope)), field);
    }
    let narrow = builder().max(4).build().unwrap();
    assert_eq!(narrow.limit(), 4, "the default to begin with gives way");
}

#[test]
fn a_limit_comes_to_rest_near_the_capacity_from_below_and_above() {
    for initial in [1, 10, 20, 500] {
        let mut simulation = before_service(20, 10 * MS, initial);
        simulation.run(30_000);
        let settled = simulation.run(10_000);
        assert!(highest(&settled) <= 40, "{initial}: {}", highest(&settled));
        assert!(settled.mean_latency() < 17 * MS, "{initial}: {settled:?}");
        let reached = settled.goodput() / capacity(20, 10 * MS);
        assert!(reached > 0.93, "{initial}: {reached}");
    }
}

#[test]
fn it_beats_a_limit_that_is_too_small_and_one_that_is_too_large() {
    let found = before_service(20, 10 * MS, 10).run(20_000);
    let small = fixed(20, 10 * MS, 4).run(20_000);
    let large = fixed(20, 10 * MS, 200).run(20_000);
    assert!(found.goodput() > 4.0 * small.goodput());
    assert!(found.goodput() > 4.0 * large.goodput());
    assert!(found.mean_latency() * 5 < large.mean_latency());
}

/// The well-known gradient adds room for a queue at every step and compares with a long-term
/// average, which follows the latency of the queue: under a steady overload it grows without end.
#[test]
fn a_steady_overload_does_not_raise_the_limit() {
    let mut simulation = before_service(10, 10 * MS, 10);
    simulation.run(5_000);
    for _ in 0..10 {
        let report = simulation.run(20_000);
        assert!(highest(&report) <= 22, "{}", highest(&report));
    }
}

#[test]
fn a_limit_that_is_not_used_does_not_grow() {
    let mut simulation = before_service(100, 10 * MS, 50);
    simulation.demand = 3;
    let report = simulation.run(5_000);
    assert!(report.limits.iter().all(|limit| *limit == 50));
    let reasons = simulation.limit.history();
    assert!(
        reasons
            .iter()
            .all(|decision| decision.reason == LimitReason::Idle)
    );
    simulation.demand = usize::MAX;
    assert!(highest(&simulation.run(5_000)) > 100, "then it does");
}

#[test]
fn it_recovers_from_a_service_that_was_slow_for_a_while() {
    let mut simulation = before_service(20, 10 * MS, 20);
    simulation.run(10_000);
    simulation.service.takes = 80 * MS;
    simulation.run(1_000);
    simulation.service.takes = 10 * MS;
    simulation.run(1_000); // half a second at full speed
    let after = simulation.run(5_000);
    assert!(
        after.goodput() > 0.9 * capacity(20, 10 * MS),
        "{}",
        after.goodput()
    );
}

#[test]
fn a_service_that_got_slower_for_good_becomes_the_new_normal() {
    let mut simulation = before_service(20, 10 * MS, 20);
    simulation.run(10_000);
    simulation.service.takes = 30 * MS;
    simulation.deadline = 120 * MS;
    simulation.run(5_000);
    let after = simulation.run(5_000);
    assert!(
        after.goodput() > 0.9 * capacity(20, 30 * MS),
        "{}",
        after.goodput()
    );
    assert!(after.mean_latency() < 55 * MS);
}

/// At its least the limit cannot be halved for a probe; its windows there are as good as one.
#[test]
fn a_service_that_got_slower_while_the_limit_was_at_its_least_becomes_the_new_normal() {
    let clock = ManualClock::new();
    let limit = gradient(&clock, 1);
    let latency = |each: Duration, windows: usize| {
        for _ in 0..windows * 100 {
            let in_use = limit.limit();
            let samples: Vec<_> = (0..in_use).map(|_| limit.try_acquire()).collect();
            clock.advance(each);
            for sample in samples.into_iter().flatten() {
                sample.end(Verdict::Success);
            }
        }
    };
    latency(MS, 1);
    for _ in 0..200 {
        limit.measure().end(Verdict::Overload);
    }
    assert_eq!(limit.limit(), 1);
    latency(10 * MS, 20);
    assert!(limit.limit() > 20, "{:?}", limit.stats());
}

#[test]
fn aimd_stays_below_what_is_refused_and_comes_back_to_it() {
    let clock = ManualClock::new();
    let limit = builder(&clock).algorithm(Aimd::default()).build().unwrap();
    let mut service = Service::new(20, 10 * MS, 3);
    service.refuses_at = 40;
    let mut simulation = Simulation::new(clock, service, limit.clone());
    simulation.run(10_000);
    let settled = simulation.run(10_000);
    assert!(
        settled.refused > 0 && settled.refused < 200,
        "{}",
        settled.refused
    );
    let lowest = settled.limits.iter().copied().min().unwrap();
    assert!((30..=41).contains(&lowest), "{lowest}");
    assert!(highest(&settled) <= 41, "{}", highest(&settled));
    let last = limit.history();
    assert!(
        last.iter()
            .any(|decision| decision.reason == LimitReason::Overload)
    );
}

#[test]
fn aimd_without_signs_of_overload_grows_to_its_maximum() {
    let clock = ManualClock::new();
    let limit = builder(&clock).max(30).algorithm(Aimd::default()).build();
    let mut simulation = Simulation::new(clock, Service::new(100, MS, 3), limit.unwrap());
    simulation.run(2_000);
    assert_eq!(simulation.limit.limit(), 30);
}

#[test]
fn one_bad_moment_lowers_the_limit_once() {
    let clock = ManualClock::new();
    let limit = builder(&clock)
        .initial(100)
        .algorithm(Aimd::default())
        .build()
        .unwrap();
    let together: Vec<_> = (0..50).map(|_| limit.try_acquire().unwrap()).collect();
    for sample in together {
        sample.end(Verdict::Overload);
    }
    assert_eq!(limit.limit(), 90);
    limit.try_acquire().unwrap().end(Verdict::Overload);
    assert_eq!(
        limit.limit(),
        81,
        "one that started afterwards counts again"
    );
}

#[test]
fn a_sample_that_is_dropped_teaches_nothing_and_returns_its_permit() {
    let clock = ManualClock::new();
    let limit = builder(&clock).initial(2).max(2).window(1).build().unwrap();
    let sample = limit.try_acquire().unwrap();
    assert_eq!((limit.stats().in_flight, limit.pool().active()), (1, 1));
    drop(sample);
    let panicking = std::panic::catch_unwind(AssertUnwindSafe(|| {
        let _sample = limit.acquire_blocking();
        panic!("on purpose");
    }));
    assert!(panicking.is_err());
    limit.measure().end(Verdict::Ignored);
    let stats = limit.stats();
    assert_eq!((stats.ignored, stats.in_flight, stats.decisions), (3, 0, 0));
    assert_eq!(limit.pool().active(), 0);
}

#[test]
fn an_acquire_dropped_at_any_poll_loses_no_permit() {
    let poll = |future: &mut brolly_batch::AcquireSample| {
        Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
    };
    for polls in 0..3 {
        for granted in [false, true] {
            let limit = builder(&ManualClock::new()).initial(1).build().unwrap();
            let held = limit.try_acquire().unwrap();
            let mut waits = limit.acquire();
            for _ in 0..polls {
                assert!(matches!(poll(&mut waits), Poll::Pending));
            }
            if granted {
                drop(held);
                drop(waits);
            } else {
                drop(waits);
                drop(held);
            }
            assert_eq!((limit.pool().active(), limit.pool().waiting()), (0, 0));
            assert_eq!(limit.stats().in_flight, 0);
        }
    }
}

#[test]
fn a_grown_limit_serves_those_who_wait() {
    let clock = ManualClock::new();
    let limit = builder(&clock)
        .initial(1)
        .window(1)
        .algorithm(Aimd::default())
        .build()
        .unwrap();
    let first = limit.try_acquire().unwrap();
    let mut waits = [limit.acquire(), limit.acquire()];
    let mut context = Context::from_waker(Waker::noop());
    for wait in &mut waits {
        assert!(Pin::new(wait).poll(&mut context).is_pending());
    }
    first.end(Verdict::Success);
    assert_eq!(limit.limit(), 2);
    for wait in &mut waits {
        assert!(Pin::new(wait).poll(&mut context).is_ready());
    }
}

#[test]
fn every_decision_is_told_and_no_more_than_64_are_kept() {
    let mut simulation = before_service(20, 10 * MS, 5);
    simulation.run(20_000);
    let history = simulation.limit.history();
    assert_eq!(history.len(), 64);
    assert!(simulation.limit.stats().decisions > 64);
    assert!(
        history
            .windows(2)
            .all(|pair| pair[0].to == pair[1].from && pair[0].at <= pair[1].at)
    );
    assert_eq!(history.last().unwrap().to, simulation.limit.limit());
    assert_eq!(simulation.limit.pool().max(), simulation.limit.limit());
}

#[test]
fn threads_that_decide_at_once_leave_the_pool_at_the_limit() {
    let limit = AdaptiveLimit::builder()
        .window(1)
        .initial(4)
        .max(64)
        .algorithm(Aimd::default())
        .build()
        .unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let limit = limit.clone();
            scope.spawn(move || {
                for n in 0..2_000 {
                    let verdict = match (n + thread) % 50 {
                        0 => Verdict::Overload,
                        _ => Verdict::Success,
                    };
                    limit.acquire_blocking().end(verdict);
                }
            });
        }
    });
    assert_eq!(limit.pool().max(), limit.limit());
    assert_eq!((limit.pool().active(), limit.stats().in_flight), (0, 0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_service_the_limit_finds_it(
        workers in 2_usize..64,
        takes in 1_u64..100,
        initial in 1_usize..300,
        spread in 0_u64..40,
        seed in any::<u64>(),
    ) {
        let (clock, takes) = (ManualClock::new(), Duration::from_millis(takes));
        let limit = gradient(&clock, initial);
        let mut service = Service::new(workers, takes, seed);
        service.spread_percent = spread;
        let mut simulation = Simulation::new(clock, service, limit);
        simulation.run(20_000);
        let settled = simulation.run(5_000);
        let reached = settled.goodput() / capacity(workers as u32, takes);
        prop_assert!(reached > 0.85, "{reached} of what is possible");
        prop_assert!(settled.mean_latency() < takes * 2, "{:?}", settled.mean_latency());
        prop_assert!(highest(&settled) <= 3 * workers + 3, "{}", highest(&settled));
    }

    /// Any outcomes, latencies and numbers in flight: the limit stays within its bounds, and the
    /// pool is at the limit.
    #[test]
    fn the_limit_never_leaves_its_bounds(
        min in 1_usize..20,
        above in 0_usize..50,
        aimd in any::<bool>(),
        items in prop::collection::vec((0_u8..10, 0_u64..u64::MAX, 1_usize..80), 1..300),
    ) {
        let clock = ManualClock::new();
        let max = min + above;
        let settings = AdaptiveLimit::builder().min(min).max(max).window(2).clock(clock.clone());
        let limit = match aimd {
            true => settings.algorithm(Aimd { latency: Some(MS), ..Aimd::default() }),
            false => settings.algorithm(Gradient { probe_interval: 2, ..Gradient::default() }),
        }.build().unwrap();
        for (verdict, latency, together) in items {
            let samples: Vec<_> = (0..together).map(|_| limit.measure()).collect();
            clock.advance(Duration::from_nanos(latency >> (latency % 64)));
            for sample in samples {
                sample.end(match verdict {
                    0 => Verdict::Overload,
                    1 => Verdict::Ignored,
                    _ => Verdict::Success,
                });
            }
            prop_assert!((min..=max).contains(&limit.limit()));
            prop_assert_eq!(limit.pool().max(), limit.limit());
        }
    }
}

#[cfg(feature = "serde")]
#[test]
fn settings_and_decisions_are_data_and_unknown_settings_are_refused() {
    use brolly_batch::LimitAlgorithm;

    let read = |text: &str| serde_json::from_str::<LimitAlgorithm>(text);
    let read_back = read(r#"{"gradient":{"tolerance_percent":200}}"#).unwrap();
    let expected = Gradient {
        tolerance_percent: 200,
        ..Gradient::default()
    };
    assert_eq!(read_back, expected.into());
    assert!(read(r#"{"gradient":{"tolerance":2}}"#).is_err());
    assert!(read(r#"{"aimd":{"increase":1,"speed":2}}"#).is_err());

    let mut simulation = before_service(4, 10 * MS, 4);
    simulation.run(100);
    let decision = simulation.limit.history()[0];
    let written = serde_json::to_value(decision).unwrap();
    assert_eq!(
        (&written["reason"], &written["from"]),
        (&"start".into(), &4.into())
    );
    assert!(serde_json::to_value(simulation.limit.stats()).is_ok());
}
