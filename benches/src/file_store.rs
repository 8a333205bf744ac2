//! `brolly-file-store` and its peers: the axes.

use crate::axis::Axis;

pub fn axes() -> Vec<Axis> {
    Vec::new()
}
