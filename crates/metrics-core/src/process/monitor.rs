//! [`ProcessMonitor`]: what the operating system says of this process, as metrics of a registry.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::reader::ProcessReader;
use super::reading::ProcessReading;
use crate::error::RegisterError;
use crate::family::Family;
use crate::instrument::counter::Counter;
use crate::instrument::gauge::Gauge;
use crate::registry::Registry;
use crate::snapshot::GaugeMerge;
use crate::unit::Unit;

/// What the operating system says of this process, as metrics of a registry.
///
/// Call [`sample`](Self::sample) on a tick of your own, every few seconds: the metrics show the last
/// sample, and no scrape waits for the operating system.
///
/// | metric | meaning |
/// |---|---|
/// | `process_resident_memory_bytes`, `process_virtual_memory_bytes` | memory of the process |
/// | `memory_usage_bytes{type}` | `resident`, `virtual`, `cgroup`, and `used`: the larger of `resident` and `cgroup` |
/// | `memory_limit_bytes` | the smallest limit of the cgroup and those above it |
/// | `memory_pressure_ratio{type}` | the share of the last ten seconds in which `some` or `full` (all) work stood still for want of memory |
/// | `process_cpu_seconds_total` | CPU time in user and kernel mode, with fractions; it never falls |
/// | `process_open_fds`, `process_max_fds`, `process_threads` | descriptors and threads |
/// | `process_start_time_seconds` | when the process was started, after the Unix epoch |
/// | `disk_free_bytes{path}`, `disk_size_bytes{path}` | the disks that the reader was given |
///
/// A metric is registered when there is first something to show. What cannot be told any more reads
/// `NaN`, or its series goes away; nothing ever reads 0 because it is not known. One registry takes
/// one monitor.
///
/// ```
/// use brolly_metrics_core::{ProcessMonitor, ProcessReader, Registry};
///
/// let registry = Registry::new();
/// let monitor = ProcessMonitor::new(&registry, ProcessReader::new())?;
/// monitor.sample()?;
/// # #[cfg(target_os = "linux")]
/// assert!(registry.snapshot().gauge("process_resident_memory_bytes").is_some());
/// # Ok::<(), brolly_metrics_core::RegisterError>(())
/// ```
#[derive(Debug)]
pub struct ProcessMonitor {
    registry: Registry,
    reader: ProcessReader,
    /// Held while reading, so that no older reading is shown after a newer one.
    shown: Mutex<Shown>,
}

impl ProcessMonitor {
    /// Takes a first sample and registers what it shows.
    ///
    /// # Errors
    ///
    /// When the registry refuses a metric, because its name is taken or because it is full.
    pub fn new(registry: &Registry, reader: ProcessReader) -> Result<Self, RegisterError> {
        let monitor = Self {
            registry: registry.clone(),
            reader,
            shown: Mutex::new(Shown::new()),
        };
        monitor.sample()?;
        Ok(monitor)
    }

    /// Reads and shows. What was read is given back too, with what could not be understood.
    ///
    /// # Errors
    ///
    /// When something can be shown for the first time and the registry refuses it. Everything else
    /// is shown nevertheless.
    pub fn sample(&self) -> Result<ProcessReading, RegisterError> {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let reading = self.reader.read();
        shown.show(&self.registry, &reading)?;
        Ok(reading)
    }
}

/// The most disks that are told apart.
const MAX_SERIES: usize = 1_000;

#[derive(Debug)]
struct Shown {
    resident_memory: Plain,
    virtual_memory: Plain,
    memory_usage: Labelled,
    memory_limit: Plain,
    memory_pressure: Labelled,
    cpu_time: CpuTime,
    threads: Plain,
    open_files: Plain,
    max_open_files: Plain,
    start_time: Plain,
    disk_free: Labelled,
    disk_size: Labelled,
    /// The paths of the disks that are shown.
    disks: Vec<String>,
}

impl Shown {
    fn new() -> Self {
        use GaugeMerge::{Latest, Max, Min, Sum};
        use Unit::{Bytes, None, Ratio, Seconds};
        Self {
            resident_memory: plain(
                ("process_resident_memory_bytes", Bytes, Sum),
                "Resident memory size in bytes.",
            ),
            virtual_memory: plain(
                ("process_virtual_memory_bytes", Bytes, Sum),
                "Virtual memory size in bytes.",
            ),
            memory_usage: labelled(
                "type",
                ("memory_usage_bytes", Bytes, Sum),
                "Memory of the process and its cgroup in bytes.",
            ),
            memory_limit: plain(
                ("memory_limit_bytes", Bytes, Max),
                "The smallest memory limit of the cgroup and those above it in bytes.",
            ),
            memory_pressure: labelled(
                "type",
                ("memory_pressure_ratio", Ratio, Max),
                "Share of the last ten seconds in which work stood still for want of memory.",
            ),
            cpu_time: CpuTime::default(),
            threads: plain(
                ("process_threads", None, Sum),
                "Number of threads of the process.",
            ),
            open_files: plain(
                ("process_open_fds", None, Sum),
                "Number of open file descriptors.",
            ),
            max_open_files: plain(
                ("process_max_fds", None, Sum),
                "Maximum number of open file descriptors.",
            ),
            start_time: plain(
                ("process_start_time_seconds", Seconds, Min),
                "Start time of the process since unix epoch in seconds.",
            ),
            disk_free: labelled(
                "path",
                ("disk_free_bytes", Bytes, Latest),
                "Room left to unprivileged programs on the file system of the path in bytes.",
            ),
            disk_size: labelled(
                "path",
                ("disk_size_bytes", Bytes, Latest),
                "Size of the file system of the path in bytes.",
            ),
            disks: Vec::new(),
        }
    }

