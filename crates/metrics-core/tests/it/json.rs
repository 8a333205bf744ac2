//! Snapshots as JSON: nothing lost, nothing believed unchecked, and no half-written file.

use std::env;
use std::error::Error as _;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use brolly_metrics_core::{
    Bounds, Buckets, BucketsError, GaugeMerge, GaugeSnapshot, HistogramSnapshot, JsonError,
    Precision, Snapshot, SummarySnapshot, Unit,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::fixture::{empty, family, moment, plain};
use crate::generate::snapshots;

fn snapshot() -> Snapshot {
    let times = [0.25, 0.5, 0.5, -1.0];
    let bounds = Bounds::new(Unit::Bytes, &[10.0, 1e6]).expect("valid");
    Snapshot {
        counters: vec![family(
            "requests",
            Unit::None,
            &["path"],
            [(vec!["/"], u64::MAX), (vec!["/\"\n\\ 🌂"], 7)],
        )],
        gauges: vec![plain(
            "queue",
            Unit::None,
            GaugeSnapshot::new(-1.5, GaugeMerge::Max),
        )],
        histograms: vec![
            plain(
                "sizes",
                Unit::Bytes,
                HistogramSnapshot::of(Unit::Bytes, Buckets::Explicit(bounds), [1.0, 2e6]),
            ),
            plain(
                "wait",
                Unit::Seconds,
                HistogramSnapshot::of(Unit::Seconds, Buckets::default(), times),
            ),
        ],
        summaries: vec![plain(
            "last",
            Unit::None,
            SummarySnapshot {
                count: 3,
                window_count: 2,
                avg: Some(0.1),
                ..SummarySnapshot::default()
            },
        )],
        ..empty()
    }
}

fn value() -> Value {
    serde_json::from_str(&snapshot().to_json()).expect("it is JSON")
}

#[test]
fn numbers_are_numbers_and_the_time_is_rfc_3339() {
    let value = value();
    assert_eq!(value["version"], 1);
    assert_eq!(value["timestamp"], "2026-11-18T11:06:40.25Z");
    assert_eq!(value["counters"][0]["series"][0]["value"], u64::MAX);
    assert_eq!(
        value["counters"][0]["series"][0]["labels"],
        json!({"path": "/"})
    );
    assert_eq!(value["gauges"][0]["series"][0]["value"], -1.5);
    assert_eq!(value["gauges"][0]["series"][0]["merge"], "max");
    let wait = &value["histograms"][1]["series"][0];
    assert_eq!(value["histograms"][1]["unit"], "seconds");
    assert_eq!(wait["count"], 3);
    assert_eq!(wait["sum"], 1.25);
    assert_eq!(wait["min"], 0.25);
    assert_eq!(wait["max"], 0.5);
    assert_eq!(wait["rejected"], 1);
    assert_eq!(wait["p50"], 0.5);
    assert_eq!(wait["steps"]["sum"], 1_250_000_000);
    assert_eq!(value["summaries"][0]["series"][0]["avg"], 0.1);
    assert_eq!(value["summaries"][0]["series"][0]["p50"], Value::Null);
}

#[test]
fn everything_comes_back() {
    let text = snapshot().to_json();
    assert_eq!(Snapshot::from_json(&text), Ok(snapshot()));
    let through_serde: Snapshot = serde_json::from_value(value()).expect("it reads back");
    assert_eq!(through_serde, snapshot());
}

#[test]
fn numbers_that_are_not_finite_come_back() {
    for number in [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        -0.0,
        f64::MAX,
        5e-324,
    ] {
        let gauge = GaugeSnapshot::new(number, GaugeMerge::Sum);
        let snapshot = Snapshot {
            gauges: vec![plain("g", Unit::None, gauge)],
            ..empty()
        };
        let back = Snapshot::from_json(&snapshot.to_json()).expect("it reads back");
        let back = back.gauges[0].series[0].value.value;
        assert_eq!(back.to_bits(), number.to_bits());
    }
}

#[test]
fn a_sum_beyond_64_bits_comes_back() {
    let histogram = HistogramSnapshot::of(Unit::None, Buckets::default(), [1e300, 1e300]);
    let snapshot = Snapshot {
        histograms: vec![plain("h", Unit::None, histogram)],
        ..empty()
    };
    assert!(snapshot.to_json().contains("\"36893488147419103230\""));
    assert_eq!(Snapshot::from_json(&snapshot.to_json()), Ok(snapshot));
}

#[test]
fn times_of_every_age_are_written_and_read() {
    let year = Duration::from_secs(31_556_952);
    for (time, text, is_exact) in [
        (UNIX_EPOCH, "1970-01-01T00:00:00Z", true),
        (
            UNIX_EPOCH - Duration::from_nanos(1),
            "1969-12-31T23:59:59.999999999Z",
            true,
        ),
        (UNIX_EPOCH - 100 * year, "1869-", true),
        (UNIX_EPOCH - 5_000 * year, "0000-01-01T00:00:00Z", false),
        (
            UNIX_EPOCH - 100_000_000 * year,
            "0000-01-01T00:00:00Z",
            false,
        ),
        (UNIX_EPOCH + 7_000 * year, "8969-", true),
        (UNIX_EPOCH + 100_000_000 * year, "9999-12-30T", false),
    ] {
        let snapshot = Snapshot::empty(time);
        let json = snapshot.to_json();
        assert!(json.contains(&format!("\"timestamp\": \"{text}")), "{json}");
        let back = Snapshot::from_json(&json).expect("it reads back");
        assert_eq!(back.timestamp == time, is_exact, "{text}");
    }
}

#[test]
fn order_does_not_matter_when_reading() {
    let mut value = value();
    for kind in ["counters", "histograms"] {
        let families = value[kind].as_array_mut().expect("a list");
        families.reverse();
        for family in families {
            family["series"].as_array_mut().expect("a list").reverse();
        }
    }
    assert_eq!(Snapshot::from_json(&value.to_string()), Ok(snapshot()));
}

#[test]
fn figures_for_people_are_not_believed() {
    let mut value = value();
    let wait = &mut value["histograms"][1]["series"][0];
    wait["p99"] = json!(77);
    wait["sum"] = json!(-1);
    wait.as_object_mut().expect("an object").remove("min");
    assert_eq!(Snapshot::from_json(&value.to_string()), Ok(snapshot()));
}

/// What reading says after one change.
fn tampered(change: impl FnOnce(&mut Value)) -> JsonError {
    let mut value = value();
    change(&mut value);
    Snapshot::from_json(&value.to_string()).expect_err("it was tampered with")
}

#[test]
fn what_contradicts_itself_is_refused() {
    let wait = || "wait".to_owned();
    let series = |value: &mut Value, path: &str, new: Value| {
        *value["histograms"][1]["series"][0]
            .pointer_mut(path)
            .expect("it is there") = new;
    };
    assert_eq!(
        tampered(|value| series(value, "/count", json!(4))),
        JsonError::Count {
            metric: wait(),
            stated: 4,
            counted: 3
        }
    );
    let len = 59 * 64;
    for index in [len, u32::MAX] {
        assert_eq!(
            tampered(|value| series(value, "/steps/counts", json!([[index, 3]]))),
            JsonError::BucketIndex {
                metric: wait(),
                index,
                len: len as usize
            }
        );
    }
    for counts in [
        json!([[9, 1], [9, 2]]),
        json!([[9, 1], [8, 2]]),
        json!([[9, 0]]),
    ] {
        assert!(matches!(
            tampered(|value| series(value, "/steps/counts", counts)),
            JsonError::BucketOrder { .. }
        ));
    }
    let huge = json!([[1, u64::MAX], [2, u64::MAX]]);
    assert!(matches!(
        tampered(|value| series(value, "/steps/counts", huge)),
        JsonError::Count {
            counted: u64::MAX,
            ..
        }
    ));
    assert_eq!(
        tampered(|value| series(value, "/steps/min", json!(u64::MAX))),
        JsonError::Extremes { metric: wait() }
    );
    assert_eq!(
        tampered(|value| series(value, "/buckets", json!({"log_linear": 13}))),
        JsonError::Precision {
            metric: wait(),
            bits: 13
        }
    );
    assert_eq!(
        tampered(|value| series(value, "/buckets", json!({"bounds": []}))),
        JsonError::Buckets {
            metric: wait(),
            source: BucketsError::Empty
        }
    );
    assert_eq!(
        tampered(|value| value["timestamp"] = json!("yesterday")),
        JsonError::Time {
            text: "yesterday".to_owned()
        }
    );
    assert_eq!(
        tampered(|value| value["gauges"][0]["name"] = json!("requests")),
        JsonError::DuplicateMetric {
            metric: "requests".to_owned()
        }
    );
    assert_eq!(
        tampered(|value| {
            value["counters"][0]["series"][1]["labels"]["path"] = json!("/");
        }),
        JsonError::DuplicateSeries {
            metric: "requests".to_owned(),
            labels: vec!["/".to_owned()]
        }
    );
    for labels in [
        json!({}),
        json!({"path": "/", "more": ""}),
        json!({"other": "/"}),
    ] {
        assert_eq!(
            tampered(|value| value["counters"][0]["series"][0]["labels"] = labels),
            JsonError::Labels {
                metric: "requests".to_owned()
            }
        );
    }
}

#[test]
fn what_no_page_could_show_is_refused() {
    let counters = |names: [&str; 2]| {
        let mut families = names.map(|name| plain(name, Unit::None, 1)).to_vec();
        families.sort_by(|a, b| a.name.cmp(&b.name));
        let counters = Snapshot {
            counters: families,
            ..empty()
        };
        Snapshot::from_json(&counters.to_json())
    };
    assert!(counters(["a.b", "a_c"]).is_ok());
    let clash = counters(["a.b", "a_b"]);
    assert!(matches!(clash, Err(JsonError::Name(_))), "{clash:?}");
    let clash = counters(["a", "a_total"]);
    assert!(matches!(clash, Err(JsonError::Name(_))), "{clash:?}");
    let name = counters(["a", "b c"]);
    assert!(matches!(name, Err(JsonError::Name(_))), "{name:?}");

    for label in ["le", "__name__", "a-b"] {
        let counter = family("requests", Unit::None, &[label], [(vec!["x"], 1)]);
        let labels = Snapshot {
            counters: vec![counter],
            ..empty()
        };
        let labels = Snapshot::from_json(&labels.to_json());
        assert!(matches!(labels, Err(JsonError::Name(_))), "{labels:?}");
    }
}

#[test]
fn a_label_that_comes_twice_is_refused() {
    let text = snapshot().to_json();
    let twice = text.replacen("\"path\": \"/\"", "\"path\": \"/\", \"path\": \"x\"", 1);
    assert_ne!(twice, text);
    let error = Snapshot::from_json(&twice).expect_err("there are two");
    assert!(
        error
            .to_string()
            .contains("the label `path` is there twice")
    );
}

#[test]
fn extremes_that_leave_out_a_bucket_are_refused() {
    let error = tampered(|it| {
        let steps = &mut it["histograms"][1]["series"][0]["steps"];
        (steps["min"], steps["max"]) = (json!(900_000_000), json!(900_000_001));
    });
    let metric = "wait".to_owned();
    assert_eq!(error, JsonError::Extremes { metric });
}

#[test]
fn another_version_is_named_before_anything_else() {
    let error = tampered(|value| {
        value["version"] = json!(2);
        value["more"] = json!(true);
    });
    let version = JsonError::Version {
        found: 2,
        supported: 1,
    };
    assert_eq!(error, version);
}

#[test]
fn what_has_another_shape_is_refused_with_its_place() {
    type Change = fn(&mut Value);
    let changes: [Change; 8] = [
        |value| value["more"] = json!(1),
        |value| value["counters"][0]["more"] = json!(1),
        |value| value["gauges"][0]["series"][0]["more"] = json!(1),
        |value| value["histograms"][0]["series"][0]["steps"]["more"] = json!(1),
        |value| value["counters"][0]["series"][0]["value"] = json!(-1),
        |value| value["counters"][0]["series"][0]["value"] = json!("7"),
        |value| value["gauges"][0]["series"][0]["value"] = json!("many"),
        |value| value["counters"][0]["unit"] = json!("miles"),
    ];
    for change in changes {
        let error = tampered(change);
        assert!(matches!(error, JsonError::Syntax { .. }), "{error:?}");
    }
    let error = Snapshot::from_json("{\n  \"version\": x").expect_err("it is not JSON");
    let JsonError::Syntax {
        line,
        column,
        message,
    } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!((line, column, message.as_str()), (2, 14, "expected value"));
}

proptest! {
    #[test]
    fn every_snapshot_comes_back(snapshot in snapshots()) {
        prop_assert_eq!(Snapshot::from_json(&snapshot.to_json()), Ok(snapshot));
    }

    #[test]
    fn every_histogram_comes_back(
        samples in prop::collection::vec(any::<f64>().prop_map(f64::abs), 0..30), bits in 2u8..=12,
    ) {
        let buckets = Buckets::LogLinear(Precision::new(bits).expect("in range"));
        let histogram = HistogramSnapshot::of(Unit::Ratio, buckets, samples);
        let snapshot = Snapshot {
            histograms: vec![plain("h", Unit::Ratio, histogram)],
            ..empty()
        };
        prop_assert_eq!(Snapshot::from_json(&snapshot.to_json()), Ok(snapshot));
    }

    #[test]
    fn no_text_makes_it_panic(at in 0usize..3000, with in "[0-9\\[\\]{},:\"a-z-]{0,6}") {
        let mut text = snapshot().to_json();
        let at = at % text.len();
        if text.is_char_boundary(at) && text.is_char_boundary(at + 1) {
            text.replace_range(at..=at, &with);
            if let Ok(read) = Snapshot::from_json(&text) {
                // Whatever was read can be used.
                let _ = read.encode(brolly_metrics_core::Format::Text);
                prop_assert_eq!(Snapshot::from_json(&read.to_json()), Ok(read));
            }
        }
    }
}

#[test]
fn a_file_is_written_with_its_folders_and_read_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a/b c/metrics.json");
    snapshot().write_json(&path).expect("it is written");
    snapshot().write_json(&path).expect("it is written again");
    let text = fs::read_to_string(&path).expect("it is there");
    assert_eq!(Snapshot::from_json(&text), Ok(snapshot()));
    let beside = fs::read_dir(path.parent().expect("it has one")).expect("a folder");
    assert_eq!(beside.count(), 1, "nothing else is left there");
}

