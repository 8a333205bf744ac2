//! The store of a shard: the real index and the real sequence lock over a slab that loom can see.

#[path = "../../src/store/index.rs"]
pub(crate) mod index;
#[path = "../../src/store/published.rs"]
pub(crate) mod published;
pub(crate) mod slab;
