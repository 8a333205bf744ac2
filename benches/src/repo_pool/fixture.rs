//! Repositories to pool and to clone: made by a generator, the same in every run.

use std::cell::{Cell, RefCell};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;

use brolly_repo_pool::{PoolConfig, RepoPool};
use tempfile::TempDir;

use super::text;
use crate::driver::random;

/// Files of each kind that a tenant leaves: changed, untracked, ignored.
pub(super) const DIRT: usize = 20;

/// Files by which the branch `near` differs from `main`.
const NEAR: usize = 100;

/// A generated repository on disk, gone with this value.
pub(super) struct Repository {
    folder: TempDir,
    files: usize,
    main: String,
    near: String,
    places: Cell<u32>,
}

/// What to generate.
#[derive(PartialEq, Eq)]
struct Shape {
    files: usize,
    bytes: usize,
    commits: usize,
    /// Files that each commit after the first rewrites.
    changes: usize,
}

/// 10,000 files of a kilobyte, 200 commits.
pub(super) fn many_files() -> Result<Rc<Repository>, String> {
    once(Shape {
        files: 10_000,
        bytes: 1_000,
        commits: 200,
        changes: 20,
    })
}

/// A history that weighs 2.5 times its working tree, as that of a project of some years does: 3,000
/// files of 9 kB, 1,200 commits; a quarter of both for a quick run.
pub(super) fn long_history(is_quick: bool) -> Result<Rc<Repository>, String> {
    let part = if is_quick { 4 } else { 1 };
    once(Shape {
        files: 3_000 / part,
        bytes: 9_000,
        commits: 1_200 / part,
        changes: 20,
    })
}

/// Ten files: what is left is the lease.
pub(super) fn small() -> Result<Rc<Repository>, String> {
    once(Shape {
        files: 10,
        bytes: 1_000,
        commits: 10,
        changes: 2,
    })
}

/// Several axes use one repository, and making it takes seconds.
fn once(shape: Shape) -> Result<Rc<Repository>, String> {
    thread_local! {
        static MADE: RefCell<Vec<(Shape, Rc<Repository>)>> = const { RefCell::new(Vec::new()) };
    }
    MADE.with_borrow_mut(|made| {
        if let Some((_, repository)) = made.iter().find(|(of, _)| *of == shape) {
            return Ok(Rc::clone(repository));
        }
        let repository = Rc::new(Repository::generate(&shape)?);
        made.push((shape, Rc::clone(&repository)));
        Ok(repository)
    })
}

impl Repository {
    fn generate(shape: &Shape) -> Result<Self, String> {
        let folder = tempfile::Builder::new()
            .prefix("brolly-bench-")
            .tempdir()
            .map_err(|error| error.to_string())?;
        let upstream = folder.path().join("upstream.git");
        git(
            folder.path(),
            &["init", "--quiet", "--bare", "-b", "main", text(&upstream)],
        )?;
        import(&upstream, shape).map_err(|error| format!("git fast-import: {error}"))?;
        // As a server keeps it: one pack, a bitmap, a commit graph.
        git(&upstream, &["repack", "-adbq"])?;
        git(&upstream, &["commit-graph", "write", "--reachable"])?;
        Ok(Self {
            main: git(&upstream, &["rev-parse", "main"])?,
            near: git(&upstream, &["rev-parse", "near"])?,
            files: shape.files,
            places: Cell::new(0),
            folder,
        })
    }

    pub(super) fn upstream(&self) -> PathBuf {
        self.folder.path().join("upstream.git")
    }