#[cfg(unix)]
#[test]
fn a_file_keeps_its_permissions_and_a_new_one_is_readable() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().expect("a folder");
    let mode = |path: &Path| {
        let data = fs::metadata(path).expect("it is there");
        data.permissions().mode() & 0o777
    };
    let plain = folder.path().join("plain");
    fs::write(&plain, "").expect("it is written");
    let path = folder.path().join("metrics.json");
    snapshot().write_json(&path).expect("it is written");
    assert_eq!(mode(&path), mode(&plain), "as the process makes files");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("set");
    snapshot().write_json(&path).expect("it is written");
    assert_eq!(mode(&path), 0o640);
}

#[cfg(unix)]
/// Root may read every folder, so this says something only when run as somebody else.
#[cfg(unix)]
#[test]
fn a_folder_that_may_not_be_read_leaves_the_file_untouched() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().expect("there is room");
    let path = folder.path().join("metrics.json");
    fs::write(&path, "old").expect("it is ours");
    let mode = |mode| fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode));
    mode(0o300).expect("it is ours");
    let written = snapshot().write_json(&path);
    mode(0o700).expect("it is ours");
    let is_old = fs::read_to_string(&path).expect("it is there") == "old";
    assert_eq!(is_old, written.is_err());
    assert_eq!(fs::read_dir(folder.path()).expect("it is there").count(), 1);
}

