//! A build plan that learns: the second run starts the long jobs first, and a third stops at the
//! first failure.
//!
//! `cargo run -p brolly-batch --example build_plan`

use std::sync::Arc;
use std::time::Duration;

use brolly_batch::{Dag, DurationEstimates, OnFailure, Outcome};
use brolly_sync::{Clock, ManualClock};

/// Jobs, what they need, and the minutes they take.
const JOBS: [(&str, &[&str], u64); 7] = [
    ("format", &[], 1),
    ("lint", &["format"], 2),
    ("docs", &["format"], 3),
    ("package", &["format", "lint", "docs"], 1),
    ("unit tests", &[], 10),
    ("fuzz", &[], 40),
    ("release", &["package", "unit tests", "fuzz"], 1),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let plan = Dag::from_dependencies(JOBS.map(|(job, needs, _)| (job, needs.to_vec())))?;
    println!("levels: {:?}", plan.levels());

    // Time is simulated here: each job moves the clock on. One job at a time, so that the order
    // can be seen.
    let clock = Arc::new(ManualClock::new());
    let estimates = DurationEstimates::builder().clock(clock.clone()).build()?;
    for run in ["by number of jobs ahead", "by minutes ahead"] {
        let order = std::sync::Mutex::new(Vec::new());
        let outcomes = plan
            .runner()
            .limit(1)
            .estimates(&estimates)
            .run_blocking(|job| {
                order.lock().expect("no job panics").push(*job.key);
                clock.advance(Duration::from_secs(60 * JOBS[job.index].2));
                Ok::<_, String>(clock.now())
            })?;
        println!("{run}: {:?}", order.into_inner()?);
        assert!(outcomes.iter().all(Outcome::is_done));
    }
    assert_eq!(estimates.get(&"fuzz"), Some(Duration::from_secs(40 * 60)));

    let outcomes = plan
        .runner()
        .limit(1)
        .estimates(&estimates)
        .on_failure(OnFailure::Drain)
        .run_blocking(|job| match *job.key {
            "fuzz" => Err("a crash was found"),
            _ => Ok(()),
        })?;
    for (job, outcome) in plan.keys().iter().zip(&outcomes) {
        println!("{job}: {outcome:?}");
    }
    assert!(matches!(outcomes[6], Outcome::Blocked { .. }));
    assert!(matches!(
        outcomes[0],
        Outcome::Stopped { started: false, .. }
    ));
    Ok(())
}
