//! Readers of the kernel's text files, as pure functions: any bytes give a value or a mistake.
//!
//! Formats: proc(5), and the kernel's documents on cgroups v1 and v2 and on pressure stall
//! information.

use std::str::FromStr;
use std::time::Duration;

use super::reading::MemoryPressure;

/// What a file should have held and did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) &'static str);

/// `/proc/<pid>/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    /// In user and in kernel mode, in clock ticks.
    pub(super) cpu_ticks: u64,
    pub(super) threads: u64,
    /// Since the boot, in clock ticks.
    pub(super) start_ticks: u64,
    pub(super) virtual_bytes: u64,
    pub(super) resident_pages: u64,
}

pub(super) fn stat(bytes: &[u8]) -> Result<Stat, Malformed> {
    // The name of the program stands in parentheses and may hold blanks, parentheses and bytes that
    // are not UTF-8, so the fields are counted from the last parenthesis.
    let name_end = bytes.iter().rposition(|byte| *byte == b')');
    let name_end = name_end.ok_or(Malformed("a name in parentheses"))?;
    let mut fields = words(&bytes[name_end + 1..]);
    // Fields are numbered from 1; the one after the name is the third.
    let mut next = 3;
    let mut field = |number: usize, expected| {
        let skipped = number - next;
        next = number + 1;
        fields
            .nth(skipped)
            .and_then(parse)
            .ok_or(Malformed(expected))
    };
    let user: u64 = field(14, "the time in user mode as field 14")?;
    let system: u64 = field(15, "the time in kernel mode as field 15")?;
    Ok(Stat {
        cpu_ticks: user.saturating_add(system),
        threads: field(20, "the number of threads as field 20")?,
        start_ticks: field(22, "the start time as field 22")?,
        virtual_bytes: field(23, "the virtual size as field 23")?,
        resident_pages: field(24, "the resident pages as field 24")?,
    })
}

/// The resident pages of `/proc/<pid>/statm`.
pub(super) fn statm(bytes: &[u8]) -> Result<u64, Malformed> {
    let resident = words(bytes).nth(1).and_then(parse);
    resident.ok_or(Malformed("the resident pages as field 2"))
}

/// The soft limit of open files in `/proc/<pid>/limits`; none when unlimited.
pub(super) fn max_open_files(bytes: &[u8]) -> Result<Option<u64>, Malformed> {
    let mut found = lines(bytes).filter_map(|line| line.strip_prefix(b"Max open files"));
    let limits = found.next().ok_or(Malformed("a line `Max open files`"))?;
    let soft = words(limits).next();
    soft.and_then(|soft| limit(soft, b"unlimited"))
        .ok_or(Malformed("the soft limit of open files"))
}

/// When the machine was booted, after the Unix epoch: the line `btime` of `/proc/stat`.
pub(super) fn boot_time(bytes: &[u8]) -> Result<Duration, Malformed> {
    let mut found = lines(bytes).filter_map(|line| line.strip_prefix(b"btime "));
    let seconds = found.next().ok_or(Malformed("a line `btime`"))?;
    let seconds = words(seconds).next().and_then(parse);
    seconds
        .map(Duration::from_secs)
        .ok_or(Malformed("the time of the boot"))
}

/// The names of the cgroup and its ancestors in `/proc/<pid>/cgroup`, outermost first; none when
/// the process is in no cgroup v2, or in one outside what is visible here.
pub(super) fn cgroup_path(bytes: &[u8]) -> Result<Option<Vec<&[u8]>>, Malformed> {
    let Some(path) = lines(bytes).find_map(|line| line.strip_prefix(b"0::")) else {
        return Ok(None);
    };
    names(path)
}

fn names(path: &[u8]) -> Result<Option<Vec<&[u8]>>, Malformed> {
    if path.first() != Some(&b'/') || path.contains(&0) {
        return Err(Malformed("a path of a cgroup that starts with `/`"));
    }
    let names: Vec<_> = path
        .split(|byte| *byte == b'/')
        .filter(|name| !name.is_empty())
        .collect();
    let is_visible = !names.iter().any(|name| matches!(*name, b"." | b".."));
    Ok(is_visible.then_some(names))
}

