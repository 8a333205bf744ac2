//! [`FileStoreBuilder`]: how a store is to be, checked once when it is built.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::BuildError;
use crate::root::Root;
use crate::store::FileStore;

/// How a store is to be.
#[derive(Clone, Debug)]
pub struct FileStoreBuilder {
    root: PathBuf,
    max_files: u64,
    max_cached_bytes: u64,
    max_file_size: u64,
    settle: Duration,
    durable: bool,
    process_locks: bool,
    check_inline: Option<bool>,
}

/// What a store keeps of its builder.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) max_file_size: u64,
    pub(crate) settle: Duration,
    pub(crate) durable: bool,
    pub(crate) process_locks: bool,
    pub(crate) check_inline: bool,
}

const MIB: u64 = 1 << 20;

impl FileStoreBuilder {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self {
            root,
            max_files: 1_000,
            max_cached_bytes: 64 * MIB,
            max_file_size: 16 * MIB,
            settle: Duration::from_secs(2),
            durable: true,
            process_locks: false,
            check_inline: None,
        }
    }

    /// How many files are cached at most. By default 1,000.
    #[must_use]
    pub fn max_files(mut self, files: u64) -> Self {
        self.max_files = files;
        self
    }

    /// How many bytes the cache may take: the files' and what is kept beside them. By default
    /// 64 MiB. A larger file is read each time.
    #[must_use]
    pub fn max_cached_bytes(mut self, bytes: u64) -> Self {
        self.max_cached_bytes = bytes;
        self
    }

    /// How large a file may be; larger ones are neither read nor written. By default 16 MiB.
    ///
    /// It bounds the memory that one read takes, cached or not.
    #[must_use]
    pub fn max_file_size(mut self, bytes: u64) -> Self {
        self.max_file_size = bytes;
        self
    }

    /// How long a file must have been left alone until its bytes are kept. By default 2 seconds.
    /// Younger files are read each time.
    ///
    /// It has to be longer than one tick of the clock that the filesystem writes into files, as two
    /// changes within a tick look alike: 20 milliseconds are used at least, and 2 seconds where the
    /// times of a file have no fractions of a millisecond. And it has to be longer than any one
    /// `write` call of others takes, as the system notes the time when such a call begins. Zero means
    /// the least, [`Duration::MAX`] that nothing is cached.
    #[must_use]
    pub fn settle(mut self, duration: Duration) -> Self {
        self.settle = duration;
        self
    }

    /// Whether a write or a removal survives a power cut once it has returned. By default it does.
    ///
    /// Without, nothing is synced: a write is faster by the time the disk takes, still replaces the
    /// file as a whole, and is safe from crashes of the process. After a power cut the file may be
    /// old, new or, depending on the filesystem, empty.
    #[must_use]
    pub fn durable(mut self, durable: bool) -> Self {
        self.durable = durable;
        self
    }

    /// Whether locks, writes and removals exclude other processes that use a store with this setting
    /// (and other stores of this process). By default they do not.
    ///
    /// A lock file beside the file carries the lock while it is held. Locking makes missing
    /// directories on the way.
    #[must_use]
    pub fn process_locks(mut self, process_locks: bool) -> Self {
        self.process_locks = process_locks;
        self
    }

    /// Whether the state of a file is asked for on the task that reads it, which takes about a
    /// microsecond, or on a thread for blocking work, which takes ten times as long or more but
    /// never holds up the runtime, whatever the disk does.
    ///
    /// By default it is asked for on the task unless the root lies on a network filesystem or on one
    /// that a process serves (NFS, SMB, FUSE, 9p, …). Known for Linux only.
    #[must_use]
    pub fn check_inline(mut self, inline: bool) -> Self {
        self.check_inline = Some(inline);
        self
    }

    /// Opens the root and builds the store. Blocks for a moment.
    ///
    /// # Errors
    ///
    /// A setting is out of its range, or the root is not there, is no directory, or cannot be opened.
    pub fn build(self) -> Result<FileStore, BuildError> {
        for (field, value) in [
            ("max_files", self.max_files),
            ("max_cached_bytes", self.max_cached_bytes),
            ("max_file_size", self.max_file_size),
        ] {
            if value == 0 {
                return Err(BuildError::Setting {
                    field,
                    value,
                    allowed: "at least 1",
                });
            }
        }
        let root = Root::open(&self.root).map_err(|source| BuildError::Root {
            path: self.root,
            source,
        })?;
        let settings = Settings {
            max_file_size: self.max_file_size,
            settle: self.settle,
            durable: self.durable,
            process_locks: self.process_locks,
            check_inline: self.check_inline.unwrap_or_else(|| !root.is_remote()),
        };
        Ok(FileStore::new(
            root,
            settings,
            self.max_files,
            self.max_cached_bytes,
        ))
    }
}
