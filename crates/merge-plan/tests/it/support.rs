//! A real repository with branches, a pool over it, and plans for both.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use brolly_merge_plan::{GateResult, GateRun, ItemResult, MergeResult, MergeRun, Plan, Runner};
use brolly_repo_pool::{PoolConfig, RepoPool};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The pool's name in every test.
pub(crate) const POOL: &str = "demo";

/// A repository with a `main` branch, and later a pool over it.
pub(crate) struct Fixture {
    folder: TempDir,
}

impl Fixture {
    /// A repository whose `main` holds `base.txt` with ten lines.
    pub(crate) fn new() -> Self {
        let fixture = Self {
            folder: tempfile::tempdir().expect("a folder for the test"),
        };
        fs::create_dir(fixture.origin()).expect("a folder for the repository");
        fixture.git(&["init", "--quiet", "--initial-branch=main"]);
        let lines: String = (0..10).map(|line| format!("line {line}\n")).collect();
        fixture.commit(&[("base.txt", &lines)]);
        fixture
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn origin(&self) -> PathBuf {
        self.folder.path().join("origin")
    }

    /// A branch off `from` with one commit of these files; `main` is checked out again after it.
    pub(crate) fn branch_from(&self, name: &str, from: &str, files: &[(&str, &str)]) {
        self.git(&["checkout", "--quiet", "-b", name, from]);
        self.commit(files);
        self.git(&["checkout", "--quiet", "main"]);
    }

    pub(crate) fn branch(&self, name: &str, files: &[(&str, &str)]) {
        self.branch_from(name, "main", files);
    }

    fn commit(&self, files: &[(&str, &str)]) {
        for (path, text) in files {
            let path = self.origin().join(path);
            fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a folder");
            fs::write(path, text).expect("a file");
        }
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "-m", "work"]);
    }

    /// git in the repository; its standard output.
    pub(crate) fn git(&self, args: &[&str]) -> String {
        git_in(&self.origin(), args)
    }

    /// A pool with this many slots over the repository as it is now.
    pub(crate) fn pool(&self, slots: u32) -> RepoPool {
        let pools = RepoPool::open(self.folder.path().join("pools")).expect("a root for pools");
        let url = self.origin().to_str().expect("a readable path").to_owned();
        pools
            .create_pool(&PoolConfig::new(POOL, url).slots(slots))
            .expect("a pool");
        pools
    }
}

/// git in `folder`, free of the machine's configuration; its standard output.
pub(crate) fn git_in(folder: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args([
            "-c",
            "user.name=tester",
            "-c",
            "user.email=tester@example.com",
            "-c",
            "gc.auto=0",
        ])
        .args(args)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .expect("git runs");
    assert!(
        output.status.success(),
        "git {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("git writes UTF-8")
}

/// The valid plan of these items and this policy.
pub(crate) fn plan(items: Value, policy: Value) -> Plan {
    let document = json!({"schemaVersion": "1.0.0", "items": items, "policy": policy});
    Plan::from_json(&document.to_string())
        .expect("a valid plan")
        .plan
}

/// An item on `main` with one gate called `check`.
pub(crate) fn checked(name: &str, deps: &[&str], run: &str) -> Value {
    let gates = json!([{"name": "check", "run": run}]);
    json!({"name": name, "branch": "main", "deps": deps, "gates": gates})
}

/// The runner of every test: patient enough for a loaded machine.
pub(crate) fn runner(pools: &RepoPool) -> Runner {
    Runner::new(pools, POOL).gate_timeout(Duration::from_secs(60))
}

pub(crate) fn item_of<'a>(run: &'a GateRun, name: &str) -> &'a ItemResult {
    run.items
        .iter()
        .find(|item| item.name == name)
        .expect("the item is in the results")
}

pub(crate) fn gate_of<'a>(run: &'a GateRun, item: &str, gate: &str) -> &'a GateResult {
    item_of(run, item)
        .gates
        .iter()
        .find(|result| result.name == gate)
        .expect("the gate is in the results")
}

pub(crate) fn merge_of<'a>(run: &'a MergeRun, name: &str) -> &'a MergeResult {
    run.items
        .iter()
        .find(|item| item.name == name)
        .expect("the item is in the results")
}

/// Waits until `done`, within a generous limit.
pub(crate) fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "{what}: not within 30 s"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// True if no slot of the pool is leased.
pub(crate) fn all_released(pools: &RepoPool) -> bool {
    pools
        .status(POOL)
        .expect("the pool's status")
        .summary
        .leased
        == 0
}

/// Processes that have `marker` among their arguments.
#[cfg(target_os = "linux")]
pub(crate) fn processes_with(marker: &str) -> usize {
    let entries = fs::read_dir("/proc").expect("a process table");
    entries
        .filter_map(|entry| fs::read(entry.ok()?.path().join("cmdline")).ok())
        .filter(|cmdline| {
            cmdline
                .split(|&byte| byte == 0)
                .any(|word| word == marker.as_bytes())
        })
        .count()
}
