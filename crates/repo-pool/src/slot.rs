//! One slot on disk: its private git directory and its working copy, and the steps that make it fit for a tenant.
//!
//! An ordinary linked worktree shares branches, stash, configuration and hooks with every other one of
//! its repository. Here a working copy's git directory is its own, `slots/<slot>/git`, and borrows the
//! mirror's objects. So what a tenant does through git stays in one directory that is thrown away when
//! it leaves, tenants never see each other's refs, and `gc` in a slot cannot reach the objects of
//! others. The slot is entered in `mirror.git/worktrees` all the same, at the commit it was prepared
//! at: the mirror lists it, and keeps what it stands on whatever happens to the remote's branches.
//! That entry's `HEAD` must never be the tenant's: the tenant's commits are not in the mirror, and git
//! refuses to fetch into a repository with a worktree at an object that it does not have.

mod git_dir;

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::clock::wait_for_next_tick;
use crate::error::Error;
use crate::git::Git;
use crate::mount::Mounts;
use crate::owner::kill_processes_in;
use crate::process::Cancel;
use crate::seal::{Difference, Manifest, Seal, bytes_path, path_bytes};
use crate::trash::discard;

/// The names of the two directories of a slot.
const TREE: &str = "w";
const GIT: &str = "git";

/// How often a slot is cleaned, or looked through after a checkout, before it counts as one that something else keeps changing.
const ATTEMPTS: usize = 3;

/// The paths of one slot.
#[derive(Clone)]
pub(crate) struct Slot {
    pub(crate) number: u32,
    /// The working copy that tenants get; its path never changes, so build caches stay valid.
    pub(crate) tree: PathBuf,
    pub(crate) url: String,
    /// `slots/<slot>`: all of it is under seal.
    dir: PathBuf,
    /// `slots/<slot>/git`: `HEAD`, index, refs, configuration, hooks, the tenant's objects.
    git_dir: PathBuf,
    /// `seals/<slot>`: out of the way of whoever tidies up beside the working copy.
    kept: PathBuf,
    mirror: PathBuf,
    /// `mirror.git/worktrees/<slot>`: the slot as the mirror knows it.
    entry: PathBuf,
    trash: PathBuf,
    git_timeout: Duration,
    cancel: Option<Cancel>,
}

impl std::fmt::Debug for Slot {
    /// Without the URL, which may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slot")
            .field("number", &self.number)
            .field("tree", &self.tree)
            .finish_non_exhaustive()
    }
}

impl Slot {
    pub(crate) fn new(
        pool: &Path,
        number: u32,
        url: &str,
        trash: &Path,
        git_timeout: Duration,
    ) -> Self {
        let name = format!("{number:04}");
        let dir = pool.join("slots").join(&name);
        let mirror = pool.join("mirror.git");
        Self {
            number,
            tree: dir.join(TREE),
            url: url.to_owned(),
            git_dir: dir.join(GIT),
            dir,
            kept: pool.join("seals").join(&name),
            entry: mirror.join("worktrees").join(&name),
            mirror,
            trash: trash.to_owned(),
            git_timeout,
            cancel: None,
        }
    }

    /// git for the tenant of this slot.
    pub(crate) fn git(&self) -> Git {
        let git = Git::work_tree(&self.git_dir, &self.tree, self.git_timeout);
        match &self.cancel {
            Some(cancel) => git.cancel(cancel),
            None => git,
        }
    }

    /// The same slot, with every git that works on it ended when `cancel` is cancelled.
    pub(crate) fn cancelled_by(self, cancel: Option<&Cancel>) -> Self {
        Self {
            cancel: cancel.cloned(),
            ..self
        }
    }

    /// Makes the slot from nothing, or from whatever is left of it, at `commit`, and seals it.
    pub(crate) fn build(&self, commit: &str) -> Result<(), Error> {
        self.refuse_mounts()?;
        for path in [&self.dir, &self.kept, &self.entry] {
            self.discard(path)?;
        }
        for path in [&self.tree, &self.kept] {
            fs::create_dir_all(path).map_err(Error::io("create", path))?;
        }
        self.write_git_dir(commit)?;
        self.checkout(commit)
    }

