//! What the operating system says is read from files, and what it does not say is absent.

#![cfg(target_os = "linux")]

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, SystemTime};

use brolly_metrics_core::{
    Format, ProcessMonitor, ProcessReader, ProcessReading, ReadError, RegisterError, Registry,
    StallKind,
};
use proptest::prelude::*;
use rustix::param::{clock_ticks_per_second, page_size};
use tempfile::TempDir;

/// A root with the files of a process in the cgroup `/app/web`.
struct Root(TempDir);

impl Root {
    fn empty() -> Self {
        Self(TempDir::new().expect("a folder for the test"))
    }

    fn new() -> Self {
        let root = Self::empty();
        root.stat(100, 50, 300);
        root.write("proc/self/statm", "900 300 5 4 0 91 0\n");
        root.write(
            "proc/self/limits",
            "Limit   Soft Limit  Hard Limit  Units\nMax open files   1024  4096  files\n",
        );
        for descriptor in 0..5 {
            root.write(&format!("proc/self/fd/{descriptor}"), "");
        }
        root.write("proc/stat", "cpu 1 2 3\nintr 1 2 3\nbtime 1700000000\n");
        root.write("proc/self/cgroup", "0::/app/web\n");
        root.cgroup("memory.max", "max\n");
        root.cgroup("app/memory.max", "4000000\n");
        root.cgroup("app/web/memory.max", "5000000\n");
        root.cgroup("app/web/memory.current", "3000000\n");
        let pressure = "some avg10=1.50 avg60=0 avg300=0 total=9\nfull avg10=0.50 avg60=0\n";
        root.cgroup("app/web/memory.pressure", pressure);
        root
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path().join(path);
        let folder = path.parent().expect("a file is in a folder");
        fs::create_dir_all(folder).expect("the folder can be made");
        fs::write(path, content).expect("the file can be written");
    }

    fn cgroup(&self, path: &str, content: impl AsRef<[u8]>) {
        self.write(&format!("sys/fs/cgroup/{path}"), content);
    }

    fn stat(&self, user: u64, system: u64, pages: u64) {
        let line = format!(
            "7 (a) b) S 1 7 7 0 -1 4 1 0 0 0 {user} {system} 0 0 20 0 3 0 12345 8192000 {pages} 1\n"
        );
        self.write("proc/self/stat", line);
    }

    fn remove(&self, path: &str) {
        fs::remove_file(self.path().join(path)).expect("the file is there");
    }

    fn reader(&self) -> ProcessReader {
        ProcessReader::with(self.path(), [])
    }
}

fn ticks(count: u64) -> Duration {
    Duration::from_secs_f64(count as f64 / clock_ticks_per_second() as f64)
}

fn pages(count: u64) -> u64 {
    count * page_size() as u64
}

#[test]
fn every_figure_is_read() {
    let root = Root::new();
    let disk = root.path().to_owned();
    let reading = ProcessReader::with(root.path(), [disk.clone()]).read();
    assert_eq!(reading.errors, []);
    assert_eq!(reading.resident_memory, Some(pages(300)));
    assert_eq!(reading.virtual_memory, Some(8_192_000));
    assert_eq!(reading.cpu_time, Some(ticks(150)));
    assert_eq!(reading.threads, Some(3));
    assert_eq!(reading.open_files, Some(5));
    assert_eq!(reading.max_open_files, Some(1024));
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000) + ticks(12_345);
    assert_eq!(reading.start_time, Some(start));
    assert_eq!(reading.cgroup_memory, Some(3_000_000));
    let pressure = reading.memory_pressure.unwrap();
    assert_eq!((pressure.some, pressure.full), (0.015, 0.005));
    assert_eq!(reading.disks[0].path, disk);
    assert!(reading.disks[0].free <= reading.disks[0].size);
}

#[test]
fn the_smallest_limit_of_the_chain_counts() {
    let root = Root::new();
    let reader = root.reader();
    assert_eq!(reader.read().memory_limit, Some(4_000_000));
    root.cgroup("app/web/memory.max", "3500000\n");
    assert_eq!(reader.read().memory_limit, Some(3_500_000));
    root.cgroup("memory.max", "0\n");
    assert_eq!(reader.read().memory_limit, Some(0));
    for folder in ["", "app/", "app/web/"] {
        root.cgroup(&format!("{folder}memory.max"), "max\n");
    }
    assert_eq!(reader.read().memory_limit, None);
}

