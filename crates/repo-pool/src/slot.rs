//! One slot on disk: its private git directories and its working copy, and the steps that make it fit for a tenant.
//!
//! A slot is a linked worktree of the pool's mirror with one change: the shared half of its git
//! directory is its own. git keeps a worktree's `HEAD` and index in `mirror.git/worktrees/<slot>` and
//! finds branches, stash, configuration, hooks and objects through the file `commondir` there. Here
//! that file names `slots/<slot>/git`, a small repository that borrows the mirror's objects. So what a
//! tenant does through git stays in two directories that are thrown away when it leaves, tenants never
//! see each other's refs, and `gc` in a slot cannot reach the objects of others; the mirror still
//! knows each slot as a worktree and keeps what its `HEAD` and index need.

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

/// The three directories under seal, in the order of [`Slot::roots`].
const TREE: u8 = 0;
const ADMIN: u8 = 1;
const COMMON: u8 = 2;

/// The paths of one slot.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) number: u32,
    /// The working copy that tenants get; its path never changes, so build caches stay valid.
    pub(crate) tree: PathBuf,
    /// `slots/<slot>`.
    dir: PathBuf,
    /// `mirror.git/worktrees/<slot>`: `HEAD`, the index, what git writes during a merge.
    admin: PathBuf,
    /// `slots/<slot>/git`: refs, configuration, hooks, the tenant's objects.
    common: PathBuf,
    mirror: PathBuf,
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
            admin: mirror.join("worktrees").join(&name),
            common: dir.join("git"),
            dir,
            mirror,
            trash: trash.to_owned(),
            url: url.to_owned(),
            git_timeout,
        }
    }

    /// git for the tenant of this slot.
    pub(crate) fn git(&self) -> Git {
        Git::work_tree(&self.admin, &self.tree, self.git_timeout)
    }

    /// Makes the slot from nothing, or from whatever is left of it, at `commit`, and seals it.
    pub(crate) fn build(&self, commit: &str) -> Result<(), Error> {
        for path in [&self.dir, &self.admin] {
            self.discard(path)?;
        }
        fs::create_dir_all(&self.tree).map_err(Error::io("create", &self.tree))?;
        self.write_private(commit)?;
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

    fn roots(&self) -> [&Path; 3] {
        [&self.tree, &self.admin, &self.common]
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
        if [ADMIN, COMMON]
            .into_iter()
            .any(|root| difference.touches(root))
            || !self.gitlink_is_ours()
        {
            self.write_private(commit)?;
            let index = self.admin.join("index");
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
        self.git().run([
            "checkout",
            "--quiet",
            "--force",
            "--no-guess",
            "--detach",
            commit,
        ])?;
        // git leaves a reflog and messages of the last operation: the next tenant starts without.
        for entry in fs::read_dir(&self.admin).map_err(Error::io("read", &self.admin))? {
            let entry = entry.map_err(Error::io("read", &self.admin))?;
            if !["HEAD", "index", "commondir", "gitdir", "locked"]
                .iter()
                .any(|kept| entry.file_name() == *kept)
            {
                self.discard(&entry.path())?;
            }
        }
        self.seal(commit)
    }

    /// Records the slot as it is now.
    ///
    /// The index is kept aside, since a tenant can set bits in its own that hide edits. Its name is the
    /// commit's: whenever the process ends, the seal that stands has an index of its own commit beside it.
    fn seal(&self, commit: &str) -> Result<(), Error> {
        let (index, kept) = (self.admin.join("index"), self.kept_index(commit));
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

    /// Writes both git directories as a fresh tenant finds them, the index excepted.
    fn write_private(&self, commit: &str) -> Result<(), Error> {
        for path in [&self.common, &self.admin] {
            self.discard(path)?;
            fs::create_dir_all(path).map_err(Error::io("create", path))?;
        }
        let write =
            |path: PathBuf, text: String| fs::write(&path, text).map_err(Error::io("write", path));
        let line = |path: &Path| Ok::<_, Error>(format!("{}\n", text(path)?));
        for dir in [
            "objects/info",
            "objects/pack",
            "refs/heads",
            "refs/tags",
            "info",
        ] {
            let path = self.common.join(dir);
            fs::create_dir_all(&path).map_err(Error::io("create", path))?;
        }
        write(
            self.common.join("objects/info/alternates"),
            line(&self.mirror.join("objects"))?,
        )?;
        // Never the branch of anybody: the working copy's own HEAD is in the other directory.
        write(
            self.common.join("HEAD"),
            "ref: refs/heads/none\n".to_owned(),
        )?;
        write(self.common.join("config"), self.config()?)?;
        self.copy_refs()?;
        write(self.admin.join("commondir"), line(&self.common)?)?;
        write(self.admin.join("gitdir"), line(&self.tree.join(".git"))?)?;
        write(
            self.admin.join("locked"),
            "leased out by brolly\n".to_owned(),
        )?;
        write(self.admin.join("HEAD"), format!("{commit}\n"))?;
        let gitlink = self.tree.join(".git");
        self.discard(&gitlink)?;
        write(gitlink, self.gitlink()?)
    }

    fn gitlink(&self) -> Result<String, Error> {
        Ok(format!("gitdir: {}\n", text(&self.admin)?))
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
            let (from, to) = (self.mirror.join(name), self.common.join(name));
            match fs::copy(&from, &to) {
                Ok(_) => {}
                Err(error) if name == "shallow" && error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(Error::io("copy", from)(error)),
            }
        }
        Ok(())
    }

    fn config(&self) -> Result<String, Error> {
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
        Ok(format!(
            "[core]\n\trepositoryformatversion = {version}\n\tfilemode = true\n\tbare = true\n\tlogallrefupdates = true\n\
             {extensions}\
             [remote \"origin\"]\n\turl = {url}\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n\
             [gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n"
        ))
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
