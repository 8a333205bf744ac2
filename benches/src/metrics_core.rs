//! `brolly-metrics-core` and its peers: the axes.

mod advice;
mod data;
mod faces;
mod hot;
mod lookup;
mod memory;
mod ours;
mod pages;
mod peers;
mod quantiles;
mod snapshots;

use crate::axis::Axis;

const CRATE: &str = "metrics-core";

pub fn axes() -> Vec<Axis> {
    let mut axes = hot::axes();
    axes.extend(lookup::axes());
    axes.extend(pages::axes());
    axes.extend(memory::axes());
    axes.extend(snapshots::axes());
    axes.extend(quantiles::axes());
    axes.extend(advice::axes());
    axes
}
