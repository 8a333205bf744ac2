//! The ways to a clean working copy at a commit: ours, and one adapter per peer.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use brolly_repo_pool::{Freshness, Lease, RepoPool, Request};

use super::fixture::{DIRT, Repository, file_name, git};
use super::text;
use super::walk::count_files;
use crate::driver::Measured;

/// A way to get a working copy.
pub(super) trait Way {
    fn name(&self) -> &'static str;

    /// What is measured.
    fn obtain(&mut self) -> Result<Obtained, String>;

    /// Whether what was obtained is what was asked for; and what must happen before the next time.
    /// Not measured.
    fn check_and_give_back(&mut self) -> Result<(), String>;
}

/// How the time of a way is counted.
pub(super) struct Obtained {
    /// Time that the axis grants on top.
    granted: Duration,
}

const DONE: Obtained = Obtained {
    granted: Duration::ZERO,
};

/// Milliseconds of one time.
pub(super) fn measure(way: &mut impl Way) -> Measured {
    let start = Instant::now();
    let obtained = way.obtain()?;
    let elapsed = start.elapsed() + obtained.granted;
    way.check_and_give_back()?;
    Ok(millis(elapsed))
}

fn millis(elapsed: Duration) -> f64 {
    elapsed.as_secs_f64() * 1e3
}

/// A complete working copy with `HEAD` at `commit`, and nothing that is not of the commit.
fn check(tree: &Path, commit: &str, repository: &Repository) -> Result<(), String> {
    let head = git(tree, &["rev-parse", "HEAD"])?;
    if head != commit {
        return Err(format!("HEAD is {head}, not {commit}"));
    }
    let dirt = git(
        tree,
        &["--no-optional-locks", "status", "--porcelain", "--ignored"],
    )?;
    if !dirt.is_empty() {
        return Err(format!("not clean: {dirt}"));
    }
    let files = count_files(tree).map_err(|error| error.to_string())?;
    if files != repository.files() {
        return Err(format!("{files} files of {}", repository.files()));
    }
    Ok(())
}

/// A slot of a pool that is at the commit already.
pub(super) struct Warm<'a> {
    repository: &'a Repository,
    pools: RepoPool,
    lease: Option<Lease>,
}

impl<'a> Warm<'a> {
    pub(super) fn new(repository: &'a Repository, slots: u32) -> Result<Self, String> {
        Ok(Self {
            repository,
            pools: repository.pool(&format!("warm-{slots}"), slots)?,
            lease: None,
        })
    }
}

impl Way for Warm<'_> {
    fn name(&self) -> &'static str {
        "ours"
    }

    fn obtain(&mut self) -> Result<Obtained, String> {
        self.lease = Some(allocate(&self.pools, "main")?);
        Ok(DONE)
    }

    fn check_and_give_back(&mut self) -> Result<(), String> {
        let lease = self.lease.take().ok_or("no lease")?;
        if !lease.is_warm() {
            return Err("the slot was not warm".to_owned());
        }
        check(lease.path(), self.repository.main(), self.repository)?;
        lease.release().map_err(|error| error.to_string())
    }
}

fn allocate(pools: &RepoPool, revision: &str) -> Result<Lease, String> {
    let request = Request::new("bench")
        .at(revision)
        .freshness(Freshness::Cached);
    pools.allocate(&request).map_err(|error| error.to_string())
}

/// The only slot of a pool, which is at the other of two commits each time.
pub(super) struct Near<'a> {
    repository: &'a Repository,
    pools: RepoPool,
    lease: Option<Lease>,
    is_near: bool,
}

impl<'a> Near<'a> {
    pub(super) fn new(repository: &'a Repository) -> Result<Self, String> {
        Ok(Self {
            repository,
            pools: repository.pool("near", 1)?,
            lease: None,
            is_near: false,
        })
    }
}

impl Way for Near<'_> {
    fn name(&self) -> &'static str {
        "ours"
    }

    fn obtain(&mut self) -> Result<Obtained, String> {
        self.is_near = !self.is_near;
        let commit = commit(self.repository, self.is_near);
        self.lease = Some(allocate(&self.pools, commit)?);
        Ok(DONE)
    }

    fn check_and_give_back(&mut self) -> Result<(), String> {
        let lease = self.lease.take().ok_or("no lease")?;
        if lease.is_warm() {
            return Err("the slot was warm".to_owned());
        }
        check(
            lease.path(),
            commit(self.repository, self.is_near),
            self.repository,
        )?;
        lease.release().map_err(|error| error.to_string())
    }
}

