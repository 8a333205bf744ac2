//! Where entries lie: an index of groups and a slab of nodes, read under a lock or without one.
//!
//! All code that handles memory by hand is in this folder. What it asks of its callers is promised
//! in three places outside, each of which says why it holds.

pub(crate) mod biased;
mod index;
mod plain;
mod published;
mod slab;

pub(crate) use biased::{Biased, Reading};
pub(crate) use index::{Index, prefetch};
pub use plain::Plain;
pub(crate) use published::{Glance, Published, Sequence};
pub(crate) use slab::{Chunk, Entry, Slab, Table};

#[cfg(test)]
mod tests;