    fn show(&mut self, registry: &Registry, reading: &ProcessReading) -> Result<(), RegisterError> {
        let count = |value: Option<u64>| value.map(|value| value as f64);
        let resident = count(reading.resident_memory);
        let virtual_memory = count(reading.virtual_memory);
        let start_time = reading.start_time.and_then(|time| {
            let since_epoch = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
            Some(since_epoch.as_secs_f64())
        });
        let pressure = reading.memory_pressure;
        let mut usage = |kind, value| self.memory_usage.show(registry, kind, value);
        let mut results = vec![
            usage("resident", resident),
            usage("virtual", virtual_memory),
            usage("cgroup", count(reading.cgroup_memory)),
            usage("used", count(reading.used_memory())),
            self.resident_memory.show(registry, resident),
            self.virtual_memory.show(registry, virtual_memory),
            self.memory_limit
                .show(registry, count(reading.memory_limit)),
            self.memory_pressure
                .show(registry, "some", pressure.map(|it| it.some)),
            self.memory_pressure
                .show(registry, "full", pressure.map(|it| it.full)),
            self.cpu_time.show(registry, reading.cpu_time),
            self.threads.show(registry, count(reading.threads)),
            self.open_files.show(registry, count(reading.open_files)),
            self.max_open_files
                .show(registry, count(reading.max_open_files)),
            self.start_time.show(registry, start_time),
        ];
        let disks = reading.disks.iter();
        let disks: Vec<_> = disks
            .map(|disk| disk.path.to_string_lossy().into_owned())
            .collect();
        for gone in self.disks.iter().filter(|path| !disks.contains(path)) {
            results.push(self.disk_free.show(registry, gone, None));
            results.push(self.disk_size.show(registry, gone, None));
        }
        for (path, disk) in disks.iter().zip(&reading.disks) {
            results.push(self.disk_free.show(registry, path, Some(disk.free as f64)));
            results.push(self.disk_size.show(registry, path, Some(disk.size as f64)));
        }
        self.disks = disks;
        results.into_iter().collect()
    }
}

/// The counter of CPU time, once there was something to show.
#[derive(Debug, Default)]
struct CpuTime {
    counter: Option<Counter>,
    /// How much of it is counted.
    counted: Duration,
}

impl CpuTime {
    fn show(&mut self, registry: &Registry, time: Option<Duration>) -> Result<(), RegisterError> {
        let Some(time) = time else { return Ok(()) };
        let counter = match &self.counter {
            Some(counter) => counter,
            None => {
                let counter = registry
                    .counter("process_cpu_seconds_total")
                    .help("Total user and system CPU time spent in seconds.")
                    .unit(Unit::Seconds);
                self.counter.insert(counter.register()?)
            }
        };
        counter.add_duration(time.saturating_sub(self.counted));
        self.counted = time.max(self.counted);
        Ok(())
    }
}

#[derive(Clone, Copy, Debug)]
struct Describes {
    name: &'static str,
    help: &'static str,
    unit: Unit,
    merge: GaugeMerge,
}

impl Describes {
    fn define(self, registry: &Registry) -> crate::registry::definition::Definition<'_, Gauge> {
        let gauge = registry.gauge(self.name).help(self.help);
        gauge.unit(self.unit).merge(self.merge)
    }
}

/// A gauge without labels, once there was something to show.
#[derive(Debug)]
struct Plain {
    describes: Describes,
    gauge: Option<Gauge>,
}

fn plain((name, unit, merge): (&'static str, Unit, GaugeMerge), help: &'static str) -> Plain {
    Plain {
        describes: Describes {
            name,
            help,
            unit,
            merge,
        },
        gauge: None,
    }
}

impl Plain {
    fn show(&mut self, registry: &Registry, value: Option<f64>) -> Result<(), RegisterError> {
        let gauge = match (&self.gauge, value) {
            (Some(gauge), _) => gauge,
            (None, Some(_)) => {
                let gauge = self.describes.define(registry).register()?;
                self.gauge.insert(gauge)
            }
            (None, None) => return Ok(()),
        };
        gauge.set(value.unwrap_or(f64::NAN));
        Ok(())
    }
}

/// Gauges with one label, each while there is something to show.
#[derive(Debug)]
struct Labelled {
    label: &'static str,
    describes: Describes,
    family: Option<Family<Gauge, 1>>,
}

fn labelled(
    label: &'static str,
    describes: (&'static str, Unit, GaugeMerge),
    help: &'static str,
) -> Labelled {
    Labelled {
        label,
        describes: plain(describes, help).describes,
        family: None,
    }
}

impl Labelled {
    fn show(
        &mut self,
        registry: &Registry,
        label: &str,
        value: Option<f64>,
    ) -> Result<(), RegisterError> {
        let family = match (&self.family, value) {
            (Some(family), _) => family,
            (None, Some(_)) => {
                let family = self.describes.define(registry).labels([self.label]);
                // What is shown is named here and by the user, and no attack on the registry.
                self.family
                    .insert(family.max_series(MAX_SERIES).register()?)
            }
            (None, None) => return Ok(()),
        };
        match value {
            Some(value) => family.with([label], |gauge| gauge.set(value)),
            None => {
                family.remove([label]);
            }
        }
        Ok(())
    }
}
