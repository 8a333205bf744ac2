//! The files of a Linux kernel that tell of this process, and how they make a reading.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::param::{clock_ticks_per_second, page_size};

use super::error::ReadError;
use super::kept_file::{KeptFile, absent_or};
use super::parse::{self, Malformed};
use super::reading::{DiskReading, LoadReading, MemoryReading, ProcessReading, StallKind};

/// `/proc/stat` has lines as long as the machine has interrupts.
const MAX_MACHINE_STAT_BYTES: u64 = 4 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Files {
    root: PathBuf,
    stat: KeptFile,
    statm: KeptFile,
    limits: KeptFile,
    cgroup: KeptFile,
    machine_stalls: Stalls,
    load_average: KeptFile,
    processors: KeptFile,
    own_cgroup: Option<Cgroup>,
    /// That of the memory controller, where it is one of v1.
    own_v1_cgroup: Option<Cgroup>,
    /// Read until it is known, like the time of the boot.
    machine_memory: Option<u64>,
    /// Does not change, so it is read until it is known and then never again.
    boot_time: Option<Duration>,
    /// The largest reading so far.
    cpu_ticks: u64,
    buffer: Vec<u8>,
}

/// A cgroup with those above it.
#[derive(Debug)]
struct Cgroup {
    names: Vec<Vec<u8>>,
    current: KeptFile,
    stat: KeptFile,
    stalls: Stalls,
    /// The limit of each, outermost first.
    limits: Vec<KeptFile>,
}

/// The files with pressure stall information.
#[derive(Debug)]
struct Stalls {
    cpu: KeptFile,
    memory: KeptFile,
    io: KeptFile,
}

/// What the two versions call their files. There are no pressures in v1, so those are not found.
#[derive(Clone, Copy, Debug)]
enum Version {
    V1,
    V2,
}

/// What is charged to a cgroup, and the smallest limit.
#[derive(Clone, Copy, Debug, Default)]
struct Charged {
    bytes: Option<u64>,
    reclaimable: Option<u64>,
    limit: Option<u64>,
}

impl Files {
    /// Files under another root than `/`.
    pub(super) fn new(root: PathBuf) -> Self {
        let own = root.join("proc/self");
        Self {
            stat: KeptFile::new(own.join("stat")),
            statm: KeptFile::new(own.join("statm")),
            limits: KeptFile::new(own.join("limits")),
            cgroup: KeptFile::new(own.join("cgroup")),
            machine_stalls: Stalls::new(|kind| root.join("proc/pressure").join(kind)),
            load_average: KeptFile::new(root.join("proc/loadavg")),
            processors: KeptFile::new(root.join("sys/devices/system/cpu/online")),
            own_cgroup: None,
            own_v1_cgroup: None,
            machine_memory: None,
            boot_time: None,
            cpu_ticks: 0,
            buffer: Vec::new(),
            root,
        }
    }

    pub(super) fn read(&mut self, disks: &[PathBuf]) -> ProcessReading {
        let mut reading = ProcessReading::default();
        let mut errors = Vec::new();
        let buffer = &mut self.buffer;
        if let Some(stat) = kept(self.stat.read(buffer, parse::stat), &mut errors) {
            self.cpu_ticks = self.cpu_ticks.max(stat.cpu_ticks);
            reading.resident_memory = Some(bytes_of(stat.resident_pages));
            reading.virtual_memory = Some(stat.virtual_bytes);
            reading.cpu_time = Some(time_of(self.cpu_ticks));
            reading.threads = Some(stat.threads);
            reading.start_time = self.start_time(stat.start_ticks, &mut errors);
        }
        let buffer = &mut self.buffer;
        let limit = kept(self.limits.read(buffer, parse::max_open_files), &mut errors);
        reading.max_open_files = limit.flatten();
        reading.open_files = kept(self.open_files(), &mut errors);
        self.read_cgroup(&mut reading, &mut errors);
        for path in disks {
            reading.disks.extend(kept(disk(path), &mut errors));
        }
        reading.errors = errors;
        reading
    }

    pub(super) fn resident_memory(&mut self) -> Result<Option<u64>, ReadError> {
        let pages = self.statm.read(&mut self.buffer, parse::statm)?;
        Ok(pages.map(bytes_of))
    }