    /// Makes the slot what it was when it was sealed and returns the commit of the seal. Where that
    /// cannot be done, makes the slot anew at `fallback`.
    pub(crate) fn clean(&self, fallback: &str) -> Result<String, Error> {
        if let Some(mut seal) = self.read_seal() {
            for attempt in 0..ATTEMPTS {
                // A directory that cannot be read ends in a new slot, like anything that cannot be put right.
                let Ok(now) = self.scan() else { break };
                let difference = now.difference(&seal.manifest);
                if difference.is_empty() {
                    return Ok(seal.commit);
                }
                self.refuse_mounts()?;
                if attempt > 0 {
                    // Somebody changes the slot while it is cleaned, and nobody may any more.
                    kill_processes_in(&self.dir);
                }
                if self.restore(&seal.commit, &difference).is_err() {
                    break;
                }
                wait_for_next_tick();
                let Ok(now) = self.scan() else { break };
                let again = now.difference(&seal.manifest);
                // The git directory is written anew as a whole, the working copy file by file.
                let rewritten: BTreeSet<_> =
                    difference.restore.iter().map(PathBuf::as_path).collect();
                let expected = |path: &Path| {
                    path.starts_with(GIT) || path == self.gitlink() || rewritten.contains(path)
                };
                if again.is_only_rewritten(expected) {
                    seal.manifest = now;
                    self.keep(&seal)?;
                    return Ok(seal.commit);
                }
            }
        }
        self.build(fallback).map(|()| fallback.to_owned())
    }

    /// Whether the slot is exactly what it was when it was sealed at `commit`.
    pub(crate) fn is_sealed_at(&self, commit: &str) -> bool {
        let Some(seal) = self.read_seal() else {
            return false;
        };
        seal.commit == commit && self.scan().is_ok_and(|now| now == seal.manifest)
    }

    /// Brings a clean slot from one commit to another and seals it there. Costs what differs between the two.
    pub(crate) fn switch(&self, from: &str, to: &str) -> Result<(), Error> {
        // Attributes decide how files are written, and git leaves alone what it holds for unchanged.
        let attributes = [
            "diff-tree",
            "-r",
            "--quiet",
            "--no-renames",
            from,
            to,
            "--",
            ":(glob)**/.gitattributes",
        ];
        if self.git().try_run(attributes)?.success() {
            self.checkout(to)
        } else {
            self.build(to)
        }
    }

    /// Whether the slot knows the remote's branches and tags as the mirror does.
    pub(crate) fn has_current_refs(&self) -> Result<bool, Error> {
        let read = |dir: &Path| {
            let path = dir.join("packed-refs");
            fs::read(&path).map_err(Error::io("read", path))
        };
        Ok(read(&self.mirror)? == read(&self.git_dir)?)
    }

    /// Takes over the remote's branches and tags as the mirror knows them now.
    pub(crate) fn refresh_refs(&self) -> Result<(), Error> {
        let unreadable = || io::Error::other("its seal cannot be read");
        let mut seal = self
            .read_seal()
            .ok_or_else(unreadable)
            .map_err(Error::io("refresh", &self.dir))?;
        self.copy_refs()?;
        wait_for_next_tick();
        let now = self.scan().map_err(Error::io("scan", &self.dir))?;
        if !now
            .difference(&seal.manifest)
            .is_only_rewritten(|path| path.starts_with(GIT))
        {
            return self.build(&seal.commit);
        }
        seal.manifest = now;
        self.keep(&seal)
    }

    fn scan(&self) -> io::Result<Manifest> {
        Manifest::scan(&self.dir)
    }

    /// The path of the link from the working copy to the git directory, as the seal names it.
    fn gitlink(&self) -> PathBuf {
        Path::new(TREE).join(".git")
    }

    fn restore(&self, commit: &str, difference: &Difference) -> Result<(), Error> {
        for (path, mode) in &difference.chmod {
            set_mode(&self.dir.join(path), *mode)?;
        }
        for path in &difference.remove {
            self.discard(&self.dir.join(path))?;
        }
        for path in difference.make.iter().filter(|path| !path.starts_with(GIT)) {
            let path = self.dir.join(path);
            fs::create_dir_all(&path).map_err(Error::io("create", &path))?;
        }
        if difference.touches(Path::new(GIT)) || difference.touches(&self.gitlink()) {
            self.write_git_dir(commit)?;
            let index = self.git_dir.join("index");
            fs::copy(self.kept_index(commit), &index).map_err(Error::io("restore", &index))?;
        }
        // The link to the git directory is the pool's, not git's, and stands again already.
        let gitlink = self.gitlink();
        let files = difference.restore.iter().filter(|path| **path != gitlink);
        let files = files.filter_map(|path| path.strip_prefix(TREE).ok());
        // Attributes decide how every other file is written, so they come first.
        let (attributes, others): (Vec<_>, Vec<_>) = files.partition(|path| {
            path.file_name()
                .is_some_and(|name| name == ".gitattributes")
        });
        for files in [attributes, others] {
            if !files.is_empty() {
                let list: Vec<_> = files
                    .iter()
                    .flat_map(|path| [path_bytes(path), b"\0"].concat())
                    .collect();
                self.git()
                    .run_with_input(["checkout-index", "-f", "-u", "-z", "--stdin"], list)?;
            }
        }
        Ok(())
    }

