//! Where recordings go: cells and shards of each thread, and how readers add them up.

pub(crate) mod cells;
pub(crate) mod local;
#[cfg(brolly_loom)]
pub mod model;
pub(crate) mod numbers;
pub(crate) mod shards;
pub(crate) mod tree;
