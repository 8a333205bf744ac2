//! What each thread keeps: its counter cells, its shards and the tables it looked in.

use std::sync::Arc;

use crate::cells::{Group, LocalCells};
use crate::index::LocalTables;
use crate::shards::{Home, LocalShards};

pub(crate) struct Local {
    cells: LocalCells,
    shards: LocalShards,
    tables: LocalTables,
}

thread_local! {
    static LOCAL: Local = const {
        Local {
            cells: LocalCells::new(),
            shards: LocalShards::new(),
            tables: LocalTables::new(),
        }
    };
}

/// Adds to a slot of the calling thread. False when the thread is past its end (a destructor of
/// another thread-local counts), or when the slot has no cell.
#[inline]
pub(crate) fn add(slot: usize, group: &Arc<Group>, by: u64) -> bool {
    LOCAL
        .try_with(|local| local.cells.add(slot, group, by))
        .unwrap_or(false)
}

/// Records in the shard of the calling thread; false as for [`add`].
#[inline]
pub(crate) fn record(number: usize, home: &Arc<Home>, bucket: usize, value: u64) -> bool {
    LOCAL
        .try_with(|local| local.shards.record(number, home, bucket, value))
        .unwrap_or(false)
}

/// Asks the tables of the calling thread; none when the thread is past its end.
#[inline]
pub(crate) fn tables<R>(ask: impl FnOnce(&LocalTables) -> Option<R>) -> Option<R> {
    LOCAL.try_with(|local| ask(&local.tables)).ok().flatten()
}
