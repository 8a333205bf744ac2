//! A copy that something else put out of order between two merges.

use std::fs;
use std::path::{Path, PathBuf};

use brolly_repo_pool::process::{Cancel, Command};
use brolly_repo_pool::{PoolConfig, RepoPool, Request};
use tempfile::TempDir;

use super::{Attempt, Copy, CopyError};

/// A pool over a repository whose branch `side` adds a file, and a commit that does not exist.
struct Fixture {
    _folder: TempDir,
    pools: RepoPool,
    side: String,
}

const ABSENT: &str = "0123456789012345678901234567890123456789";

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let origin = folder.path().join("origin");
        fs::create_dir(&origin).expect("a folder for the repository");
        git(&origin, &["init", "--quiet", "--initial-branch=main"]);
        let commit = |file: &str, text: &str| {
            fs::write(origin.join(file), text).expect("a file");
            git(&origin, &["add", "--all"]);
            git(&origin, &["commit", "--quiet", "-m", file]);
        };
        commit("file", "one\n");
        git(&origin, &["checkout", "--quiet", "-b", "side"]);
        commit("side", "side\n");
        let side = git(&origin, &["rev-parse", "side"]).trim().to_owned();
        git(&origin, &["checkout", "--quiet", "main"]);
        let pools = RepoPool::open(folder.path().join("pools")).expect("a root for pools");
        let url = origin.to_str().expect("a readable path");
        let pool = PoolConfig::new("demo", url).slots(1);
        pools.create_pool(&pool).expect("a pool");
        Self {
            _folder: folder,
            pools,
            side,
        }
    }

    fn with_copy(&self, test: impl FnOnce(Copy<'_>, &str, &Path, PathBuf)) {
        let request = Request::new("demo").at("main");
        let lease = self.pools.allocate(&request).expect("the only slot");
        let cancel = Cancel::new().expect("a pipe");
        let copy = Copy::new(&lease, lease.commit(), &cancel).expect("a copy");
        let git_dir = copy.repair.run(["rev-parse", "--absolute-git-dir"]);
        let git_dir = PathBuf::from(git_dir.expect("git answers").stdout.trim());
        test(copy, &self.side, lease.path(), git_dir);
    }
}

fn git(folder: &Path, args: &[&str]) -> String {
    let identity = ["user.name=t", "user.email=t@example.com"];
    let outcome = Command::new("git")
        .args(identity.iter().flat_map(|pair| ["-c", pair]))
        .args(args.iter().copied())
        .current_dir(folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .run()
        .expect("git runs");
    assert!(outcome.exit.is_success(), "{}", outcome.stderr.text());
    outcome.stdout.text()
}

#[test]
fn what_an_abort_leaves_behind_is_removed_by_force() {
    Fixture::new().with_copy(|mut copy, side, tree, _| {
        fs::write(tree.join("file"), "edited\n").expect("a file");
        fs::write(tree.join("stray"), "x\n").expect("a file");
        let refused = copy.merge(ABSENT, "absent");
        assert!(matches!(refused, Err(CopyError::Refused { .. })));
        assert!(!tree.join("stray").exists());
        assert_eq!(fs::read(tree.join("file")).expect("a file"), b"one\n");
        let merged = copy.merge(side, "side");
        assert!(matches!(merged, Ok(Attempt::Merged { .. })), "{merged:?}");
    });
}

#[test]
fn a_copy_that_cannot_be_put_in_order_is_not_merged_in_again() {
    Fixture::new().with_copy(|mut copy, side, tree, git_dir| {
        let lock = git_dir.join("index.lock");
        fs::write(tree.join("file"), "edited\n").expect("a file");
        fs::write(&lock, "").expect("a lock that keeps git from writing");
        assert!(copy.merge(side, "side").is_err());
        // From here on a merge would work, and nobody knows on top of what.
        fs::remove_file(&lock).expect("the lock is there");
        fs::write(tree.join("file"), "one\n").expect("a file");
        let refused = copy.merge(side, "side");
        assert!(
            matches!(refused, Err(CopyError::Broken { .. })),
            "{refused:?}"
        );
    });
}

#[test]
fn an_earlier_resolution_of_a_conflict_is_neither_kept_nor_used() {
    Fixture::new().with_copy(|mut copy, side, tree, git_dir| {
        fs::write(tree.join("side"), "other\n").expect("a file");
        let run = |args: &[&str]| copy.repair.run(args).expect("git works").stdout;
        run(&["add", "side"]);
        run(&["commit", "--quiet", "-m", "other"]);
        copy.head = run(&["rev-parse", "HEAD"]).trim().to_owned();
        let conflict = copy.merge(side, "side");
        assert!(
            matches!(conflict, Ok(Attempt::Conflict { .. })),
            "{conflict:?}"
        );
        assert!(!git_dir.join("rr-cache").exists());
    });
}
