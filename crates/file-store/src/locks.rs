//! [`LockTable`]: a lock for each path, first come, first served, whose entry is gone when nobody
//! uses it.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use brolly_sync::WaitList;

use crate::primitive::{Mutex, lock};

/// The paths that somebody holds or waits for.
#[derive(Default)]
pub(crate) struct LockTable {
    paths: Mutex<HashMap<Arc<[u8]>, Line>>,
}

/// Who holds a path and who waits for it.
struct Line {
    /// Holds one unit while the path is free.
    turn: Arc<WaitList<()>>,
    /// Seats there are. With the last one the line goes.
    seats: usize,
}

/// A place in the line for a path: first waiting, then, once [`wait`](Self::wait) has returned,
/// holding the path until it is dropped.
pub(crate) struct Seat {
    table: Arc<LockTable>,
    path: Arc<[u8]>,
    turn: Arc<WaitList<()>>,
    holds: bool,
}

impl LockTable {
    /// A seat for a path. Its place in line is taken when it first waits.
    pub(crate) fn seat(self: &Arc<Self>, path: &[u8]) -> Seat {
        let mut paths = lock(&self.paths);
        let (path, turn) = match paths.get_key_value(path) {
            Some((path, line)) => (Arc::clone(path), Arc::clone(&line.turn)),
            None => (Arc::from(path), Arc::new(WaitList::new(vec![()]))),
        };
        let line = paths.entry(Arc::clone(&path)).or_insert_with(|| Line {
            turn: Arc::clone(&turn),
            seats: 0,
        });
        line.seats += 1;
        drop(paths);
        Seat {
            table: Arc::clone(self),
            path,
            turn,
            holds: false,
        }
    }

    /// How many paths are held or waited for.
    pub(crate) fn len(&self) -> usize {
        lock(&self.paths).len()
    }
}

impl Seat {
    /// Waits until the path is held by this seat.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the line.
    pub(crate) async fn wait(&mut self) {
        if !self.holds {
            self.turn.take().await;
            self.holds = true;
        }
    }

    pub(crate) fn wait_blocking(&mut self) {
        if !self.holds {
            self.turn.take_blocking();
            self.holds = true;
        }
    }

    /// The path, without links.
    pub(crate) fn path(&self) -> &[u8] {
        &self.path
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut paths = lock(&self.table.paths);
        let gone = match paths.get_mut(&self.path) {
            Some(line) if line.seats > 1 => {
                line.seats -= 1;
                None
            }
            _ => paths.remove_entry(&self.path),
        };
        drop(paths);
        drop(gone);
        // Last, since it wakes somebody. If the line is gone, nobody is in it.
        if self.holds {
            self.turn.put(());
        }
    }
}

impl fmt::Debug for LockTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockTable")
            .field("len", &self.len())
            .finish()
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seat")
            .field("path", &String::from_utf8_lossy(&self.path))
            .field("holds", &self.holds)
            .finish_non_exhaustive()
    }
}