#[test]
fn used_memory_is_the_larger_of_both() {
    let root = Root::new();
    let reader = root.reader();
    root.cgroup("app/web/memory.current", "1\n");
    assert_eq!(reader.read().used_memory(), Some(pages(300)));
    root.cgroup("app/web/memory.current", format!("{}\n", pages(301)));
    assert_eq!(reader.read().used_memory(), Some(pages(301)));
    root.remove("proc/self/cgroup");
    assert_eq!(root.reader().read().used_memory(), Some(pages(300)));
}

#[test]
fn a_process_that_is_moved_is_followed() {
    let root = Root::new();
    let reader = root.reader();
    assert_eq!(reader.read().cgroup_memory, Some(3_000_000));
    root.cgroup("other/memory.current", "77\n");
    root.cgroup("other/memory.max", "99\n");
    root.write("proc/self/cgroup", "0::/other\n");
    let reading = reader.read();
    assert_eq!(reading.cgroup_memory, Some(77));
    assert_eq!(reading.memory_limit, Some(99));
    // Its pressure is not told there, nor that of the machine.
    assert_eq!(reading.memory_pressure, None);
}

#[test]
fn a_container_that_sees_its_own_cgroup_as_the_root_reads_that() {
    let root = Root::new();
    root.write("proc/self/cgroup", "0::/docker/0123456789\n");
    root.cgroup("memory.current", "55\n");
    root.cgroup("memory.max", "66\n");
    let reading = root.reader().read();
    assert_eq!(
        (reading.cgroup_memory, reading.memory_limit),
        (Some(55), Some(66))
    );
}

#[test]
fn a_cgroup_outside_of_what_is_visible_is_absent() {
    let root = Root::new();
    root.cgroup("memory.current", "55\n");
    root.write("proc/self/cgroup", "0::/../../other\n");
    let reading = root.reader().read();
    assert_eq!((reading.cgroup_memory, reading.memory_limit), (None, None));
    assert_eq!(reading.errors, []);
}

#[test]
fn pressure_of_the_machine_stands_in_for_that_of_the_cgroup() {
    let root = Root::new();
    root.remove("sys/fs/cgroup/app/web/memory.pressure");
    root.write(
        "proc/pressure/memory",
        "some avg10=50.00\nfull avg10=25.00\n",
    );
    let pressure = root.reader().read().memory_pressure.unwrap();
    assert_eq!((pressure.some, pressure.full), (0.5, 0.25));
}

#[test]
fn where_nothing_is_told_everything_is_absent_and_nothing_is_wrong() {
    let root = Root::empty();
    let reader = root.reader();
    assert_eq!(reader.read(), ProcessReading::default());
    assert_eq!(reader.resident_memory(), Ok(None));
    let registry = Registry::new();
    ProcessMonitor::new(&registry, reader).unwrap();
    assert_eq!(registry.snapshot().gauges, []);
}

#[test]
fn what_is_malformed_is_told_and_absent_and_the_rest_is_there() {
    let root = Root::new();
    root.write("proc/self/stat", "7 (a");
    root.cgroup("app/web/memory.current", "");
    let reading = root.reader().read();
    assert_eq!(reading.resident_memory, None);
    assert_eq!(reading.cpu_time, None);
    assert_eq!(reading.cgroup_memory, None);
    assert_eq!(reading.open_files, Some(5));
    let [
        ReadError::Malformed { path: stat, .. },
        ReadError::Malformed { path: current, .. },
    ] = &*reading.errors
    else {
        panic!("{:?}", reading.errors);
    };
    assert_eq!(*stat, root.path().join("proc/self/stat"));
    assert_eq!(
        *current,
        root.path().join("sys/fs/cgroup/app/web/memory.current")
    );
}

#[test]
fn a_huge_file_is_refused_before_it_is_read_whole() {
    let root = Root::new();
    let huge = fs::File::create(root.path().join("proc/self/statm")).unwrap();
    huge.set_len(1 << 40).unwrap();
    let expected = ReadError::TooLong {
        path: root.path().join("proc/self/statm"),
        max_bytes: 65_536,
    };
    assert_eq!(root.reader().resident_memory(), Err(expected));
}

#[test]
fn a_folder_in_the_place_of_a_file_is_an_error() {
    let root = Root::new();
    root.remove("proc/self/statm");
    fs::create_dir(root.path().join("proc/self/statm")).unwrap();
    let read = root.reader().resident_memory();
    let Err(ReadError::Io { kind, .. }) = read else {
        panic!("{read:?}");
    };
    assert_eq!(kind, io::ErrorKind::IsADirectory);
}

