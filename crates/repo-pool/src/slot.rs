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

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use brolly_sync::Clock;

use crate::clock::{BootClock, wait_for_next_tick};
use crate::error::Error;
use crate::git::Git;
use crate::seal::{Difference, Manifest, Seal, path_bytes};

/// The directories under seal, in the order of [`Slot::roots`].
const TREE: u8 = 0;
const GIT: u8 = 1;

/// What a fresh git directory holds at most; git leaves more there than a tenant should find.
const FRESH: [&str; 8] = [
    "HEAD",
    "config",
    "index",
    "info",
    "objects",
    "packed-refs",
    "refs",
    "shallow",
];

/// The paths of one slot.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) number: u32,
    /// The working copy that tenants get; its path never changes, so build caches stay valid.
    pub(crate) tree: PathBuf,
    /// `slots/<slot>`.
    dir: PathBuf,
    /// `slots/<slot>/git`: `HEAD`, index, refs, configuration, hooks, the tenant's objects.
    git_dir: PathBuf,
    mirror: PathBuf,
    /// `mirror.git/worktrees/<slot>`: the slot as the mirror knows it.
    entry: PathBuf,
    trash: PathBuf,
    pub(crate) url: String,
    git_timeout: Duration,
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
            tree: dir.join("w"),
            git_dir: dir.join("git"),
            entry: mirror.join("worktrees").join(&name),
            dir,
            mirror,
            trash: trash.to_owned(),
            url: url.to_owned(),
            git_timeout,
        }
    }

    /// git for the tenant of this slot.
    pub(crate) fn git(&self) -> Git {
        Git::work_tree(&self.git_dir, &self.tree, self.git_timeout)
    }

    /// Makes the slot from nothing, or from whatever is left of it, at `commit`, and seals it.
    pub(crate) fn build(&self, commit: &str) -> Result<(), Error> {
        for path in [&self.dir, &self.entry] {
            self.discard(path)?;
        }
        fs::create_dir_all(&self.tree).map_err(Error::io("create", &self.tree))?;
        self.write_git_dir(commit)?;
        self.checkout(commit)
    }

    /// Makes the slot what it was when it was sealed and returns the commit of the seal. Where that
    /// cannot be done, makes the slot anew at `fallback`.
    pub(crate) fn clean(&self, fallback: &str) -> Result<String, Error> {
        let cleaned = self.read_seal().and_then(|seal| {
            // A directory that cannot be read, or anything that cannot be put right, ends in a new slot.
            let difference = self.scan().ok()?.difference(&seal.manifest);
            if !difference.is_empty() {
                self.restore(&seal.commit, &difference).ok()?;
            }
            Some(seal.commit)
        });
        match cleaned {
            Some(commit) => Ok(commit),
            None => self.build(fallback).map(|()| fallback.to_owned()),
        }
    }

    /// Whether the slot is exactly what it was when it was sealed at `commit`.
    pub(crate) fn is_sealed_at(&self, commit: &str) -> bool {
        let Some(seal) = self.read_seal() else {
            return false;
        };
        seal.commit == commit && self.scan().is_ok_and(|now| now == seal.manifest)
    }

    /// Brings a clean slot to another commit and seals it there. Costs what differs between the two.
    pub(crate) fn switch(&self, commit: &str) -> Result<(), Error> {
        self.checkout(commit)
    }

    /// Takes over the remote's branches and tags as the mirror knows them now.
    pub(crate) fn refresh_refs(&self, commit: &str) -> Result<(), Error> {
        self.copy_refs()?;
        self.seal(commit)
    }

    fn roots(&self) -> [&Path; 2] {
        [&self.tree, &self.git_dir]
    }

    fn scan(&self) -> io::Result<Manifest> {
        Manifest::scan(&self.roots())
    }

    fn restore(&self, commit: &str, difference: &Difference) -> Result<(), Error> {
        let roots = self.roots();
        let in_tree = |list: &[(u8, PathBuf)]| {
            list.iter()
                .filter(|(root, _)| *root == TREE)
                .map(|(_, path)| path.clone())
                .collect::<Vec<_>>()
        };
        for (root, path, mode) in &difference.chmod {
            set_mode(&roots[usize::from(*root)].join(path), *mode)?;
        }
        for path in in_tree(&difference.remove) {
            self.discard(&self.tree.join(path))?;
        }
        if difference.touches(GIT) || !self.gitlink_is_ours() {
            self.write_git_dir(commit)?;
            let index = self.git_dir.join("index");
            fs::copy(self.kept_index(commit), &index).map_err(Error::io("restore", &index))?;
        }
        for path in in_tree(&difference.make) {
            let path = self.tree.join(path);
            fs::create_dir_all(&path).map_err(Error::io("create", &path))?;
        }
        // The link to the git directory is the pool's, not git's, and stands again already.
        let files: Vec<_> = in_tree(&difference.restore)
            .into_iter()
            .filter(|path| path != Path::new(".git"))
            .collect();
        // Attributes decide how every other file is written, so they come first.
        let (attributes, others): (Vec<_>, Vec<_>) = files.into_iter().partition(|path| {
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
        self.seal(commit)
    }

    /// Checks the commit out over whatever the tree and the index hold, and seals.
    fn checkout(&self, commit: &str) -> Result<(), Error> {
        self.enter(commit)?;
        let options = ["--quiet", "--force", "--no-guess", "--detach"];
        self.git()
            .run(std::iter::once("checkout").chain(options).chain([commit]))?;
        for entry in fs::read_dir(&self.git_dir).map_err(Error::io("read", &self.git_dir))? {
            let entry = entry.map_err(Error::io("read", &self.git_dir))?;
            if !FRESH.iter().any(|fresh| entry.file_name() == *fresh) {
                self.discard(&entry.path())?;
            }
        }
        self.seal(commit)
    }

    /// Tells the mirror that this worktree is at `commit`, before it is.
    fn enter(&self, commit: &str) -> Result<(), Error> {
        fs::create_dir_all(&self.entry).map_err(Error::io("create", &self.entry))?;
        let gitlink = self.tree.join(".git");
        let lines = [
            ("commondir", "../.."),
            ("gitdir", text(&gitlink)?),
            ("locked", "kept by brolly"),
            ("HEAD", commit),
        ];
        for (name, line) in lines {
            let (path, line) = (self.entry.join(name), format!("{line}\n"));
            if fs::read_to_string(&path).ok().as_ref() != Some(&line) {
                write_atomically(&path, line.as_bytes())?;
            }
        }
        Ok(())
    }

    /// Records the slot as it is now.
    ///
    /// The index is kept aside, since a tenant can set bits in its own that hide edits. Its name is the
    /// commit's: whenever the process ends, the seal that stands has an index of its own commit beside it.
    fn seal(&self, commit: &str) -> Result<(), Error> {
        let (index, kept) = (self.git_dir.join("index"), self.kept_index(commit));
        let bytes = fs::read(&index).map_err(Error::io("read", &index))?;
        write_atomically(&kept, &bytes)?;
        wait_for_next_tick();
        let manifest = self.scan().map_err(Error::io("scan", &self.dir))?;
        let seal = Seal {
            commit: commit.to_owned(),
            manifest,
        };
        write_atomically(&self.dir.join("seal"), &seal.encode())?;
        for entry in fs::read_dir(&self.dir).map_err(Error::io("read", &self.dir))? {
            let path = entry.map_err(Error::io("read", &self.dir))?.path();
            if path != kept
                && path
                    .extension()
                    .is_some_and(|extension| extension == "index")
            {
                fs::remove_file(&path).map_err(Error::io("remove", &path))?;
            }
        }
        Ok(())
    }

    fn read_seal(&self) -> Option<Seal> {
        Seal::decode(&fs::read(self.dir.join("seal")).ok()?)
    }

    fn kept_index(&self, commit: &str) -> PathBuf {
        self.dir.join(format!("{commit}.index"))
    }

    /// Writes the git directory as a fresh tenant finds it, the index excepted, and the link to it.
    fn write_git_dir(&self, commit: &str) -> Result<(), Error> {
        self.discard(&self.git_dir)?;
        for dir in [
            "info",
            "objects/info",
            "objects/pack",
            "refs/heads",
            "refs/tags",
        ] {
            let path = self.git_dir.join(dir);
            fs::create_dir_all(&path).map_err(Error::io("create", path))?;
        }
        let write =
            |path: PathBuf, text: &str| fs::write(&path, text).map_err(Error::io("write", path));
        let objects = self.mirror.join("objects");
        write(
            self.git_dir.join("objects/info/alternates"),
            &format!("{}\n", text(&objects)?),
        )?;
        write(self.git_dir.join("config"), &self.config())?;
        write(self.git_dir.join("HEAD"), &format!("{commit}\n"))?;
        self.copy_refs()?;
        let gitlink = self.tree.join(".git");
        self.discard(&gitlink)?;
        write(gitlink, &self.gitlink()?)
    }

    fn gitlink(&self) -> Result<String, Error> {
        Ok(format!("gitdir: {}\n", text(&self.git_dir)?))
    }

    fn gitlink_is_ours(&self) -> bool {
        let path = self.tree.join(".git");
        let is_file = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file());
        is_file
            && self
                .gitlink()
                .is_ok_and(|ours| fs::read_to_string(&path).is_ok_and(|found| found == ours))
    }

    fn copy_refs(&self) -> Result<(), Error> {
        // A remote with a cut-off history hands its limits on; without them the history looks damaged.
        for name in ["packed-refs", "shallow"] {
            let (from, to) = (self.mirror.join(name), self.git_dir.join(name));
            match fs::copy(&from, &to) {
                Ok(_) => {}
                Err(error) if name == "shallow" && error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(Error::io("copy", from)(error)),
            }
        }
        Ok(())
    }

    fn config(&self) -> String {
        let format = fs::read_to_string(self.mirror.join("config")).unwrap_or_default();
        // A repository of SHA-256 objects says so in its configuration, and so must everything that borrows from it.
        let sha256 = format
            .lines()
            .any(|line| line.trim().eq_ignore_ascii_case("objectformat = sha256"));
        let (version, extensions) = if sha256 {
            (1, "[extensions]\n\tobjectformat = sha256\n")
        } else {
            (0, "")
        };
        let url = quoted(&self.url);
        format!(
            "[core]\n\trepositoryformatversion = {version}\n\tfilemode = true\n\tbare = false\n\tlogallrefupdates = true\n\
             {extensions}\
             [remote \"origin\"]\n\turl = {url}\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n\
             [gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n"
        )
    }

    fn discard(&self, path: &Path) -> Result<(), Error> {
        discard(&self.trash, path)
    }
}

