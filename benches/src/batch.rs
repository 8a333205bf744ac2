//! `brolly-batch` and its peers: the axes.

mod batcher;
mod dag;
mod map;

use crate::axis::Axis;
pub use map::{fails, spin, steps_per_microsecond};

const CRATE: &str = "batch";

pub fn axes() -> Vec<Axis> {
    let mut axes = map::axes();
    axes.extend(batcher::axes());
    axes.extend(dag::axes());
    axes
}