#[test]
fn a_disk_that_is_not_there_is_left_out() {
    let root = Root::new();
    let disks = [root.path().join("nowhere"), root.path().to_owned()];
    let reading = ProcessReader::with(root.path(), disks).read();
    assert_eq!(reading.disks.len(), 1);
    assert_eq!(reading.disks[0].path, root.path());
}

#[test]
fn cpu_time_never_runs_backwards() {
    let root = Root::new();
    let registry = Registry::new();
    let monitor = ProcessMonitor::new(&registry, root.reader()).unwrap();
    for (user, shown) in [(200, 250), (10, 250), (201, 251)] {
        root.stat(user, 50, 300);
        let reading = monitor.sample().unwrap();
        assert_eq!(reading.cpu_time, Some(ticks(shown)));
        let snapshot = registry.snapshot();
        let counter = snapshot.counter("process_cpu_seconds_total").unwrap();
        let nanos = *counter.get(&[]).unwrap();
        assert_eq!(Duration::from_nanos(nanos), ticks(shown));
    }
}

#[test]
fn readers_at_the_same_time_never_see_cpu_time_run_backwards() {
    const READERS: usize = 4;
    let registry = Registry::new();
    let monitor = ProcessMonitor::new(&registry, ProcessReader::new()).unwrap();
    let start = Barrier::new(READERS);
    let cpu_time = || {
        let snapshot = registry.snapshot();
        let counter = snapshot.counter("process_cpu_seconds_total").unwrap();
        *counter.get(&[]).unwrap()
    };
    thread::scope(|scope| {
        for _ in 0..READERS {
            scope.spawn(|| {
                start.wait();
                let mut last = cpu_time();
                for _ in 0..500 {
                    monitor.sample().unwrap();
                    let now = cpu_time();
                    assert!(now >= last, "{now} after {last}");
                    last = now;
                }
            });
        }
    });
}

#[test]
fn this_process_is_read() {
    let reader = ProcessReader::with("/", ["/".into()]);
    let reading = reader.read();
    assert_eq!(reading.errors, []);
    let resident = reading.resident_memory.unwrap();
    assert!(resident > 0 && resident <= reading.virtual_memory.unwrap());
    let again = reader.resident_memory().unwrap().unwrap();
    assert!(again > 0 && again < 64 * resident, "{again} and {resident}");
    assert!(reading.threads.unwrap() >= 1);
    assert!(reading.open_files.unwrap() >= 3);
    assert!(reading.open_files < reading.max_open_files);
    assert!(reading.start_time.unwrap() <= SystemTime::now() + Duration::from_secs(2));
    assert!(reading.disks[0].size > 0);
}

#[test]
fn a_file_that_is_kept_open_is_read_anew() {
    let reader = ProcessReader::new();
    let before = reader.read().cpu_time.unwrap();
    // Reading takes CPU time itself, so this ends.
    while reader.read().cpu_time.unwrap() == before {}
}

#[test]
fn metrics_have_the_names_that_prometheus_users_know() {
    let root = Root::new();
    let registry = Registry::new();
    let reader = ProcessReader::with(root.path(), [root.path().to_owned()]);
    let monitor = ProcessMonitor::new(&registry, reader).unwrap();
    root.stat(100, 75, 400);
    monitor.sample().unwrap();
    let page = registry.encode(Format::Text);
    let resident = pages(400);
    let cpu_time = ticks(175).as_secs_f64();
    let used = resident.max(3_000_000);
    for line in [
        format!("process_resident_memory_bytes {resident}"),
        "process_virtual_memory_bytes 8192000".to_owned(),
        format!("memory_usage_bytes{{type=\"resident\"}} {resident}"),
        "memory_usage_bytes{type=\"cgroup\"} 3000000".to_owned(),
        format!("memory_usage_bytes{{type=\"used\"}} {used}"),
        "memory_limit_bytes 4000000".to_owned(),
        "memory_pressure_ratio{type=\"some\"} 0.015".to_owned(),
        format!("process_cpu_seconds_total {cpu_time}"),
        "process_open_fds 5".to_owned(),
        "process_max_fds 1024".to_owned(),
        "process_threads 3".to_owned(),
    ] {
        assert!(page.lines().any(|it| it == line), "no {line} in\n{page}");
    }
    assert!(
        page.contains("\nprocess_start_time_seconds 1700000"),
        "{page}"
    );
    assert!(page.contains("\ndisk_free_bytes{path="), "{page}");
}