/// Moves something out of the way in one step, whatever it is, and however deep; it is deleted later.
pub(crate) fn discard(trash: &Path, path: &Path) -> Result<(), Error> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::io("look at", path)(error)),
    };
    // A directory that may not be written to keeps its entries from being removed.
    if let Some(parent) = path.parent() {
        make_writable(parent)?;
    }
    if !metadata.is_dir() {
        return fs::remove_file(path).map_err(Error::io("remove", path));
    }
    make_writable(path)?;
    let (now, number) = (
        BootClock.now().as_nanos(),
        COUNT.fetch_add(1, Ordering::Relaxed),
    );
    let to = trash.join(format!("{}-{now}-{number}", std::process::id()));
    fs::rename(path, to).map_err(Error::io("move away", path))
}

/// Deletes what processes that are gone, and this one, have moved to the trash.
pub(crate) fn empty_trash(trash: &Path) {
    let Ok(entries) = fs::read_dir(trash) else {
        return;
    };
    for entry in entries.flatten() {
        // What cannot be deleted now is tried again at the next time; it is in nobody's way.
        let _ = delete(&entry.path());
    }
}

fn delete(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_all(path)?;
            fs::remove_dir_all(path)
        }
        done => done,
    }
}

/// Lets every directory below be emptied; links are not followed.
fn open_all(path: &Path) -> io::Result<()> {
    let mut found = vec![path.to_owned()];
    while let Some(path) = found.pop() {
        allow_writing(&path)?;
        for entry in fs::read_dir(&path)?.flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                found.push(entry.path());
            }
        }
    }
    Ok(())
}

fn make_writable(path: &Path) -> Result<(), Error> {
    allow_writing(path).map_err(Error::io("open up", path))
}

#[cfg(unix)]
fn allow_writing(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mut permissions = fs::symlink_metadata(path)?.permissions();
    if permissions.mode() & 0o700 != 0o700 {
        permissions.set_mode(permissions.mode() | 0o700);
        fs::set_permissions(path, permissions)?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn allow_writing(_path: &Path) -> io::Result<()> {
    Ok(())
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
    let temporary = path.with_extension("new");
    fs::write(&temporary, bytes).map_err(Error::io("write", &temporary))?;
    fs::rename(&temporary, path).map_err(Error::io("write", path))
}

/// git's files name paths as lines of text.
fn text(path: &Path) -> Result<&str, Error> {
    path.to_str()
        .filter(|path| !path.contains('\n'))
        .ok_or_else(|| {
            Error::io("use", path)(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the path is not UTF-8 or holds a line break",
            ))
        })
}

/// A value in git's configuration syntax.
fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}