    /// A place for something made of the repository; nothing is there yet.
    pub(super) fn place(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A place that nobody was given before.
    pub(super) fn new_place(&self) -> PathBuf {
        let number = self.places.get();
        self.places.set(number + 1);
        self.place(&format!("new-{number}"))
    }

    /// The newest commit of `main`.
    pub(super) fn main(&self) -> &str {
        &self.main
    }

    /// The newest commit of `near`, a hundred files from `main`.
    pub(super) fn near(&self) -> &str {
        &self.near
    }

    pub(super) fn files(&self) -> usize {
        self.files
    }

    /// A root with one pool called `bench`, all slots at `main`.
    pub(super) fn pool(&self, root: &str, slots: u32) -> Result<RepoPool, String> {
        let root = self.place(&format!("pool-{root}"));
        let pools = RepoPool::open(root).map_err(|error| error.to_string())?;
        let config = PoolConfig::new("bench", text(&self.upstream())).slots(slots);
        if pools.status("bench").is_err() {
            pools
                .create_pool(&config)
                .map_err(|error| format!("create a pool: {error}"))?;
        }
        Ok(pools)
    }
}

/// Runs git the same way for everybody: no configuration but its own, no questions.
///
/// # Errors
///
/// What git says when it fails.
pub(super) fn git(folder: &Path, args: &[&str]) -> Result<String, String> {
    let output = command(folder)
        .args(args)
        .output()
        .map_err(|error| format!("git cannot be run, Debian package git: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("git {}: {}", args.join(" "), said.trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new("git");
    command
        .current_dir(folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("LC_ALL", "C")
        .args(["-c", "gc.auto=0", "-c", "maintenance.auto=false"]);
    command
}

fn import(repository: &Path, shape: &Shape) -> io::Result<()> {
    let mut child = command(repository)
        .args(["fast-import", "--quiet"])
        .stdin(Stdio::piped())
        .spawn()?;
    let stdin = child
        .stdin
        .take()
        .expect("standard input was asked for as a pipe");
    let written = write_history(BufWriter::with_capacity(1 << 20, stdin), shape);
    let status = child.wait()?;
    if !status.success() {
        return Err(io::Error::other(status.to_string()));
    }
    written
}

fn write_history(mut to: impl Write, shape: &Shape) -> io::Result<()> {
    let mut state = 7;
    for commit in 0..shape.commits {
        header(&mut to, "main", commit)?;
        if commit == 0 {
            content(&mut to, ".gitignore", b"*.ignored\n")?;
            // `.gitignore` is one of the files.
            for file in 1..shape.files {
                content(&mut to, &file_name(file), &prose(&mut state, shape.bytes))?;
            }
            continue;
        }
        for _ in 0..shape.changes {
            let file = 1 + random(&mut state) as usize % (shape.files - 1);
            content(&mut to, &file_name(file), &prose(&mut state, shape.bytes))?;
        }
    }
    header(&mut to, "near", shape.commits)?;
    writeln!(to, "from refs/heads/main")?;
    let near = NEAR.min(shape.files - 1);
    for file in 0..near {
        let file = 1 + file * (shape.files - 1) / near;
        content(&mut to, &file_name(file), &prose(&mut state, shape.bytes))?;
    }
    writeln!(to, "done")?;
    to.flush()
}

fn header(to: &mut impl Write, branch: &str, commit: usize) -> io::Result<()> {
    let message = format!("commit {commit}");
    let time = 1_700_000_000 + 60 * commit;
    writeln!(to, "commit refs/heads/{branch}")?;
    writeln!(to, "committer bench <bench@example.org> {time} +0000")?;
    writeln!(to, "data {}\n{message}", message.len())
}

fn content(to: &mut impl Write, path: &str, bytes: &[u8]) -> io::Result<()> {
    writeln!(to, "M 100644 inline {path}\ndata {}", bytes.len())?;
    to.write_all(bytes)?;
    writeln!(to)
}

/// A hundred files a folder.
pub(super) fn file_name(file: usize) -> String {
    format!("dir{:03}/file{file:05}.txt", file / 100)
}

/// Text that compresses to about a third, as source code does.
fn prose(state: &mut u64, bytes: usize) -> Vec<u8> {
    const SYLLABLES: &[u8; 64] =
        b"abadafelinotarumosepidukogavezirolutemanisobefuchahedijawoxyzuqu";
    let mut text = Vec::with_capacity(bytes + 8);
    while text.len() < bytes {
        let mut bits = random(state);
        for _ in 0..8 {
            let at = (bits & 31) as usize * 2;
            text.extend_from_slice(&SYLLABLES[at..at + 2]);
            bits >>= 5;
            match bits & 7 {
                0 => text.push(b'\n'),
                1..4 => text.push(b' '),
                _ => {}
            }
            bits >>= 3;
        }
    }
    text.truncate(bytes - 1);
    text.push(b'\n');
    text
}
