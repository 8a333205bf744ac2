//! `brolly-ttl-cache` and its peers: the axes.

mod data;
mod faces;
mod floods;
mod hits;
mod loads;
mod memory;
mod ours;
mod peers;
mod ratios;
mod traces;
mod zipf;

use crate::axis::Axis;
use crate::driver::{Contest, Effort, Goal};
use crate::record::{Better, Record};

const CRATE: &str = "ttl-cache";

pub fn axes() -> Vec<Axis> {
    let mut axes = hits::axes();
    axes.extend(zipf::axes());
    axes.extend(ratios::axes());
    axes.extend(memory::axes());
    axes.extend(floods::axes());
    axes.extend(loads::axes());
    axes
}

fn axis(name: &'static str, run: fn(&'static str, Effort) -> Result<Record, String>) -> Axis {
    Axis::new(name, move |effort| run(name, effort))
}

fn nanos_contest<'a>(axis: &str, goal: Goal) -> Contest<'a> {
    Contest::new(CRATE, axis, "ns", Better::Lower, goal)
}

/// The geometric mean.
fn mean_factor(values: impl IntoIterator<Item = f64>) -> f64 {
    let (mut logs, mut count) = (0.0, 0u32);
    for value in values {
        logs += value.max(f64::MIN_POSITIVE).ln();
        count += 1;
    }
    (logs / f64::from(count.max(1))).exp()
}
