//! Where entries lie: an index of groups and a slab of nodes, read under a lock or without one.
//!
//! All `unsafe` of this crate is in this folder.

pub(crate) mod biased;
mod index;
mod plain;
mod published;
mod slab;

pub(crate) use biased::{Biased, Reading};
pub(crate) use index::{Index, prefetch};
pub use plain::Plain;
pub(crate) use published::{Glance, Published};
pub(crate) use slab::{Chunk, Entry, Slab, Table};

#[cfg(test)]
mod tests;
