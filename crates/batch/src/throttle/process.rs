//! Sources that ask the operating system: [`ProcessMemory`], [`Stalls`] and [`LoadAverage`].

use brolly_metrics_core::{ProcessReader, StallKind};

use super::pressure::{Pressure, Reading};
use crate::config::checked_size;
use crate::error::ConfigError;

const MIB: u64 = 1024 * 1024;

/// The memory of this process and of its cgroup.
///
/// Two shares are read, and the larger one counts:
///
/// - memory of the process that is held in RAM, of its own limit if it has one
///   ([`limit_mb`](Self::limit_mb)), else of the cgroup's limit or the machine's memory, whichever
///   is smaller;
/// - memory charged to the cgroup, of the cgroup's limit. Page cache that was not used lately does
///   not count: the kernel takes it back before it ends anybody.
///
/// What cannot be told is left out: on systems other than Linux it says nothing.
#[derive(Clone, Debug, Default)]
pub struct ProcessMemory {
    reader: ProcessReader,
    limit: Option<u64>,
}

impl ProcessMemory {
    /// The real figures, without a limit of its own.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The figures of this reader, whose files may be others than the real ones.
    #[must_use]
    pub fn with_reader(reader: ProcessReader) -> Self {
        Self {
            reader,
            limit: None,
        }
    }

    /// What the process may use, in units of 1,048,576 bytes: 128 or more. The cgroup's limit
    /// holds beside it.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`] for less than 128.
    pub fn limit_mb(self, limit_mb: usize) -> Result<Self, ConfigError> {
        let limit = checked_size("limit_mb", limit_mb, 128..=usize::MAX >> 20)?;
        Ok(Self {
            limit: Some((limit as u64).saturating_mul(MIB)),
            ..self
        })
    }
}

impl Pressure for ProcessMemory {
    fn read(&self) -> Option<Reading> {
        let memory = self.reader.memory();
        let share = |used: Option<u64>, limit: Option<u64>| Some(Reading::new(used?, limit?));
        let own = share(memory.resident, self.limit.or(memory.limit()));
        let shared = share(memory.working_set(), memory.cgroup_limit);
        own.into_iter()
            .chain(shared)
            .max_by(|a, b| a.percent.total_cmp(&b.percent))
    }

    fn name(&self) -> &'static str {
        "memory"
    }
}

/// The share of the last ten seconds in which some task stood still for want of something, in per
/// cent: pressure stall information of the cgroup (v2), else of the machine.
///
/// For processors, 20 to 40 per cent is already a busy machine, so give it a threshold of its own
/// ([`source_with`](super::ThrottleBuilder::source_with)). Kernels that keep no such account say
/// nothing.
#[derive(Clone, Debug)]
pub struct Stalls {
    reader: ProcessReader,
    kind: StallKind,
}

impl Stalls {
    /// Tasks that could run and had no processor.
    #[must_use]
    pub fn cpu() -> Self {
        Self::with_reader(ProcessReader::new(), StallKind::Cpu)
    }

    /// Tasks that waited for disks.
    #[must_use]
    pub fn io() -> Self {
        Self::with_reader(ProcessReader::new(), StallKind::Io)
    }

    /// Tasks that waited for memory: to be read back, compressed or taken from others.
    #[must_use]
    pub fn memory() -> Self {
        Self::with_reader(ProcessReader::new(), StallKind::Memory)
    }

    /// The figures of this reader, whose files may be others than the real ones.
    #[must_use]
    pub fn with_reader(reader: ProcessReader, kind: StallKind) -> Self {
        Self { reader, kind }
    }
}

impl Pressure for Stalls {
    fn read(&self) -> Option<Reading> {
        let share = self.reader.stalled(self.kind).ok()??;
        Reading::from_percent(share * 100.0)
    }

    fn name(&self) -> &'static str {
        match self.kind {
            StallKind::Cpu => "cpu stalls",
            StallKind::Io => "io stalls",
            StallKind::Memory => "memory stalls",
            _ => "stalls",
        }
    }
}

/// The load average of the last minute, of the number of processors, in hundredths of a task: 100
/// per cent is one task for each processor of the machine.
///
/// It follows slowly, and counts tasks that wait for disks too. Where the kernel tells of stalls,
/// those say more.
#[derive(Clone, Debug, Default)]
pub struct LoadAverage {
    reader: ProcessReader,
}

impl LoadAverage {
    /// The real figures.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The figures of this reader, whose files may be others than the real ones.
    #[must_use]
    pub fn with_reader(reader: ProcessReader) -> Self {
        Self { reader }
    }
}

impl Pressure for LoadAverage {
    fn read(&self) -> Option<Reading> {
        let load = self.reader.load();
        let hundredths = (load.load_average? * 100.0).round() as u64; // saturates
        Some(Reading::new(
            hundredths,
            load.processors?.saturating_mul(100),
        ))
    }

    fn name(&self) -> &'static str {
        "load average"
    }
}
