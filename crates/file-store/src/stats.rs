//! [`Stats`]: what a store did, and the counters behind it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What a store did since it was built, and what it holds. Each count is exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Stats {
    /// Reads answered from memory after the state of the file was checked.
    pub hits: u64,
    /// Times a file was opened and read.
    pub file_reads: u64,
    /// Reads answered by a file read that somebody else had asked for at the same time.
    pub shared_reads: u64,
    /// Cached files found to have changed.
    pub outdated: u64,
    /// File reads that were not kept, as the file had changed a moment before or while it was read.
    pub unsettled_reads: u64,
    /// Files written.
    pub writes: u64,
    /// Files removed.
    pub removals: u64,
    /// Temporary files of crashed processes that were removed.
    pub leftovers_removed: u64,
    /// Files in the cache.
    pub cached_files: u64,
    /// Bytes the cache takes.
    pub cached_bytes: u64,
    /// Files that had to make room in the cache.
    pub evictions: u64,
    /// Paths that somebody holds or waits for.
    pub locked_paths: u64,
}

/// Counters beside the work. All are written relaxed: each is exact, and they promise nothing about
/// each other.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    hits: AtomicU64,
    file_reads: AtomicU64,
    shared_reads: AtomicU64,
    outdated: AtomicU64,
    unsettled_reads: AtomicU64,
    writes: AtomicU64,
    removals: AtomicU64,
    leftovers_removed: AtomicU64,
}

macro_rules! counters {
    ($($method:ident: $field:ident),* $(,)?) => {$(
        pub(crate) fn $method(&self) {
            self.$field.fetch_add(1, Relaxed);
        }
    )*};
}

impl Counters {
    counters! {
        hit: hits,
        file_read: file_reads,
        shared_read: shared_reads,
        found_outdated: outdated,
        unsettled_read: unsettled_reads,
        wrote: writes,
        removed: removals,
    }

    pub(crate) fn removed_leftovers(&self, count: u64) {
        self.leftovers_removed.fetch_add(count, Relaxed);
    }

    /// The counts, in a snapshot that says nothing yet of what is held.
    pub(crate) fn read(&self) -> Stats {
        Stats {
            hits: self.hits.load(Relaxed),
            file_reads: self.file_reads.load(Relaxed),
            shared_reads: self.shared_reads.load(Relaxed),
            outdated: self.outdated.load(Relaxed),
            unsettled_reads: self.unsettled_reads.load(Relaxed),
            writes: self.writes.load(Relaxed),
            removals: self.removals.load(Relaxed),
            leftovers_removed: self.leftovers_removed.load(Relaxed),
            ..Stats::default()
        }
    }
}
