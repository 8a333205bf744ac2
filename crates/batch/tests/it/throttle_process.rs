//! The throttle's sources that ask the operating system, on files of the test's own and real ones.

#![cfg(all(feature = "memory", target_os = "linux"))]

use std::fs;
use std::hint::black_box;
use std::time::Duration;

use brolly_batch::{ConfigError, LoadAverage, Pressure, ProcessMemory, Reading, Stalls, Throttle};
use brolly_metrics_core::{ProcessReader, StallKind};
use brolly_sync::ManualClock;
use tempfile::TempDir;

const MIB: u64 = 1024 * 1024;

/// A machine of 1,000 MiB, and a process in the cgroup `/app`.
struct Root(TempDir);

impl Root {
    fn new(resident_mib: u64) -> Self {
        let root = Self(TempDir::new().expect("a folder for the test"));
        root.resident(resident_mib);
        root.write("proc/meminfo", &format!("MemTotal: {} kB\n", 1_000 * 1_024));
        root.write("proc/self/cgroup", "0::/app\n");
        root.cgroup("cgroup.procs", "");
        root
    }

    fn write(&self, path: &str, content: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("the folder");
        fs::write(path, content).expect("the file can be written");
    }

    fn resident(&self, mib: u64) {
        let pages = mib * MIB / page_bytes();
        self.write("proc/self/statm", &format!("99999 {pages} 1 1 0 1 0\n"));
    }

    fn cgroup(&self, file: &str, content: &str) {
        self.write(&format!("sys/fs/cgroup/app/{file}"), content);
    }

    fn reader(&self) -> ProcessReader {
        ProcessReader::with(self.0.path(), [])
    }

    fn memory(&self) -> ProcessMemory {
        ProcessMemory::with_reader(self.reader())
    }
}

/// By the reader itself, so that the test needs no system call of its own.
fn page_bytes() -> u64 {
    let root = TempDir::new().expect("a folder for the test");
    fs::create_dir_all(root.path().join("proc/self")).expect("the folder");
    fs::write(root.path().join("proc/self/statm"), "1 1 1 1 0 1 0\n").expect("the file");
    let reader = ProcessReader::with(root.path(), []);
    reader.memory().resident.expect("one page")
}

#[test]
fn a_limit_below_128_is_refused() {
    for limit_mb in [0, 127] {
        let error = ProcessMemory::new().limit_mb(limit_mb).unwrap_err();
        let ConfigError::OutOfRange {
            field, value, min, ..
        } = error
        else {
            panic!("{error}");
        };
        assert_eq!((field, value, min), ("limit_mb", limit_mb, 128));
    }
    assert!(ProcessMemory::new().limit_mb(128).is_ok());
    assert!(ProcessMemory::new().limit_mb(usize::MAX).is_err());
}

/// In the original what there is without a limit is twice what is used, so 50 per cent always.
#[test]
fn without_a_limit_of_its_own_the_machine_or_the_cgroup_sets_it() {
    let root = Root::new(250);
    assert_eq!(
        root.memory().read(),
        Some(Reading::new(250 * MIB, 1_000 * MIB))
    );
    root.resident(900);
    assert_eq!(root.memory().read().unwrap().percent, 90.0);
    root.resident(250);
    root.cgroup("memory.max", &format!("{}\n", 500 * MIB));
    assert_eq!(root.memory().read().unwrap().percent, 50.0);
    root.cgroup("memory.max", &format!("{}\n", 5_000 * MIB));
    assert_eq!(
        root.memory().read().unwrap().percent,
        25.0,
        "more than there is"
    );
}

#[test]
fn the_limit_of_the_cgroup_holds_beside_the_own_one() {
    let root = Root::new(200);
    let memory = root.memory().limit_mb(400).unwrap();
    assert_eq!(memory.read(), Some(Reading::new(200 * MIB, 400 * MIB)));
    root.cgroup("memory.current", &format!("{}\n", 270 * MIB));
    root.cgroup("memory.max", &format!("{}\n", 300 * MIB));
    assert_eq!(memory.read(), Some(Reading::new(270 * MIB, 300 * MIB)));
    root.cgroup(
        "memory.stat",
        &format!("anon 1\ninactive_file {}\n", 240 * MIB),
    );
    assert_eq!(
        memory.read(),
        Some(Reading::new(200 * MIB, 400 * MIB)),
        "page cache"
    );
}

#[test]
fn what_cannot_be_told_is_no_reading() {
    let empty = TempDir::new().expect("a folder for the test");
    let reader = ProcessReader::with(empty.path(), []);
    let memory = ProcessMemory::with_reader(reader.clone());
    assert_eq!(memory.limit_mb(128).unwrap().read(), None);
    assert_eq!(LoadAverage::with_reader(reader.clone()).read(), None);
    assert_eq!(Stalls::with_reader(reader, StallKind::Io).read(), None);
}

#[test]
fn load_and_stalls_are_shares() {
    let root = Root::new(1);
    root.write("proc/loadavg", "3.00 1.00 0.50 1/100 42\n");
    root.write("sys/devices/system/cpu/online", "0-3\n");
    let load = LoadAverage::with_reader(root.reader());
    assert_eq!(load.read(), Some(Reading::new(300, 400)));
    root.write(
        "proc/pressure/cpu",
        "some avg10=25.50 avg60=0 avg300=0 total=9\n",
    );
    let stalls = Stalls::with_reader(root.reader(), StallKind::Cpu);
    assert_eq!(
        (stalls.name(), stalls.read().unwrap().percent),
        ("cpu stalls", 25.5)
    );
    root.write("proc/pressure/cpu", "some avg10=a\n");
    assert_eq!(stalls.read(), None, "what is malformed holds nobody back");
}

#[test]
fn a_throttle_follows_the_files() {
    let root = Root::new(700);
    root.write(
        "proc/pressure/cpu",
        "some avg10=0.00 avg60=0 avg300=0 total=9\n",
    );
    let clock = ManualClock::new();
    let throttle = Throttle::builder()
        .source(root.memory())
        .source_with(Stalls::with_reader(root.reader(), StallKind::Cpu), 40, 20)
        .timer(clock.clone())
        .build()
        .unwrap();
    let mut states = Vec::new();
    for (resident, stalled) in [(790, 0), (800, 0), (750, 0), (700, 0), (0, 40), (0, 20)] {
        root.resident(resident);
        root.write(
            "proc/pressure/cpu",
            &format!("some avg10={stalled}.00 total=9\n"),
        );
        clock.advance(Duration::from_secs(1));
        states.push(throttle.is_throttled());
    }
    assert_eq!(states, [false, true, true, false, true, false]);
}

#[test]
fn real_memory_that_is_used_is_seen() {
    // So large a limit that the cgroup's own share may be the larger one; that is read as well.
    let memory = ProcessMemory::new().limit_mb(1 << 20).unwrap();
    assert!(memory.read().expect("the kernel tells").percent > 0.0);
    let resident = || ProcessReader::new().memory().resident.expect("it tells");
    let block = vec![1_u8; 64 * MIB as usize];
    let with = resident();
    drop(black_box(block));
    let without = resident();
    // Beside other tests memory comes and goes, so half of the block must do.
    assert!(
        with > without.saturating_add(32 * MIB),
        "{with} with it, {without} without"
    );
}
