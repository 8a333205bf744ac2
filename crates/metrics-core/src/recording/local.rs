//! What each thread keeps: its counter cells, its shards and the tables it looked in.

use std::sync::Arc;

use crate::family::index::LocalTables;
use crate::recording::cells::{Group, LocalCells};
use crate::recording::shards::{Home, LocalShards};

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

/// Adds to a slot of the calling thread, if it has a cell already.
#[inline]
pub(crate) fn add(slot: usize, by: u64) -> bool {
    LOCAL
        .try_with(|local| local.cells.add(slot, by))
        .unwrap_or(false)
}

/// Adds to a slot of the calling thread. False when the thread is past its end (a destructor of
/// another thread-local counts), or when the slot can have no cell.
pub(crate) fn add_first(slot: usize, group: &Arc<Group>, by: u64) -> bool {
    LOCAL
        .try_with(|local| local.cells.add_first(slot, group, by))
        .unwrap_or(false)
}

/// Records in a shard of the calling thread; false when the thread is past its end, too.
#[inline]
pub(crate) fn record(record: impl FnOnce(&LocalShards) -> bool) -> bool {
    LOCAL
        .try_with(|local| record(&local.shards))
        .unwrap_or(false)
}

/// Records in the shard of the calling thread, which is made or made ready; false as for [`add_first`].
pub(crate) fn record_first(number: usize, home: &Arc<Home>, bucket: usize, value: u64) -> bool {
    LOCAL
        .try_with(|local| local.shards.record_first(number, home, bucket, value))
        .unwrap_or(false)
}

/// Asks the tables of the calling thread; none when the thread is past its end.
#[inline]
pub(crate) fn tables<R>(ask: impl FnOnce(&LocalTables) -> Option<R>) -> Option<R> {
    LOCAL.try_with(|local| ask(&local.tables)).ok().flatten()
}
