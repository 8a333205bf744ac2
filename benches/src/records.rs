//! Raw records on disk: `records/<date>-<crate>.jsonl`, one line per axis.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use serde::{Deserialize, Serialize};

use crate::axis::Axis;
use crate::record::Record;

/// A record with where and when it was taken.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Kept {
    #[serde(flatten)]
    pub record: Record,
    /// UTC, to the second.
    pub taken: String,
    pub machine: String,
}

/// The line that `--json` prints.
///
/// # Errors
///
/// When a figure is not a number.
pub fn line(record: &Record) -> Result<String, String> {
    let mut record = record.clone();
    record.cells.clear();
    serde_json::to_string(&record).map_err(|error| error.to_string())
}

/// Keeps `records` in today's file. An axis taken again replaces its line, so that a file holds
/// each axis once for quick and once for full runs.
///
/// # Errors
///
/// When the file cannot be read or written.
pub fn keep(krate: &str, records: &[Record]) -> Result<(), String> {
    let now = jiff::Timestamp::now();
    let path = folder().join(format!("{}-{krate}.jsonl", now.strftime("%Y-%m-%d")));
    let mut kept = if path.exists() {
        read(&path)?
    } else {
        Vec::new()
    };
    for record in records {
        kept.retain(|it| it.record.axis != record.axis || it.record.quick != record.quick);
        kept.push(Kept {
            record: record.clone(),
            taken: now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            machine: machine(),
        });
    }
    let mut text = String::new();
    for line in &kept {
        text += &serde_json::to_string(line).map_err(|error| error.to_string())?;
        text.push('\n');
    }
    fs::create_dir_all(folder())
        .and_then(|()| fs::write(&path, text))
        .map_err(|error| format!("{}: {error}", path.display()))
}

/// The newest record of each of `axes`, in their order; any full run counts for more than a quick
/// one.
///
/// # Errors
///
/// When a file cannot be read or holds something else.
pub fn newest(krate: &str, axes: &[Axis]) -> Result<Vec<Kept>, String> {
    let suffix = format!("-{krate}.jsonl");
    let mut all = Vec::new();
    let folder = folder();
    let entries =
        fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        // The date has ten characters, so that `pool` does not find `repo-pool`.
        if name.len() == 10 + suffix.len() && name.ends_with(&suffix) {
            all.extend(read(&entry.path())?);
        }
    }
    Ok(axes
        .iter()
        .filter_map(|axis| {
            all.iter()
                .filter(|it| it.record.axis == axis.name)
                .max_by(|a, b| {
                    let rank = |it: &Kept| (!it.record.quick, it.taken.clone());
                    rank(a).cmp(&rank(b))
                })
        })
        .cloned()
        .collect())
}

fn read(path: &Path) -> Result<Vec<Kept>, String> {
    let fail = |error: String| format!("{}: {error}", path.display());
    let text = fs::read_to_string(path).map_err(|error| fail(error.to_string()))?;
    text.lines()
        .map(|line| serde_json::from_str(line).map_err(|error| fail(error.to_string())))
        .collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("records")
}

/// Processors, compiler, kernel and git, as far as the machine tells.
fn machine() -> String {
    let cpus = thread::available_parallelism().map_or(0, usize::from);
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown processor", |model| {
            model.trim_matches([' ', '\t', ':'])
        });
    let said = |program: &str, arg: &str| {
        Command::new(program)
            .arg(arg)
            .output()
            .ok()
            .and_then(|output| String::from_utf8(output.stdout).ok())
            .map_or_else(|| format!("no {program}"), |said| said.trim().to_owned())
    };
    let rustc = said("rustc", "--version");
    let rustc = rustc.split(" (").next().unwrap_or_default();
    format!(
        "{cpus} × {model}, Linux {}, {rustc}, {}",
        said("uname", "-r"),
        said("git", "--version"),
    )
}