#[test]
fn a_link_is_replaced_and_what_it_led_to_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let (old, link) = (folder.path().join("old"), folder.path().join("link"));
    fs::write(&old, "old").expect("it is written");
    std::os::unix::fs::symlink(&old, &link).expect("it is made");
    snapshot().write_json(&link).expect("it is written");
    assert_eq!(fs::read_to_string(&old).expect("it is there"), "old");
    assert!(fs::symlink_metadata(&link).expect("it is there").is_file());
}

#[test]
fn what_cannot_be_written_is_named_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    fs::write(&file, "old").expect("it is written");
    let below = file.join("metrics.json");
    let error = snapshot()
        .write_json(&below)
        .expect_err("a file is no folder");
    assert_eq!(error.path, below);
    assert!(error.to_string().contains("metrics.json"));
    assert!(error.source().is_some());

    // A folder is not replaced by a file, and the new file is gone again.
    let taken = folder.path().join("taken");
    fs::create_dir(&taken).expect("made");
    fs::write(taken.join("inside"), "").expect("it is written");
    snapshot().write_json(&taken).expect_err("it is a folder");
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 2);

    let error = snapshot().write_json("/").expect_err("it is a folder");
    assert_eq!(error.source.kind(), ErrorKind::InvalidInput);
}

/// Two snapshots that differ in length, to be written in turn.
fn short_and_long() -> [Snapshot; 2] {
    let mut long = snapshot();
    for number in 0..200 {
        let mut counter = plain("", Unit::None, number);
        counter.name = format!("zz_{number:03}");
        long.counters.push(counter);
    }
    [snapshot(), long]
}

