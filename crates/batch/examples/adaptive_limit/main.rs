//! Fixed limits against one that finds itself, before a service of twenty workers with a queue.
//!
//! `cargo run -p brolly-batch --example adaptive_limit`

mod simulation;

use std::error::Error;
use std::time::Duration;

use brolly_batch::{AdaptiveLimit, Aimd, Gradient, LimitAlgorithm};
use brolly_sync::ManualClock;

use simulation::{Service, Simulation};

const TAKES: Duration = Duration::from_millis(10);
const WORKERS: usize = 20;
const ANSWERS: usize = 20_000;

fn main() -> Result<(), Box<dyn Error>> {
    println!(
        "{WORKERS} workers, {TAKES:?} a request, a deadline of {:?}",
        TAKES * 4
    );
    println!(
        "{:<26} {:>10} {:>12} {:>8}",
        "limit", "in time/s", "mean latency", "at last"
    );
    let aimd = Aimd {
        latency: Some(TAKES * 2),
        ..Aimd::default()
    };
    let mut in_time = Vec::new();
    for (name, bounds, initial, algorithm) in [
        ("fixed at 4", 4..=4, 4, LimitAlgorithm::default()),
        ("fixed at 20", 20..=20, 20, LimitAlgorithm::default()),
        ("fixed at 200", 200..=200, 200, LimitAlgorithm::default()),
        ("gradient, from 1", 1..=1000, 1, Gradient::default().into()),
        (
            "gradient, from 200",
            1..=1000,
            200,
            Gradient::default().into(),
        ),
        ("AIMD below 20 ms, from 1", 1..=1000, 1, aimd.into()),
        ("AIMD below 20 ms, from 200", 1..=1000, 200, aimd.into()),
    ] {
        let clock = ManualClock::new();
        let limit = AdaptiveLimit::builder()
            .min(*bounds.start())
            .max(*bounds.end())
            .initial(initial)
            .algorithm(algorithm)
            .clock(clock.clone())
            .build()?;
        let service = Service::new(WORKERS, TAKES, 1);
        let report = Simulation::new(clock, service, limit.clone()).run(ANSWERS);
        println!(
            "{name:<26} {:>10.0} {:>12.1?} {:>8}",
            report.goodput(),
            report.mean_latency(),
            limit.limit()
        );
        in_time.push(report.goodput());
    }
    let (fixed, found) = (&in_time[..3], &in_time[3..]);
    assert!(
        found
            .iter()
            .all(|found| *found > 4.0 * fixed[0] && *found > 0.85 * fixed[1])
    );
    assert!(found.iter().all(|found| *found > 10.0 * fixed[2]));
    Ok(())
}
