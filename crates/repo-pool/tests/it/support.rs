//! A repository to pool, and a pool of it, in a temporary directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use brolly_repo_pool::{Freshness, Lease, Options, PoolConfig, RepoPool, Request};
use brolly_sync::ManualClock;

pub(crate) const POOL: &str = "app";

/// An upstream repository and a root for pools; everything goes when it is dropped.
pub(crate) struct World {
    dir: tempfile::TempDir,
    pub(crate) clock: ManualClock,
}

impl World {
    /// An upstream with two branches, `main` and `feature`, and nothing pooled yet.
    pub(crate) fn new() -> Self {
        let world = Self {
            dir: tempfile::tempdir().expect("dir"),
            clock: ManualClock::new(),
        };
        fs::create_dir(world.upstream()).expect("mkdir");
        let upstream = world.upstream();
        git(&upstream, &["init", "-q", "-b", "main"]);
        git(&upstream, &["config", "user.name", "Ada"]);
        git(&upstream, &["config", "user.email", "ada@example.org"]);
        world.write("src/a.txt", "one\n");
        world.write("src/deep/b.txt", "two\n");
        world.write(".gitignore", "target/\n");
        world.write("run.sh", "#!/bin/sh\n");
        git(&upstream, &["add", "-A"]);
        git(&upstream, &["update-index", "--chmod=+x", "run.sh"]);
        git(&upstream, &["commit", "-q", "-m", "first"]);
        git(&upstream, &["checkout", "-q", "-b", "feature"]);
        world.write("feature.txt", "feature\n");
        world.commit("feature");
        git(&upstream, &["checkout", "-q", "main"]);
        world
    }

    /// The same with a pool of `slots` slots.
    pub(crate) fn pooled(slots: u32) -> (Self, RepoPool) {
        let world = Self::new();
        let pools = world.open();
        pools
            .create_pool(&world.config().slots(slots))
            .expect("a pool");
        (world, pools)
    }

    pub(crate) fn open(&self) -> RepoPool {
        Options::new(self.root())
            .clock(self.clock.clone())
            .open()
            .expect("a root")
    }

    pub(crate) fn config(&self) -> PoolConfig {
        PoolConfig::new(POOL, self.upstream().to_str().expect("UTF-8"))
    }

    pub(crate) fn upstream(&self) -> PathBuf {
        self.dir.path().join("upstream")
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.upstream().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("mkdir");
        fs::write(path, text).expect("write");
    }

    /// Commits everything on the upstream's current branch and returns the commit.
    pub(crate) fn commit(&self, message: &str) -> String {
        git(&self.upstream(), &["add", "-A"]);
        git(&self.upstream(), &["commit", "-q", "-m", message]);
        self.head("HEAD")
    }

    pub(crate) fn head(&self, revision: &str) -> String {
        git(&self.upstream(), &["rev-parse", revision])
            .trim()
            .to_owned()
    }
}

/// A request that does not ask the remote.
pub(crate) fn request() -> Request {
    Request::new(POOL).freshness(Freshness::Cached)
}

pub(crate) fn allocate(pools: &RepoPool, revision: &str) -> Lease {
    pools.allocate(&request().at(revision)).expect("a lease")
}

/// git as a tenant or a user runs it: found from the directory, with an identity.
pub(crate) fn git(dir: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .current_dir(dir)
        .args([
            "-c",
            "user.name=Ada",
            "-c",
            "user.email=ada@example.org",
            "-c",
            "protocol.file.allow=always",
        ])
        .args(args)
        .output()
        .expect("git");
    assert!(
        output.status.success(),
        "git {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Every file and link below, with its content, mode and link target; `.git` at the top aside.
pub(crate) fn listing(dir: &Path) -> Vec<(PathBuf, u32, Vec<u8>)> {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::PermissionsExt;
    let mut found = Vec::new();
    let mut queue = vec![PathBuf::new()];
    while let Some(below) = queue.pop() {
        for entry in fs::read_dir(dir.join(&below)).expect("readable") {
            let entry = entry.expect("entry");
            let path = below.join(entry.file_name());
            let kind = entry.file_type().expect("kind");
            let mode = entry.metadata().expect("stat").permissions().mode();
            if path == Path::new(".git") {
                continue;
            }
            let content = if kind.is_dir() {
                queue.push(path.clone());
                Vec::new()
            } else if kind.is_symlink() {
                fs::read_link(entry.path())
                    .expect("link")
                    .as_os_str()
                    .as_bytes()
                    .to_vec()
            } else {
                fs::read(entry.path()).expect("file")
            };
            found.push((path, mode, content));
        }
    }
    found.sort();
    found
}