    pub(super) fn memory(&mut self) -> MemoryReading {
        let mut errors = Vec::new();
        let pages = kept(self.statm.read(&mut self.buffer, parse::statm), &mut errors);
        self.find_cgroups(&mut errors);
        let charged = self.read_charged(true, &mut errors);
        if self.machine_memory.is_none() {
            let mut file = KeptFile::new(self.root.join("proc/meminfo"));
            let read = file.read(&mut self.buffer, parse::machine_memory);
            self.machine_memory = kept(read, &mut errors);
        }
        MemoryReading {
            resident: pages.map(bytes_of),
            cgroup: charged.bytes,
            reclaimable: charged.reclaimable,
            cgroup_limit: charged.limit,
            machine: self.machine_memory,
            errors,
        }
    }

    pub(super) fn load(&mut self) -> LoadReading {
        let mut errors = Vec::new();
        let buffer = &mut self.buffer;
        let load_average = self.load_average.read(buffer, parse::load_average);
        let load_average = kept(load_average, &mut errors);
        let processors = self.processors.read(buffer, parse::processors);
        LoadReading {
            load_average,
            processors: kept(processors, &mut errors),
            errors,
        }
    }

    pub(super) fn stalled(&mut self, kind: StallKind) -> Result<Option<f64>, ReadError> {
        let mut errors = Vec::new();
        self.find_cgroups(&mut errors);
        if let Some(error) = errors.pop() {
            return Err(error);
        }
        let buffer = &mut self.buffer;
        if let Some(own) = &mut self.own_cgroup
            && let Some(share) = own.stalls.of(kind).read(buffer, parse::some_pressure)?
        {
            return Ok(Some(share));
        }
        let machine = self.machine_stalls.of(kind);
        machine.read(buffer, parse::some_pressure)
    }

    fn start_time(&mut self, ticks: u64, errors: &mut Vec<ReadError>) -> Option<SystemTime> {
        if self.boot_time.is_none() {
            self.boot_time = kept(self.read_boot_time(), errors);
        }
        let since_epoch = self.boot_time?.checked_add(time_of(ticks))?;
        SystemTime::UNIX_EPOCH.checked_add(since_epoch)
    }

    fn read_boot_time(&self) -> Result<Option<Duration>, ReadError> {
        let path = self.root.join("proc/stat");
        let mut text = Vec::new();
        let read = File::open(&path)
            .and_then(|file| file.take(MAX_MACHINE_STAT_BYTES).read_to_end(&mut text));
        if let Err(error) = read {
            return absent_or(error, &path);
        }
        match parse::boot_time(&text) {
            Ok(boot_time) => Ok(Some(boot_time)),
            Err(Malformed(expected)) => Err(ReadError::Malformed { path, expected }),
        }
    }

    fn open_files(&self) -> Result<Option<u64>, ReadError> {
        let path = self.root.join("proc/self/fd");
        // Since Linux 6.2 the size of this directory is the number of descriptors; before, it is
        // zero. Asking for it needs no descriptor, so it works when none is left. Of a directory
        // that stands in for it the size says nothing.
        if self.root == Path::new("/")
            && let Ok(metadata) = fs::metadata(&path)
            && metadata.len() > 0
        {
            return Ok(Some(metadata.len()));
        }
        match fs::read_dir(&path) {
            Ok(entries) => Ok(Some(entries.count() as u64)),
            Err(error) => absent_or(error, &path),
        }
    }

    fn read_cgroup(&mut self, reading: &mut ProcessReading, errors: &mut Vec<ReadError>) {
        self.find_cgroups(errors);
        let charged = self.read_charged(false, errors);
        reading.cgroup_memory = charged.bytes;
        reading.memory_limit = charged.limit;
        let buffer = &mut self.buffer;
        if let Some(own) = &mut self.own_cgroup {
            reading.memory_pressure = kept(own.stalls.memory.read(buffer, parse::pressure), errors);
        }
        if reading.memory_pressure.is_none() {
            let pressure = self.machine_stalls.memory.read(buffer, parse::pressure);
            reading.memory_pressure = kept(pressure, errors);
        }
    }

    /// Finds the cgroups of the process, or that it is in none.
    fn find_cgroups(&mut self, errors: &mut Vec<ReadError>) {
        let (v2, v1) = (&mut self.own_cgroup, &mut self.own_v1_cgroup);
        let root = &self.root;
        // A process may be moved: the name is read each time, the files are kept while it lasts.
        let found = self.cgroup.read(&mut self.buffer, |bytes| {
            Cgroup::find(v2, root, Version::V2, parse::cgroup_path(bytes)?);
            Cgroup::find(v1, root, Version::V1, parse::memory_cgroup_path(bytes)?);
            Ok(())
        });
        if kept(found, errors).is_none() {
            self.own_cgroup = None;
            self.own_v1_cgroup = None;
        }
    }