fn commit(repository: &Repository, is_near: bool) -> &str {
    if is_near {
        repository.near()
    } else {
        repository.main()
    }
}

/// A way of git that makes a new tree each time.
///
/// The trees stay until the end of the bench: ext4 is slow to make files for some seconds after
/// many were deleted, which would be held against git.
pub(super) struct NewTree<'a> {
    name: &'static str,
    repository: &'a Repository,
    /// Where git runs.
    from: PathBuf,
    /// The command; the tree's path and what follows it come after.
    args: Vec<String>,
    rest: &'static [&'static str],
    tree: PathBuf,
}

/// git's own setting for a tree of many files and several processors.
const WORKERS: [&str; 2] = ["-c", "checkout.workers=0"];

impl<'a> NewTree<'a> {
    /// `git clone PATH`: objects by hard links.
    pub(super) fn local_clone(repository: &'a Repository) -> Self {
        Self::clone("git clone, local", repository, &[], "--local")
    }

    pub(super) fn local_clone_with_workers(repository: &'a Repository) -> Self {
        let name = "git clone, local, checkout.workers=0";
        Self::clone(name, repository, &WORKERS, "--local")
    }

    /// `git clone` through the transport, as from another machine.
    pub(super) fn full_clone(repository: &'a Repository) -> Self {
        Self::clone("git clone, full", repository, &[], "--no-local")
    }

    fn clone(name: &'static str, repository: &'a Repository, settings: &[&str], how: &str) -> Self {
        let upstream = repository.upstream();
        let command = ["clone", "--quiet", how, text(&upstream)];
        let args = settings.iter().chain(&command);
        Self {
            name,
            repository,
            from: PathBuf::from("/"),
            args: args.map(|arg| (*arg).to_owned()).collect(),
            rest: &[],
            tree: PathBuf::new(),
        }
    }

    /// `git worktree add` from a bare clone.
    pub(super) fn worktree(repository: &'a Repository) -> Result<Self, String> {
        Self::add("git worktree add", repository, &[])
    }

    pub(super) fn worktree_with_workers(repository: &'a Repository) -> Result<Self, String> {
        Self::add("git worktree add, checkout.workers=0", repository, &WORKERS)
    }

    fn add(
        name: &'static str,
        repository: &'a Repository,
        settings: &[&str],
    ) -> Result<Self, String> {
        let command = ["worktree", "add", "--quiet", "--detach"];
        let args = settings.iter().chain(&command);
        Ok(Self {
            name,
            repository,
            from: bare_clone(repository, "worktree-mirror.git")?,
            args: args.map(|arg| (*arg).to_owned()).collect(),
            rest: &["main"],
            tree: PathBuf::new(),
        })
    }
}

impl Way for NewTree<'_> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn obtain(&mut self) -> Result<Obtained, String> {
        self.tree = self.repository.new_place();
        let mut args: Vec<&str> = self.args.iter().map(String::as_str).collect();
        args.push(text(&self.tree));
        args.extend(self.rest);
        git(&self.from, &args)?;
        Ok(DONE)
    }

    fn check_and_give_back(&mut self) -> Result<(), String> {
        check(&self.tree, self.repository.main(), self.repository)
    }
}

fn bare_clone(repository: &Repository, name: &str) -> Result<PathBuf, String> {
    let (from, to) = (repository.upstream(), repository.place(name));
    if !to.exists() {
        let args = ["clone", "--quiet", "--bare", text(&from), text(&to)];
        git(Path::new("/"), &args)?;
    }
    Ok(to)
}

/// A clone to switch or to clean, made once.
fn lasting_clone(repository: &Repository, name: &str) -> Result<PathBuf, String> {
    let (from, to) = (repository.upstream(), repository.place(name));
    if !to.exists() {
        git(
            Path::new("/"),
            &["clone", "--quiet", text(&from), text(&to)],
        )?;
        git(&to, &["checkout", "--quiet", "--detach", "main"])?;
        git(&to, &["fetch", "--quiet", "origin", "near"])?;
    }
    Ok(to)
}