/// The same for the memory controller of cgroup v1.
pub(super) fn memory_cgroup_path(bytes: &[u8]) -> Result<Option<Vec<&[u8]>>, Malformed> {
    // Lines are `number:controllers with commas between:path`.
    let path = lines(bytes).find_map(|line| {
        let mut fields = line.splitn(3, |byte| *byte == b':');
        let mut controllers = fields.nth(1)?.split(|byte| *byte == b',');
        controllers.find(|name| *name == b"memory")?;
        fields.next()
    });
    path.map_or(Ok(None), names)
}

/// `memory.current` or `memory.max`; none for no limit.
pub(super) fn cgroup_bytes(bytes: &[u8]) -> Result<Option<u64>, Malformed> {
    let mut words = words(bytes);
    let value = words.next().and_then(|value| limit(value, b"max"));
    match (value, words.next()) {
        (Some(value), None) => Ok(value),
        _ => Err(Malformed("a number of bytes or `max`")),
    }
}

/// `memory.limit_in_bytes` of cgroup v1, where a number near the largest stands for no limit.
pub(super) fn v1_limit(bytes: &[u8]) -> Result<Option<u64>, Malformed> {
    let limit = cgroup_bytes(bytes)?;
    Ok(limit.filter(|limit| *limit < 1 << 62))
}

/// The file pages in `memory.stat` that were not used lately; with v1, of the cgroups below too.
pub(super) fn inactive_file(bytes: &[u8]) -> Result<u64, Malformed> {
    let value = |name: &[u8]| {
        let line = lines(bytes).find_map(|line| line.strip_prefix(name))?;
        words(line).next().and_then(parse)
    };
    value(b"total_inactive_file ")
        .or_else(|| value(b"inactive_file "))
        .ok_or(Malformed("a line `inactive_file`"))
}

/// The memory of the machine in `/proc/meminfo`, in bytes.
pub(super) fn machine_memory(bytes: &[u8]) -> Result<u64, Malformed> {
    let line = lines(bytes).find_map(|line| line.strip_prefix(b"MemTotal:"));
    let kibibytes: Option<u64> = line.and_then(|line| words(line).next().and_then(parse));
    kibibytes
        .map(|kibibytes| kibibytes.saturating_mul(1024))
        .ok_or(Malformed("a line `MemTotal:`"))
}

/// The average of the last minute in `/proc/loadavg`.
pub(super) fn load_average(bytes: &[u8]) -> Result<f64, Malformed> {
    let load: Option<f64> = words(bytes).next().and_then(parse);
    load.filter(|load| load.is_finite())
        .ok_or(Malformed("the load average as field 1"))
}

/// How many processors a list such as `0-3,6` has.
pub(super) fn processors(bytes: &[u8]) -> Result<u64, Malformed> {
    let list = words(bytes).next().unwrap_or_default();
    let range = |range: &[u8]| {
        let mut ends = range.splitn(2, |byte| *byte == b'-');
        let first: u32 = ends.next().and_then(parse)?;
        let last = match ends.next() {
            Some(last) => parse(last)?,
            None => first,
        };
        Some(u64::from(last.checked_sub(first)?) + 1)
    };
    list.split(|byte| *byte == b',')
        .try_fold(0_u64, |sum, part| Some(sum + range(part)?))
        .ok_or(Malformed("a list of processors"))
}

/// `/proc/pressure/memory` or `memory.pressure`: the share of the last ten seconds in which work
/// stood still for want of memory.
pub(super) fn pressure(bytes: &[u8]) -> Result<MemoryPressure, Malformed> {
    Ok(MemoryPressure {
        some: some_pressure(bytes)?,
        full: share_of_time(bytes, b"full ")
            .ok_or(Malformed("a line `full avg10=` with a per cent"))?,
    })
}

/// The share of the last ten seconds in which some task stood still, of any such file: for the
/// processor there need not be another line.
pub(super) fn some_pressure(bytes: &[u8]) -> Result<f64, Malformed> {
    share_of_time(bytes, b"some ").ok_or(Malformed("a line `some avg10=` with a per cent"))
}

fn share_of_time(bytes: &[u8], who: &[u8]) -> Option<f64> {
    let line = lines(bytes).find_map(|line| line.strip_prefix(who))?;
    let per_cent = words(line).find_map(|word| word.strip_prefix(b"avg10="))?;
    let per_cent: f64 = parse(per_cent)?;
    (0.0..=100.0)
        .contains(&per_cent)
        .then_some(per_cent / 100.0)
}