#[test]
fn a_reader_never_sees_half_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("metrics.json");
    let both = short_and_long();
    both[0].write_json(&path).expect("it is written");
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let write = |rounds| {
            for round in 0..rounds {
                both[round % 2].write_json(&path).expect("it is written");
            }
        };
        scope.spawn(move || write(50));
        let is_done = &is_done;
        scope.spawn(move || {
            write(100);
            is_done.store(true, Ordering::Release);
        });
        while !is_done.load(Ordering::Acquire) {
            let text = fs::read_to_string(&path).expect("it is always there");
            let read = Snapshot::from_json(&text).expect("it is always whole");
            assert!(both.contains(&read));
        }
    });
}

/// A child process that is killed when the test ends.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_writer_that_is_killed_leaves_a_whole_file() {
    const TARGET: &str = "BROLLY_TEST_WRITE_TO";
    let both = short_and_long();
    if let Some(path) = env::var_os(TARGET) {
        // The child: it writes until it is killed, or nobody is left to kill it.
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            for snapshot in &both {
                snapshot.write_json(&path).expect("it is written");
            }
        }
        return;
    }

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("metrics.json");
    for round in 0u32..10 {
        let _ = fs::remove_file(&path);
        let child = Command::new(env::current_exe().expect("this test"))
            .args([
                "--exact",
                "json::a_writer_that_is_killed_leaves_a_whole_file",
            ])
            .env(TARGET, &path)
            .stdout(Stdio::null())
            .spawn();
        let mut child = Killed(child.expect("it starts"));
        let deadline = Instant::now() + Duration::from_secs(60);
        while !path.exists() {
            assert!(Instant::now() < deadline, "the child writes nothing");
            assert!(child.0.try_wait().expect("it is ours").is_none());
            std::thread::yield_now();
        }
        // Another moment of its work each time.
        std::thread::sleep(Duration::from_micros(u64::from(round) * 700));
        drop(child);
        let text = fs::read_to_string(&path).expect("it is there");
        let read = Snapshot::from_json(&text).expect("it is whole");
        assert!(both.contains(&read));
        // What the child left does not get in the way.
        both[0].write_json(&path).expect("it is written");
    }
}

#[test]
fn a_snapshot_taken_now_keeps_its_nanoseconds() {
    let now = SystemTime::now();
    let back = Snapshot::from_json(&Snapshot::empty(now).to_json());
    assert_eq!(back.map(|snapshot| snapshot.timestamp), Ok(now));
    assert_ne!(now, moment());
}
