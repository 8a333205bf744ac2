//! [`ProcessReader`]: asks the operating system about this process.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::error::ReadError;
use super::files::Files;
use super::reading::{LoadReading, MemoryReading, ProcessReading, StallKind};

/// Asks the operating system about this process: memory, CPU time, descriptors, threads, its cgroup
/// and the disks it names.
///
/// On Linux it reads `/proc` and the files of cgroup v2, or of v1 where that has the memory
/// controller, which it keeps open: it is about the
/// process that first read through it, so make a new one after a fork. On other systems every
/// figure is absent. Clones share the open files and read one after the other.
///
/// ```
/// let reader = brolly_metrics_core::ProcessReader::new();
/// let reading = reader.read();
/// # #[cfg(target_os = "linux")]
/// assert!(reading.used_memory() >= reading.resident_memory);
/// ```
#[derive(Clone, Debug)]
pub struct ProcessReader {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    files: Mutex<Files>,
    disks: Vec<PathBuf>,
}

impl ProcessReader {
    /// A reader of the real files.
    #[must_use]
    pub fn new() -> Self {
        Self::with("/", [])
    }

    /// A reader of files under another root than `/`, for tests and for containers that see the
    /// host's files somewhere else, and of the room on the file systems that hold these paths.
    ///
    /// The paths are taken as they are, not under the root. A path on a network's file system that
    /// does not answer blocks the reader.
    pub fn with(root: impl Into<PathBuf>, disks: impl IntoIterator<Item = PathBuf>) -> Self {
        Self {
            shared: Arc::new(Shared {
                files: Mutex::new(Files::new(root.into())),
                disks: disks.into_iter().collect(),
            }),
        }
    }

    /// All figures. Takes some twenty system calls.
    #[must_use]
    pub fn read(&self) -> ProcessReading {
        self.files().read(&self.shared.disks)
    }

    /// Memory held in RAM alone, in bytes, for two system calls; `None` where it cannot be told.
    ///
    /// # Errors
    ///
    /// When the file that tells cannot be read or understood.
    pub fn resident_memory(&self) -> Result<Option<u64>, ReadError> {
        self.files().resident_memory()
    }

    /// Memory alone: of the process, of its cgroup and of the machine. Takes five to ten system
    /// calls.
    #[must_use]
    pub fn memory(&self) -> MemoryReading {
        self.files().memory()
    }

    /// The load of the machine alone. Takes four system calls.
    #[must_use]
    pub fn load(&self) -> LoadReading {
        self.files().load()
    }

    /// The share of the last ten seconds in which some task stood still for want of this, from 0
    /// to 1: in the cgroup of the process if it tells (v2 alone does), else in the whole machine.
    /// `None` where the kernel keeps no such account. Takes four to six system calls.
    ///
    /// # Errors
    ///
    /// When a file that tells cannot be read or understood.
    pub fn stalled(&self, kind: StallKind) -> Result<Option<f64>, ReadError> {
        self.files().stalled(kind)
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        // Nothing that is kept between two reads can be half done.
        let files = self.shared.files.lock();
        files.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for ProcessReader {
    fn default() -> Self {
        Self::new()
    }
}