#[test]
fn a_scrape_reads_no_files() {
    let root = Root::new();
    let registry = Registry::new();
    let monitor = ProcessMonitor::new(&registry, root.reader()).unwrap();
    root.stat(100, 50, 999);
    let before = registry.snapshot();
    let resident = |registry: &brolly_metrics_core::Snapshot| {
        let gauge = registry.gauge("process_resident_memory_bytes").unwrap();
        gauge.get(&[]).unwrap().value
    };
    assert_eq!(resident(&before), pages(300) as f64);
    monitor.sample().unwrap();
    assert_eq!(resident(&registry.snapshot()), pages(999) as f64);
}

#[test]
fn what_cannot_be_told_any_more_does_not_stay_as_it_was() {
    let root = Root::new();
    let registry = Registry::new();
    let monitor = ProcessMonitor::new(&registry, root.reader()).unwrap();
    root.write("proc/self/stat", "");
    root.write("proc/self/cgroup", "");
    let reading = monitor.sample().unwrap();
    assert_eq!(reading.errors.len(), 1);
    let snapshot = registry.snapshot();
    let plain = snapshot.gauge("process_resident_memory_bytes").unwrap();
    assert!(plain.get(&[]).unwrap().value.is_nan());
    assert_eq!(snapshot.gauge("memory_usage_bytes").unwrap().series, []);
    root.stat(100, 50, 300);
    monitor.sample().unwrap();
    let snapshot = registry.snapshot();
    let plain = snapshot.gauge("process_resident_memory_bytes").unwrap();
    assert_eq!(plain.get(&[]).unwrap().value, pages(300) as f64);
}

#[test]
fn a_disk_that_goes_away_does_not_stay_shown() {
    let root = Root::new();
    let disk = root.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let disks = [root.path().to_owned(), disk.clone()];
    // Few series as it may allow, those of the process fit.
    let registry = Registry::builder().max_series(1).build();
    let reader = ProcessReader::with(root.path(), disks);
    let monitor = ProcessMonitor::new(&registry, reader).unwrap();
    let shown = || {
        registry
            .snapshot()
            .gauge("disk_free_bytes")
            .unwrap()
            .series
            .len()
    };
    assert_eq!(shown(), 2);
    fs::remove_dir(&disk).unwrap();
    monitor.sample().unwrap();
    assert_eq!(shown(), 1);
}

#[test]
fn a_registry_takes_one_monitor() {
    let root = Root::new();
    let registry = Registry::new();
    ProcessMonitor::new(&registry, root.reader()).unwrap();
    let second = ProcessMonitor::new(&registry, root.reader());
    assert!(matches!(second, Err(RegisterError::Duplicate { .. })));
}

const FILES: [&str; 9] = [
    "proc/self/stat",
    "proc/self/statm",
    "proc/self/limits",
    "proc/self/cgroup",
    "proc/stat",
    "sys/fs/cgroup/app/memory.max",
    "sys/fs/cgroup/app/web/memory.max",
    "sys/fs/cgroup/app/web/memory.current",
    "sys/fs/cgroup/app/web/memory.pressure",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn whatever_a_file_holds_nothing_panics(
        file in prop::sample::select(&FILES[..]),
        bytes in prop::collection::vec(any::<u8>(), 0..4096),
    ) {
        let root = Root::new();
        let reader = root.reader();
        let _ = reader.read();
        root.write(file, &bytes);
        let _ = reader.read();
        let _ = reader.resident_memory();
    }

    #[test]
    fn whatever_the_cgroup_is_called_nothing_outside_of_its_folder_is_read(
        name in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let root = Root::new();
        // What a name that climbs would find.
        root.write("sys/fs/memory.current", "666\n");
        root.write("memory.current", "666\n");
        root.write("proc/self/cgroup", [b"0::/", &*name, b"\n"].concat());
        let reading = root.reader().read();
        let climbs = std::ffi::OsStr::from_bytes(&name);
        prop_assert_ne!(reading.cgroup_memory, Some(666), "{:?}", climbs);
    }
}