    /// Checks the commit out over whatever the tree and the index hold, and seals exactly that.
    fn checkout(&self, commit: &str) -> Result<(), Error> {
        self.enter(commit)?;
        let options = ["--quiet", "--force", "--no-guess", "--detach"];
        self.git()
            .run(std::iter::once("checkout").chain(options).chain([commit]))?;
        self.trim_git_dir()?;
        // The index is kept aside, since a tenant can set bits in its own that hide edits. Its name is the commit's:
        // whenever the process ends, the seal that stands has an index of its own commit beside it.
        let index = self.git_dir.join("index");
        let bytes = fs::read(&index).map_err(Error::io("read", &index))?;
        write_atomically(&self.kept_index(commit), &bytes)?;
        let tracked = self.tracked()?;
        for attempt in 0..ATTEMPTS {
            wait_for_next_tick();
            let manifest = self.scan().map_err(Error::io("scan", &self.dir))?;
            let strays: Vec<_> = manifest
                .paths()
                .filter(|path| !tracked.contains(path))
                .collect();
            if strays.is_empty() {
                return self.keep(&Seal {
                    commit: commit.to_owned(),
                    place: self.tree.clone(),
                    manifest,
                });
            }
            if attempt > 0 {
                kill_processes_in(&self.dir);
            }
            for path in strays.iter().filter_map(|path| bytes_path(path)) {
                self.discard(&self.dir.join(path))?;
            }
        }
        Err(Error::io("clean", &self.tree)(io::Error::other(
            "something keeps writing there",
        )))
    }

    /// Everything that may stand in a slot after a checkout: what the index names, the directories that
    /// takes, and the git directory, which was trimmed before.
    fn tracked(&self) -> Result<HashSet<Vec<u8>>, Error> {
        let mut tracked = HashSet::from([
            TREE.into(),
            GIT.into(),
            path_bytes(&self.gitlink()).to_vec(),
        ]);
        for name in self.git().names(["ls-files", "-z"])? {
            let mut path = [TREE.as_bytes(), b"/", &name].concat();
            // Parents of a name that is known are known.
            while tracked.insert(path.clone()) {
                path.truncate(path.iter().rposition(|byte| *byte == b'/').unwrap_or(0));
            }
        }
        let git_dir = Manifest::scan(&self.git_dir).map_err(Error::io("scan", &self.git_dir))?;
        tracked.extend(
            git_dir
                .paths()
                .map(|path| [GIT.as_bytes(), b"/", &path].concat()),
        );
        Ok(tracked)
    }

    /// Puts a seal in place of the last one.
    fn keep(&self, seal: &Seal) -> Result<(), Error> {
        write_atomically(&self.kept.join("seal"), &seal.encode())?;
        let index = self.kept_index(&seal.commit);
        for entry in fs::read_dir(&self.kept).map_err(Error::io("read", &self.kept))? {
            let path = entry.map_err(Error::io("read", &self.kept))?.path();
            if path != index
                && path
                    .extension()
                    .is_some_and(|extension| extension == "index")
            {
                fs::remove_file(&path).map_err(Error::io("remove", &path))?;
            }
        }
        Ok(())
    }

    /// The seal, unless it is none, or one of a slot that was elsewhere then.
    fn read_seal(&self) -> Option<Seal> {
        let seal = Seal::decode(&fs::read(self.kept.join("seal")).ok()?)?;
        (seal.place == self.tree).then_some(seal)
    }

    fn kept_index(&self, commit: &str) -> PathBuf {
        self.kept.join(format!("{commit}.index"))
    }

    /// What is mounted in a slot is not the slot's, and cleaning would go on into it.
    fn refuse_mounts(&self) -> Result<(), Error> {
        match Mounts::now().below(&self.dir) {
            Some(path) => Err(Error::Mounted {
                slot: self.number,
                path: path.to_owned(),
            }),
            None => Ok(()),
        }
    }

    fn discard(&self, path: &Path) -> Result<(), Error> {
        discard(&self.trash, path)
    }
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o7777))
        .map_err(Error::io("set mode of", path))
}

#[cfg(not(unix))]
fn set_mode(_path: &Path, _mode: u32) -> Result<(), Error> {
    Ok(())
}

/// Either the old or the new content stands at `path`, whenever the process ends.
fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    fs::write(&temporary, bytes).map_err(Error::io("write", &temporary))?;
    fs::rename(&temporary, path).map_err(Error::io("write", path))
}