/// No working copy at all: what it costs to look at every file of one, and a millisecond.
pub(super) struct Walk {
    tree: PathBuf,
    files: usize,
    counted: usize,
}

impl Walk {
    pub(super) fn new(repository: &Repository) -> Result<Self, String> {
        Ok(Self {
            tree: lasting_clone(repository, "walked")?,
            files: repository.files(),
            counted: 0,
        })
    }
}

impl Way for Walk {
    fn name(&self) -> &'static str {
        "parallel lstat walk + 1 ms"
    }

    fn obtain(&mut self) -> Result<Obtained, String> {
        self.counted = count_files(&self.tree).map_err(|error| error.to_string())?;
        Ok(Obtained {
            granted: Duration::from_millis(1),
        })
    }

    fn check_and_give_back(&mut self) -> Result<(), String> {
        if self.counted == self.files {
            return Ok(());
        }
        Err(format!("{} files of {}", self.counted, self.files))
    }
}

/// `git checkout` between the two commits.
pub(super) struct Checkout<'a> {
    repository: &'a Repository,
    tree: PathBuf,
    is_near: bool,
}

impl<'a> Checkout<'a> {
    pub(super) fn new(repository: &'a Repository) -> Result<Self, String> {
        Ok(Self {
            repository,
            tree: lasting_clone(repository, "switched")?,
            is_near: false,
        })
    }
}

impl Way for Checkout<'_> {
    fn name(&self) -> &'static str {
        "git checkout"
    }

    fn obtain(&mut self) -> Result<Obtained, String> {
        self.is_near = !self.is_near;
        let commit = commit(self.repository, self.is_near);
        git(&self.tree, &["checkout", "--quiet", "--detach", commit])?;
        Ok(DONE)
    }

    fn check_and_give_back(&mut self) -> Result<(), String> {
        check(
            &self.tree,
            commit(self.repository, self.is_near),
            self.repository,
        )
    }
}

/// Milliseconds of `release` with `dirt` files of each kind in the slot.
pub(super) fn release(pools: &RepoPool, repository: &Repository, dirt: usize) -> Measured {
    let lease = allocate(pools, "main")?;
    let tree = lease.path().to_owned();
    soil(&tree, dirt)?;
    let start = Instant::now();
    lease.release().map_err(|error| error.to_string())?;
    let elapsed = start.elapsed();
    let lease = allocate(pools, "main")?;
    check(lease.path(), repository.main(), repository)?;
    lease.release().map_err(|error| error.to_string())?;
    Ok(millis(elapsed))
}

/// `git reset --hard` and `git clean -ffdx`.
pub(super) struct ResetAndClean<'a> {
    repository: &'a Repository,
    tree: PathBuf,
}

impl<'a> ResetAndClean<'a> {
    pub(super) fn new(repository: &'a Repository) -> Result<Self, String> {
        Ok(Self {
            repository,
            tree: lasting_clone(repository, "cleaned")?,
        })
    }

    pub(super) fn name(&self) -> &'static str {
        "git reset + clean"
    }

    pub(super) fn measure(&mut self, dirt: usize) -> Measured {
        soil(&self.tree, dirt)?;
        let start = Instant::now();
        git(
            &self.tree,
            &["reset", "--quiet", "--hard", self.repository.main()],
        )?;
        git(&self.tree, &["clean", "--quiet", "-ffdx"])?;
        let elapsed = start.elapsed();
        check(&self.tree, self.repository.main(), self.repository)?;
        Ok(millis(elapsed))
    }
}

/// What a tenant leaves: changed, untracked and ignored files, `dirt` of each.
fn soil(tree: &Path, dirt: usize) -> Result<(), String> {
    debug_assert!(dirt <= DIRT);
    for file in 0..dirt {
        let changed = tree.join(file_name(1 + file * 37));
        let beside = |ending: &str| changed.with_extension(ending);
        for path in [changed.clone(), beside("untracked"), beside("ignored")] {
            fs::write(&path, "left behind\n").map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}
