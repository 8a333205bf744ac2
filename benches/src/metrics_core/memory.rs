//! Bytes: of a histogram, and of a family under attack.

use std::fmt::Write as _;
use std::time::Instant;

use super::CRATE;
use super::data::{LabelSet, Sample, Shape, label_sets};
use super::faces::{self, BucketChoice, Family, Page};
use super::hot::{expect, nanos_contest};
use super::ours;
use super::peers::{
    client_rust, everyone, fast_telemetry, fastmetrics, measured, metrics_facade, opentelemetry,
    rust_prometheus, with_text,
};
use crate::alloc::footprint;
use crate::axis::Axis;
use crate::driver::{Contest, Effort, Goal, Measured};
use crate::record::{Better, Record};

/// 3.4 kB.
const HISTOGRAM_BOUND: f64 = 3_400.0;
/// 512 bytes for each of the 2,000 series that a family may have, and for the one of what is over.
const ATTACKED_BOUND: f64 = 2_001.0 * 512.0;

/// Bytes per series. What was made stays, so that no round is measured in memory that a round
/// before had left behind.
fn bytes_per_histogram<P: Page>(sets: &[LabelSet], samples: &[Sample]) -> Measured {
    let (page, used) = footprint(|| P::of_histograms(sets, samples, BucketChoice::Default));
    std::mem::forget(page);
    Ok(used.kept_bytes as f64 / sets.len() as f64)
}

/// What an attack measures.
#[derive(Clone, Copy)]
enum Meter {
    Bytes,
    /// Of a counting with a label set that was never seen before.
    Nanos,
}

fn attack<F: Family>(sets: u64, meter: Meter) -> Measured {
    let flood = || {
        let family = F::new(None);
        let mut route = String::with_capacity(64);
        let start = Instant::now();
        for number in 0..sets {
            route.clear();
            let _ = write!(route, "/users/{number}");
            family.inc([&route, "404"]);
        }
        (family, start.elapsed())
    };
    let ((family, elapsed), used) = match meter {
        Meter::Bytes => {
            let (flooded, used) = footprint(flood);
            (flooded, Some(used))
        }
        Meter::Nanos => (flood(), None),
    };
    expect("the sum", family.sum(), sets)?;
    Ok(match used {
        Some(used) => used.kept_bytes as f64,
        None => elapsed.as_nanos() as f64 / sets as f64,
    })
}

pub(super) fn axes() -> Vec<Axis> {
    let axis = |name: &'static str, run: fn(&'static str, Effort) -> Result<Record, String>| {
        Axis::new(name, move |effort| run(name, effort))
    };
    vec![
        axis("bytes_per_histogram", |name, effort| {
            let sets = label_sets(25, 10);
            let samples = Shape::Lognormal.samples(100);
            let goal = Goal::Bound("3,400 bytes", HISTOGRAM_BOUND);
            let contest = Contest::new(CRATE, name, "B", Better::Lower, goal);
            everyone!(contest, bytes_per_histogram::<Page>(&sets, &samples)).run(effort, 3)
        }),
        axis("attack_bytes", |name, effort| {
            let sets = effort.pick(200_000, 1_000_000);
            let goal = Goal::Bound("512 bytes for each of 2,001 series", ATTACKED_BOUND);
            let contest = Contest::new(CRATE, name, "B", Better::Lower, goal);
            everyone!(contest, attack::<Family>(sets, Meter::Bytes)).run(effort, 1)
        }),
        axis("attack_inc", |name, effort| {
            let sets = effort.pick(200_000, 1_000_000);
            let contest = nanos_contest(name, Goal::BestPeer(0.95));
            everyone!(contest, attack::<Family>(sets, Meter::Nanos)).run(effort, effort.pick(1, 5))
        }),
    ]
}
