//! `brolly-circuit-breaker` and its peers: the axes.

mod calls;
mod faces;
mod memory;
mod ours;
mod peers;

use crate::axis::Axis;

const CRATE: &str = "circuit-breaker";

pub fn axes() -> Vec<Axis> {
    let mut axes = calls::axes();
    axes.extend(memory::axes());
    axes
}
