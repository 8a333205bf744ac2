//! [`ProcessReading`] and its parts: what the operating system said at one moment.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::error::ReadError;

/// What the operating system said of this process at one moment.
///
/// What it did not say is `None`, never zero; if it said something that could not be understood,
/// [`errors`](Self::errors) tells.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ProcessReading {
    /// Memory held in RAM, in bytes. The current value: peaks are not reported anywhere.
    pub resident_memory: Option<u64>,
    /// Address space, in bytes.
    pub virtual_memory: Option<u64>,
    /// Memory charged to the cgroup of this process, page cache included, in bytes.
    pub cgroup_memory: Option<u64>,
    /// The limit of the cgroup or of one above it, whichever is smallest, in bytes.
    pub memory_limit: Option<u64>,
    /// The share of the last ten seconds in which work stood still for want of memory, in the cgroup
    /// if it tells, else in the whole machine.
    pub memory_pressure: Option<MemoryPressure>,
    /// CPU time of all threads, ended ones included, in user and kernel mode. Never less than an
    /// earlier reading of the same reader.
    pub cpu_time: Option<Duration>,
    /// Threads.
    pub threads: Option<u64>,
    /// Open file descriptors, the few that the reader keeps open included.
    pub open_files: Option<u64>,
    /// How many file descriptors may be open; none without a limit.
    pub max_open_files: Option<u64>,
    /// When the process was started, to a hundredth of a second after a boot known to the second.
    pub start_time: Option<SystemTime>,
    /// The disks that were asked for, in that order; those that could not be read are not there.
    pub disks: Vec<DiskReading>,
    /// What could not be read or understood. A file that does not exist is no error.
    pub errors: Vec<ReadError>,
}

impl ProcessReading {
    /// Memory to judge by: resident memory or what is charged to the cgroup, whichever is larger,
    /// in bytes. A limit ends the process by the second.
    #[must_use]
    pub fn used_memory(&self) -> Option<u64> {
        self.resident_memory.max(self.cgroup_memory)
    }
}

/// What the operating system said of memory alone at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryReading {
    /// Memory of this process held in RAM, in bytes.
    pub resident: Option<u64>,
    /// Memory charged to the cgroup of this process, page cache included, in bytes.
    pub cgroup: Option<u64>,
    /// How much of that is page cache that was not used lately: the kernel takes it back before it
    /// refuses anybody memory.
    pub reclaimable: Option<u64>,
    /// The limit of the cgroup or of one above it, whichever is smallest, in bytes.
    pub cgroup_limit: Option<u64>,
    /// The memory of the machine, in bytes.
    pub machine: Option<u64>,
    /// What could not be read or understood. A file that does not exist is no error.
    pub errors: Vec<ReadError>,
}

impl MemoryReading {
    /// What the cgroup holds on to: what is charged to it without what can be taken back.
    #[must_use]
    pub fn working_set(&self) -> Option<u64> {
        let reclaimable = self.reclaimable.unwrap_or(0);
        self.cgroup.map(|bytes| bytes.saturating_sub(reclaimable))
    }

    /// What there is at most: the limit of the cgroup or the memory of the machine, whichever is
    /// smaller.
    #[must_use]
    pub fn limit(&self) -> Option<u64> {
        self.cgroup_limit.into_iter().chain(self.machine).min()
    }
}

/// What the operating system said of the load of the machine at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct LoadReading {
    /// How many tasks ran, could run or waited for a disk, as an average over the last minute.
    pub load_average: Option<f64>,
    /// Processors that are online.
    pub processors: Option<u64>,
    /// What could not be read or understood. A file that does not exist is no error.
    pub errors: Vec<ReadError>,
}

/// What work can stand still for want of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StallKind {
    /// A processor.
    Cpu,
    /// Memory.
    Memory,
    /// Disks and other devices of blocks.
    Io,
}

/// How much work stood still for want of memory, as a share of the last ten seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct MemoryPressure {
    /// Some task stood still, from 0 to 1.
    pub some: f64,
    /// All tasks stood still, from 0 to 1.
    pub full: f64,
}

/// The room on the file system that holds a path.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DiskReading {
    /// The path that was asked for.
    pub path: PathBuf,
    /// What unprivileged programs may still write, in bytes.
    pub free: u64,
    /// The size of the file system, in bytes.
    pub size: u64,
}