/// Files of a machine whose memory controller is one of cgroup v1, as many containers still see it.
fn v1_root() -> Root {
    let root = Root::new();
    root.write(
        "proc/self/cgroup",
        "9:name=systemd:/\n4:cpuset,memory:/box/a\n0::/\n",
    );
    for file in ["memory.max", "app/memory.max", "app/web/memory.max"] {
        root.remove(&format!("sys/fs/cgroup/{file}"));
    }
    root.cgroup("memory/memory.limit_in_bytes", "9223372036854771712\n");
    root.cgroup("memory/box/memory.limit_in_bytes", "9223372036854771712\n");
    root.cgroup("memory/box/a/memory.limit_in_bytes", "800000\n");
    root.cgroup("memory/box/a/memory.usage_in_bytes", "600000\n");
    root.cgroup(
        "memory/box/a/memory.stat",
        "cache 1\ninactive_file 5\ntotal_inactive_file 50000\n",
    );
    root.write("proc/meminfo", "MemTotal:       1000 kB\nMemFree:  1 kB\n");
    root
}

#[test]
fn cgroup_v1_serves_where_v2_has_no_memory_controller() {
    let root = v1_root();
    let reading = root.reader().read();
    assert_eq!(reading.errors, []);
    assert_eq!(reading.cgroup_memory, Some(600_000));
    assert_eq!(reading.memory_limit, Some(800_000));
    let memory = root.reader().memory();
    assert_eq!(memory.errors, []);
    assert_eq!(memory.resident, Some(pages(300)));
    assert_eq!(memory.cgroup, Some(600_000));
    assert_eq!(memory.working_set(), Some(550_000));
    assert_eq!(memory.machine, Some(1_024_000));
    assert_eq!(memory.limit(), Some(800_000));
    // Seen from inside, the own cgroup is the outermost, whatever its name is outside.
    root.write("proc/self/cgroup", "4:memory:/elsewhere\n");
    root.cgroup("memory/memory.limit_in_bytes", "2000000\n");
    let memory = root.reader().memory();
    assert_eq!(
        (memory.cgroup, memory.cgroup_limit),
        (None, Some(2_000_000))
    );
    assert_eq!(memory.limit(), Some(1_024_000), "the machine has less");
}

#[test]
fn memory_alone_says_what_the_kernel_would_take_back() {
    let root = Root::new();
    let reader = root.reader();
    let memory = reader.memory();
    assert_eq!(memory.errors, []);
    assert_eq!((memory.cgroup, memory.reclaimable), (Some(3_000_000), None));
    assert_eq!(memory.working_set(), Some(3_000_000));
    assert_eq!((memory.limit(), memory.machine), (Some(4_000_000), None));
    root.cgroup("app/web/memory.stat", "anon 1\ninactive_file 2500000\n");
    assert_eq!(reader.memory().working_set(), Some(500_000));
    root.cgroup("app/web/memory.stat", "inactive_file 9000000\n");
    assert_eq!(reader.memory().working_set(), Some(0));
    root.cgroup("app/web/memory.stat", "nothing\n");
    let memory = reader.memory();
    assert_eq!(
        (memory.working_set(), memory.errors.len()),
        (Some(3_000_000), 1)
    );
}

#[test]
fn load_and_stalls_are_read() {
    let root = Root::new();
    let reader = root.reader();
    let load = reader.load();
    assert_eq!((load.load_average, load.processors), (None, None));
    assert_eq!(load.errors, []);
    assert_eq!(reader.stalled(StallKind::Cpu), Ok(None));
    root.write("proc/loadavg", "2.50 1.00 0.50 1/100 42\n");
    root.write("sys/devices/system/cpu/online", "0-3\n");
    let load = reader.load();
    assert_eq!((load.load_average, load.processors), (Some(2.5), Some(4)));
    root.write("proc/loadavg", "much\n");
    assert_eq!(reader.load().errors.len(), 1);

    let line = |share: u32| format!("some avg10={share}.50 avg60=0 avg300=0 total=9\n");
    root.write("proc/pressure/cpu", line(12));
    root.write("proc/pressure/io", line(6));
    assert_eq!(reader.stalled(StallKind::Cpu), Ok(Some(0.125)));
    assert_eq!(reader.stalled(StallKind::Io), Ok(Some(0.065)));
    assert_eq!(reader.stalled(StallKind::Memory), Ok(Some(0.015)));
    root.cgroup("app/web/cpu.pressure", line(24));
    root.cgroup("app/web/io.pressure", "nothing\n");
    assert_eq!(reader.stalled(StallKind::Cpu), Ok(Some(0.245)));
    assert!(reader.stalled(StallKind::Io).is_err());
}
