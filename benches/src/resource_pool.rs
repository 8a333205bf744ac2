//! `brolly-resource-pool` and its peers: the axes.

mod alone;
mod crowd;
mod faces;
mod peers;
mod postgres;
mod router;

use crate::axis::Axis;

const CRATE: &str = "resource-pool";

pub fn axes() -> Vec<Axis> {
    let mut axes = alone::axes();
    axes.extend(crowd::axes());
    axes.extend(postgres::axes());
    axes.extend(router::axes());
    axes
}
