//! [`Inner`]: what all handles of a store share, and how work gets onto another thread.

use std::borrow::Cow;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use brolly_ttl_cache::{Cache, EvictionPolicy};
use tokio::runtime::Handle;

use crate::builder::Settings;
use crate::content::Content;
use crate::error::{Error, as_path};
use crate::locks::LockTable;
use crate::relative::relative;
use crate::root::Root;
use crate::stats::{Counters, Stats};

/// Bytes that the cache keeps for an entry beside its key and its content, about.
const ENTRY_OVERHEAD: usize = 128;

/// Directories of which is remembered that they were swept.
const SWEPT_DIRECTORIES: u64 = 1024;

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) root: Root,
    pub(crate) settings: Settings,
    /// Files by the path they are asked for. Two ways to one file are two entries; each is checked
    /// against the file whenever it is used, so none depends on being told of a change.
    pub(crate) cache: Cache<Arc<[u8]>, Content>,
    pub(crate) locks: Arc<LockTable>,
    pub(crate) counters: Counters,
    /// Directories that were swept of leftovers, by device and inode.
    pub(crate) swept: Cache<(u64, u64), ()>,
    turns: AtomicU64,
}

impl Inner {
    pub(crate) fn new(
        root: Root,
        settings: Settings,
        max_files: u64,
        max_cached_bytes: u64,
    ) -> Self {
        let cache = Cache::builder()
            .max_capacity(max_files)
            .max_weight(max_cached_bytes)
            .weigher(|path: &Arc<[u8]>, content: &Content| {
                let bytes = content.footprint().saturating_add(path.len());
                u64::try_from(bytes.saturating_add(ENTRY_OVERHEAD)).unwrap_or(u64::MAX)
            })
            .no_time_to_live()
            .build()
            .expect("the bounds were checked");
        let swept = Cache::builder()
            .max_capacity(SWEPT_DIRECTORIES)
            .eviction_policy(EvictionPolicy::Fifo)
            .no_time_to_live()
            .build()
            .expect("the settings are valid");
        Self {
            root,
            settings,
            cache,
            locks: Arc::default(),
            counters: Counters::default(),
            swept,
            turns: AtomicU64::new(0),
        }
    }

    pub(crate) fn relative<'a>(&self, path: &'a Path) -> Result<Cow<'a, [u8]>, Error> {
        relative(&self.root.prefixes(), path)
    }

    /// The next number of the order in which reads arrive and begin. Whoever has the smaller one was
    /// there before the other one drew: sequentially consistent, as it orders what threads did to the
    /// disk, not to memory.
    pub(crate) fn turn(&self) -> u64 {
        self.turns.fetch_add(1, SeqCst)
    }

    /// Runs what may take its time on a thread for blocking work. A panic in it is the caller's.
    ///
    /// # Cancel safety
    ///
    /// Once begun, the work goes on to its end without the caller.
    pub(crate) async fn away<T: Send + 'static>(
        self: &Arc<Self>,
        action: &'static str,
        path: &[u8],
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let no_runtime = || Error::NoRuntime {
            action,
            path: as_path(path),
        };
        let runtime = Handle::try_current().map_err(|_| no_runtime())?;
        let inner = Arc::clone(self);
        let done = runtime.spawn_blocking(move || work(&inner)).await;
        done.map_err(|error| match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            Err(_cancelled) => no_runtime(),
        })
    }

    /// Runs what takes microseconds on this task, or away where the disk is remote.
    pub(crate) async fn nearby<T: Send + 'static>(
        self: &Arc<Self>,
        action: &'static str,
        path: &[u8],
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, Error> {
        if self.settings.check_inline {
            return Ok(work(self));
        }
        self.away(action, path, work).await
    }

    pub(crate) fn stats(&self) -> Stats {
        let cache = self.cache.stats();
        Stats {
            cached_files: cache.entries,
            cached_bytes: cache.weight,
            evictions: cache.evictions,
            locked_paths: self.locks.len() as u64,
            ..self.counters.read()
        }
    }
}
