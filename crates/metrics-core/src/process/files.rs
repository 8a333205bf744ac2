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
use super::reading::{DiskReading, ProcessReading};

/// `/proc/stat` has lines as long as the machine has interrupts.
const MAX_MACHINE_STAT_BYTES: u64 = 4 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Files {
    root: PathBuf,
    stat: KeptFile,
    statm: KeptFile,
    limits: KeptFile,
    cgroup: KeptFile,
    machine_pressure: KeptFile,
    own_cgroup: Option<Cgroup>,
    /// Does not change, so it is read until it is known and then never again.
    boot_time: Option<Duration>,
    /// The largest reading so far.
    cpu_ticks: u64,
    buffer: Vec<u8>,
}

/// A cgroup v2 with those above it.
#[derive(Debug)]
struct Cgroup {
    names: Vec<Vec<u8>>,
    current: KeptFile,
    pressure: KeptFile,
    /// `memory.max` of each, outermost first.
    limits: Vec<KeptFile>,
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
            machine_pressure: KeptFile::new(root.join("proc/pressure/memory")),
            own_cgroup: None,
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
        let own = &mut self.own_cgroup;
        let root = &self.root;
        let buffer = &mut self.buffer;
        // A process may be moved: the name is read each time, the files are kept while it lasts.
        let found = self.cgroup.read(buffer, |bytes| {
            let names = parse::cgroup_path(bytes)?;
            if let Some(names) = &names
                && own.as_ref().is_none_or(|own| own.names != *names)
            {
                *own = Some(Cgroup::new(root, names));
            }
            Ok(names.is_some())
        });
        let is_in_one = kept(found, errors).unwrap_or(false);
        if let Some(own) = own.as_mut().filter(|_| is_in_one) {
            let current = own.current.read(buffer, parse::cgroup_bytes);
            reading.cgroup_memory = kept(current, errors).flatten();
            for limit in &mut own.limits {
                let limit = kept(limit.read(buffer, parse::cgroup_bytes), errors).flatten();
                let smallest = reading.memory_limit.into_iter().chain(limit).min();
                reading.memory_limit = smallest;
            }
            reading.memory_pressure = kept(own.pressure.read(buffer, parse::pressure), errors);
        }
        if reading.memory_pressure.is_none() {
            let pressure = self.machine_pressure.read(buffer, parse::pressure);
            reading.memory_pressure = kept(pressure, errors);
        }
    }
}

impl Cgroup {
    fn new(root: &Path, names: &[&[u8]]) -> Self {
        let mut folder = root.join("sys/fs/cgroup");
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
            current: KeptFile::new(own.join("memory.current")),
            pressure: KeptFile::new(own.join("memory.pressure")),
            limits: folders
                .iter()
                .map(|folder| KeptFile::new(folder.join("memory.max")))
                .collect(),
        }
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
