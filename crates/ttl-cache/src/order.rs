//! Queues over slots: what is due first, what was used least.

mod queue;
mod radix;
mod ranking;
mod slot_vec;
mod wheel;

pub(crate) use queue::{Queue, Used};
pub(crate) use ranking::Ranking;
pub(crate) use slot_vec::SlotVec;
pub(crate) use wheel::{Step, Wheel};

/// No slot: the end of a list.
pub(crate) const NONE: u32 = u32::MAX;

/// How many slots a shard will need that has room for so many entries: shards are never filled
/// quite evenly.
pub(crate) fn expected(entries: u64) -> usize {
    usize::try_from(entries.saturating_add(entries / 32).saturating_add(8)).unwrap_or(usize::MAX)
}