    /// Memory by the cgroup that has the memory controller: one of v2, else one of v1.
    fn read_charged(&mut self, with_stat: bool, errors: &mut Vec<ReadError>) -> Charged {
        let buffer = &mut self.buffer;
        let mut charged = Charged::default();
        if let Some(own) = &mut self.own_cgroup {
            charged = own.read(Version::V2, with_stat, buffer, errors);
        }
        if let Some(own) = &mut self.own_v1_cgroup
            && charged.bytes.is_none()
            && charged.limit.is_none()
        {
            charged = own.read(Version::V1, with_stat, buffer, errors);
        }
        charged
    }
}

impl Stalls {
    fn new(path: impl Fn(&str) -> PathBuf) -> Self {
        Self {
            cpu: KeptFile::new(path("cpu")),
            memory: KeptFile::new(path("memory")),
            io: KeptFile::new(path("io")),
        }
    }

    fn of(&mut self, kind: StallKind) -> &mut KeptFile {
        match kind {
            StallKind::Cpu => &mut self.cpu,
            StallKind::Memory => &mut self.memory,
            StallKind::Io => &mut self.io,
        }
    }
}

impl Version {
    /// Where the memory controller is mounted, what is charged, and the limit.
    fn names(self) -> [&'static str; 3] {
        match self {
            Self::V1 => [
                "sys/fs/cgroup/memory",
                "memory.usage_in_bytes",
                "memory.limit_in_bytes",
            ],
            Self::V2 => ["sys/fs/cgroup", "memory.current", "memory.max"],
        }
    }
}

impl Cgroup {
    /// Keeps the cgroup if it still has these names, else makes another one or none.
    fn find(own: &mut Option<Self>, root: &Path, version: Version, names: Option<Vec<&[u8]>>) {
        match names {
            None => *own = None,
            Some(names) if own.as_ref().is_some_and(|own| own.names == names) => {}
            Some(names) => *own = Some(Self::new(root, version, &names)),
        }
    }

    fn new(root: &Path, version: Version, names: &[&[u8]]) -> Self {
        let [mount, current, limit] = version.names();
        let mut folder = root.join(mount);
        let mut folders = vec![folder.clone()];
        for name in names {
            folder.push(OsStr::from_bytes(name));
            folders.push(folder.clone());
        }
        // A container may see the name that its cgroup has outside, and the cgroup itself as the
        // outermost.
        if !folder.is_dir() {
            folders.truncate(1);
        }
        let own = folders.last().expect("the outermost is always there");
        Self {
            names: names.iter().map(|name| name.to_vec()).collect(),
            current: KeptFile::new(own.join(current)),
            stat: KeptFile::new(own.join("memory.stat")),
            stalls: Stalls::new(|kind| own.join(format!("{kind}.pressure"))),
            limits: folders
                .iter()
                .map(|folder| KeptFile::new(folder.join(limit)))
                .collect(),
        }
    }

    fn read(
        &mut self,
        version: Version,
        with_stat: bool,
        buffer: &mut Vec<u8>,
        errors: &mut Vec<ReadError>,
    ) -> Charged {
        let mut charged = Charged::default();
        let bytes = self.current.read(buffer, parse::cgroup_bytes);
        charged.bytes = kept(bytes, errors).flatten();
        if with_stat {
            charged.reclaimable = kept(self.stat.read(buffer, parse::inactive_file), errors);
        }
        let parse_limit = match version {
            Version::V1 => parse::v1_limit,
            Version::V2 => parse::cgroup_bytes,
        };
        for limit in &mut self.limits {
            let limit = kept(limit.read(buffer, parse_limit), errors).flatten();
            charged.limit = charged.limit.into_iter().chain(limit).min();
        }
        charged
    }
}

fn disk(path: &Path) -> Result<Option<DiskReading>, ReadError> {
    match rustix::fs::statvfs(path) {
        Ok(room) => Ok(Some(DiskReading {
            path: path.to_owned(),
            free: room.f_bavail.saturating_mul(room.f_frsize),
            size: room.f_blocks.saturating_mul(room.f_frsize),
        })),
        Err(error) => absent_or(error.into(), path),
    }
}

/// Keeps the error, passes the value on.
fn kept<T>(read: Result<Option<T>, ReadError>, errors: &mut Vec<ReadError>) -> Option<T> {
    read.unwrap_or_else(|error| {
        errors.push(error);
        None
    })
}

fn bytes_of(pages: u64) -> u64 {
    pages.saturating_mul(page_size() as u64)
}

fn time_of(ticks: u64) -> Duration {
    let per_second = clock_ticks_per_second();
    Duration::from_secs(ticks / per_second)
        + Duration::from_secs(ticks % per_second) / u32::try_from(per_second).unwrap_or(u32::MAX)
}