/// A limit: none for the word that stands for no limit; nothing for what is neither.
fn limit(value: &[u8], none: &[u8]) -> Option<Option<u64>> {
    if value == none {
        return Some(None);
    }
    parse(value).map(Some)
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == b'\n')
}

fn words(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
}

fn parse<T: FromStr>(word: &[u8]) -> Option<T> {
    // The kernel writes no signs before what is counted, and Rust would accept a plus.
    if !word.first()?.is_ascii_digit() {
        return None;
    }
    std::str::from_utf8(word).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STAT: &[u8] = b"4242 (a (b) c) R 1 2 3 0 -1 4194304 100 0 0 0 150 25 0 0 20 0 7 0 \
        1210551 3133440 380 18446744073709551615 1 2 3\n";

    #[test]
    fn the_fields_of_stat_are_counted_from_behind_the_name() {
        let expected = Stat {
            cpu_ticks: 175,
            threads: 7,
            start_ticks: 1_210_551,
            virtual_bytes: 3_133_440,
            resident_pages: 380,
        };
        assert_eq!(stat(STAT), Ok(expected));
        let hostile = [&b"1 (x) 9 9\n\xFF) "[..], &STAT[15..]].concat();
        assert_eq!(stat(&hostile), Ok(expected));
    }

    #[test]
    fn what_is_cut_off_is_malformed_and_not_zero() {
        for end in 0..STAT.len() - 40 {
            assert!(stat(&STAT[..end]).is_err(), "{end} bytes");
        }
        assert_eq!(
            statm(b"765"),
            Err(Malformed("the resident pages as field 2"))
        );
        assert_eq!(
            boot_time(b"cpu 1 2\nbtime"),
            Err(Malformed("a line `btime`"))
        );
        assert!(max_open_files(b"Max open files   ").is_err());
        assert!(cgroup_bytes(b"").is_err());
        assert!(pressure(b"some avg10=1.00").is_err());
    }

    #[test]
    fn numbers_that_do_not_fit_or_have_signs_are_malformed() {
        assert!(cgroup_bytes(b"18446744073709551616\n").is_err());
        assert!(cgroup_bytes(b"+5\n").is_err());
        assert!(cgroup_bytes(b"-5\n").is_err());
        assert!(cgroup_bytes(b"5 6\n").is_err());
        for per_cent in ["-1", "100.01", "NaN", "inf", "1e400"] {
            let text = format!("some avg10={per_cent}\nfull avg10=0.00\n");
            assert!(pressure(text.as_bytes()).is_err(), "{per_cent}");
        }
    }

    #[test]
    fn every_file_of_a_real_kernel_is_understood() {
        assert_eq!(statm(b"765 380 350 4 0 91 0\n"), Ok(380));
        let limits = b"Limit                     Soft Limit           Hard Limit           Units\n\
            Max processes             96365                96365                processes\n\
            Max open files            20000                30000                files\n";
        assert_eq!(max_open_files(limits), Ok(Some(20_000)));
        assert_eq!(
            max_open_files(b"Max open files  unlimited unlimited files"),
            Ok(None)
        );
        let boot = boot_time(b"cpu  1 2 3\nintr 5 0 0\nctxt 9\nbtime 1763690000\nprocesses 7\n");
        assert_eq!(boot, Ok(Duration::from_secs(1_763_690_000)));
        assert_eq!(cgroup_bytes(b"max\n"), Ok(None));
        assert_eq!(cgroup_bytes(b"4096\n"), Ok(Some(4096)));
        let text = b"some avg10=12.50 avg60=0.00 avg300=0.00 total=1\n\
            full avg10=0.25 avg60=0.00 avg300=0.00 total=1\n";
        let expected = MemoryPressure {
            some: 0.125,
            full: 0.0025,
        };
        assert_eq!(pressure(text), Ok(expected));
    }

    #[test]
    fn a_cgroup_is_named_from_the_outermost_in() {
        let names = cgroup_path(b"4:memory:/old\n0::/user.slice/app\n").unwrap();
        assert_eq!(names, Some(vec![&b"user.slice"[..], b"app"]));
        assert_eq!(cgroup_path(b"0::/\n"), Ok(Some(Vec::new())));
        assert_eq!(cgroup_path(b"4:memory:/old\n"), Ok(None));
        assert_eq!(cgroup_path(b"0::/../../other\n"), Ok(None));
        assert!(cgroup_path(b"0::nowhere\n").is_err());
    }

    #[test]
    fn the_files_of_cgroup_v1_are_understood() {
        let file = b"9:name=systemd:/\n4:cpu,memory:/box/a:b\n0::/\n";
        let names = memory_cgroup_path(file).unwrap();
        assert_eq!(names, Some(vec![&b"box"[..], b"a:b"]));
        assert_eq!(memory_cgroup_path(b"0::/\n5:memoryless:/x\n"), Ok(None));
        assert!(memory_cgroup_path(b"4:memory:x\n").is_err());
        assert_eq!(v1_limit(b"9223372036854771712\n"), Ok(None));
        assert_eq!(v1_limit(b"134217728\n"), Ok(Some(134_217_728)));
        let stat = b"cache 9\ninactive_file 5\ntotal_inactive_file 7\n";
        assert_eq!(inactive_file(stat), Ok(7));
        assert_eq!(inactive_file(b"anon 1\ninactive_file 5\n"), Ok(5));
        assert!(inactive_file(b"inactive_file x\n").is_err());
    }

    #[test]
    fn the_files_of_the_machine_are_understood() {
        let text = b"MemTotal:       24684084 kB\nMemFree:        22372316 kB\n";
        assert_eq!(machine_memory(text), Ok(24_684_084 * 1024));
        assert!(machine_memory(b"MemFree: 1 kB\n").is_err());
        assert_eq!(load_average(b"2.62 1.02 1.39 6/125 5955\n"), Ok(2.62));
        for text in ["", "NaN 0 0", "inf 0 0", "-1.0 0 0", "1e999 0 0"] {
            assert!(load_average(text.as_bytes()).is_err(), "{text}");
        }
        for (list, count) in [("0\n", 1), ("0-3\n", 4), ("0-1,4,8-9\n", 5)] {
            assert_eq!(processors(list.as_bytes()), Ok(count), "{list}");
        }
        for list in ["", "3-0", "1-", "-1", "0,,1", "x"] {
            assert!(processors(list.as_bytes()).is_err(), "{list}");
        }
        assert_eq!(some_pressure(b"some avg10=66.81 avg60=23.58\n"), Ok(0.6681));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..2048)) {
            let _ = stat(&bytes);
            let _ = statm(&bytes);
            let _ = max_open_files(&bytes);
            let _ = boot_time(&bytes);
            let _ = cgroup_path(&bytes);
            let _ = cgroup_bytes(&bytes);
            let _ = pressure(&bytes);
            let _ = memory_cgroup_path(&bytes);
            let _ = v1_limit(&bytes);
            let _ = inactive_file(&bytes);
            let _ = machine_memory(&bytes);
            let _ = load_average(&bytes);
            let _ = processors(&bytes);
        }

        #[test]
        fn arbitrary_words_in_the_right_places_never_panic(
            words in prop::collection::vec("[ -~]{0,24}", 0..40),
        ) {
            let rest = words.join(" ");
            let _ = stat(format!("1 (x) {rest}").as_bytes());
            let _ = max_open_files(format!("Max open files {rest}").as_bytes());
            let _ = boot_time(format!("btime {rest}").as_bytes());
            let _ = pressure(format!("some avg10={rest}\nfull avg10={rest}").as_bytes());
            let _ = inactive_file(format!("inactive_file {rest}").as_bytes());
            let _ = machine_memory(format!("MemTotal: {rest}").as_bytes());
            let _ = processors(format!("0-{rest}").as_bytes());
            if let Ok(Some(names)) = cgroup_path(format!("0::/{rest}").as_bytes()) {
                prop_assert!(names.iter().all(|name| !matches!(*name, b"" | b"." | b"..")));
            }
        }

        #[test]
        fn what_the_kernel_prints_is_read_back(
            name in "[^\n]{0,15}", user in any::<u32>(), system in any::<u32>(),
            threads in any::<u32>(), start in any::<u64>(), size in any::<u64>(), pages in any::<u32>(),
        ) {
            let line = format!(
                "1 ({name}) R 1 2 3 0 -1 4 100 0 0 0 {user} {system} 0 0 20 0 {threads} 0 {start} {size} {pages} 0"
            );
            let expected = Stat {
                cpu_ticks: u64::from(user) + u64::from(system),
                threads: threads.into(),
                start_ticks: start,
                virtual_bytes: size,
                resident_pages: pages.into(),
            };
            prop_assert_eq!(stat(line.as_bytes()), Ok(expected));
        }
    }
}
