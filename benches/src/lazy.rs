//! `brolly-lazy` and its peers: the axes.

mod cells;
mod reads;
mod waits;

use crate::axis::Axis;

const CRATE: &str = "lazy";

pub fn axes() -> Vec<Axis> {
    let mut axes = reads::axes();
    axes.extend(waits::axes());
    axes
}
