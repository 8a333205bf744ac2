//! The bare mirror of a pool's repository: one fetch serves every slot.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::Error;
use crate::git::{Git, is_object_id, redacted};
use crate::owner::kill_writers_of;
use crate::process::Cancel;

/// What a remote says of itself without being fetched.
#[derive(Debug)]
pub(crate) struct Remote {
    pub(crate) default_branch: String,
    sha256: bool,
}

impl Remote {
    /// Asks the repository at `url` for its branches. Nothing is written.
    pub(crate) fn inspect(url: &str, timeout: Duration) -> Result<Self, Error> {
        let git = Git::anywhere(timeout).networked();
        let answer = git.read([
            "ls-remote",
            "--quiet",
            "--symref",
            "--",
            url,
            "HEAD",
            "refs/heads/*",
        ])?;
        let answer = String::from_utf8_lossy(&answer);
        let (mut pointer, mut head, mut branches) = (None, None, Vec::new());
        for line in answer.lines() {
            let Some((value, name)) = line.split_once('\t') else {
                continue;
            };
            match (
                value.strip_prefix("ref: refs/heads/"),
                name,
                name.strip_prefix("refs/heads/"),
            ) {
                (Some(branch), "HEAD", _) => pointer = Some(branch),
                (None, "HEAD", _) => head = Some(value),
                (None, _, Some(branch)) => branches.push((branch, value)),
                _ => {}
            }
        }
        // The remote's HEAD may point to a branch that does not exist yet, or be detached.
        let found = |name: &str| branches.iter().find(|(branch, _)| *branch == name);
        let default = pointer
            .and_then(found)
            .or_else(|| branches.iter().find(|(_, id)| Some(*id) == head))
            .or_else(|| found("main"))
            .or_else(|| branches.first())
            .ok_or_else(|| Error::EmptyRepository { url: redacted(url) })?;
        Ok(Self {
            default_branch: default.0.to_owned(),
            sha256: default.1.len() == 64,
        })
    }
}

/// The repository at `pools/<name>/mirror.git`.
#[derive(Clone, Debug)]
pub(crate) struct Mirror {
    path: PathBuf,
    timeout: Duration,
}

impl Mirror {
    pub(crate) fn new(pool: &Path, timeout: Duration) -> Self {
        Self {
            path: pool.join("mirror.git"),
            timeout,
        }
    }

    pub(crate) fn git(&self) -> Git {
        Git::bare(&self.path, self.timeout)
    }

    /// Makes an empty mirror that fetches from `url`.
    ///
    /// Branches of the remote become `refs/remotes/origin/*`: no slot can have one of them checked
    /// out, so no fetch is ever refused, and pruning removes no branch of a tenant.
    pub(crate) fn create(&self, url: &str, remote: &Remote) -> Result<(), Error> {
        let format = if remote.sha256 {
            "--object-format=sha256"
        } else {
            "--object-format=sha1"
        };
        // Slots copy the file `packed-refs`, so the mirror must not use another format for its refs.
        let git = Git::anywhere(self.timeout).env("GIT_DEFAULT_REF_FORMAT", "files");
        let path = self.path.as_os_str();
        git.run([
            "init".as_ref(),
            "--quiet".as_ref(),
            "--bare".as_ref(),
            "--template=".as_ref(),
            format.as_ref(),
            "--".as_ref(),
            path,
        ])?;
        let git = self.git();
        git.run(["config", "--local", "--", "remote.origin.url", url])?;
        for refspec in [
            "+refs/heads/*:refs/remotes/origin/*",
            "+refs/tags/*:refs/tags/*",
        ] {
            git.run([
                "config",
                "--local",
                "--add",
                "--",
                "remote.origin.fetch",
                refspec,
            ])?;
        }
        Ok(())
    }

    /// Brings the mirror to where the remote is. Whoever calls this holds the mirror's lock.
    pub(crate) fn fetch(&self, cancel: Option<&Cancel>) -> Result<(), Error> {
        self.remove_stale_locks()?;
        let git = cancel.map_or_else(|| self.git(), |cancel| self.git().cancel(cancel));
        let options = [
            "--quiet",
            "--prune",
            "--no-tags",
            "--force",
            "--update-shallow",
            "--no-write-fetch-head",
        ];
        let args = std::iter::once("fetch")
            .chain(options)
            .chain(["--no-auto-maintenance", "origin"]);
        git.networked().run(args)?;
        self.git().run(["pack-refs", "--all", "--prune"])?;
        Ok(())
    }

    /// Removes the lock files of a git that was killed: with them no fetch would ever succeed again.
    ///
    /// The mirror's lock is held, so no process of a pool that lives is fetching; what still does was
    /// started by one that died, and is ended first.
    fn remove_stale_locks(&self) -> Result<(), Error> {
        let mut locks = Vec::new();
        let mut dirs = vec![self.path.join("refs")];
        let top = [
            "packed-refs.lock",
            "shallow.lock",
            "config.lock",
            "HEAD.lock",
        ]
        .map(|name| self.path.join(name));
        locks.extend(top.into_iter().filter(|path| path.exists()));
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(&dir)
                .map_err(Error::io("read", &dir))?
                .flatten()
            {
                let path = entry.path();
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    dirs.push(path);
                } else if path
                    .extension()
                    .is_some_and(|extension| extension == "lock")
                {
                    locks.push(path);
                }
            }
        }
        if locks.is_empty() {
            return Ok(());
        }
        kill_writers_of(&self.path);
        for path in locks {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::io("remove", path)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The commit that a revision names here: a branch of the remote, a tag, a commit id or its beginning.
    /// `None` if there is no such thing.
    pub(crate) fn resolve(
        &self,
        revision: &str,
        default_branch: &str,
    ) -> Result<Option<String>, Error> {
        let at = revision.find(['~', '^']).unwrap_or(revision.len());
        let (name, suffix) = revision.split_at(at);
        let name = if name == "HEAD" { default_branch } else { name };
        let Some(commit) = self.resolve_name(name)? else {
            return Ok(None);
        };
        if suffix.is_empty() {
            Ok(Some(commit))
        } else {
            self.commit_id(&format!("{commit}{suffix}"))
        }
    }

    fn resolve_name(&self, name: &str) -> Result<Option<String>, Error> {
        let branch = ["refs/remotes/origin/", "refs/heads/", "origin/"]
            .iter()
            .find_map(|prefix| name.strip_prefix(prefix));
        for branch in std::iter::once(name).chain(branch) {
            if let Some(commit) = self.branch(branch)? {
                return Ok(Some(commit));
            }
        }
        let tag = name.strip_prefix("refs/tags/").unwrap_or(name);
        if self.has_ref(&format!("refs/tags/{tag}"))? {
            return self.commit_id(&format!("refs/tags/{tag}"));
        }
        let is_hex =
            (4..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_hex {
            self.commit_id(&name.to_ascii_lowercase())
        } else {
            Ok(None)
        }
    }

    fn commit_id(&self, revision: &str) -> Result<Option<String>, Error> {
        match self.git().commit_id(revision) {
            Ok(commit) => Ok(Some(commit)),
            Err(crate::git::GitError::Failed {
                exit: crate::process::Exit::Code(1 | 128),
                ..
            }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn has_ref(&self, name: &str) -> Result<bool, Error> {
        Ok(self.read_ref(name)?.is_some())
    }

    /// A branch's commit, read without a process: branches are asked for at every allocation.
    fn branch(&self, name: &str) -> Result<Option<String>, Error> {
        let id = self.read_ref(&format!("refs/remotes/origin/{name}"))?;
        Ok(id.filter(|id| is_object_id(id)))
    }

    /// What stands in a ref, as gitrepository-layout(5) describes it: a file of its own first, then a
    /// line of `packed-refs`. git removes the file after it has written the line, so nothing is missed.
    fn read_ref(&self, name: &str) -> Result<Option<String>, Error> {
        match fs::read_to_string(self.path.join(name)) {
            Ok(id) => return Ok(Some(id.trim_end().to_owned())),
            // A directory of that name holds other refs.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound
                        | io::ErrorKind::IsADirectory
                        | io::ErrorKind::NotADirectory
                ) => {}
            Err(error) => return Err(Error::io("read", self.path.join(name))(error)),
        }
        let packed = self.packed_refs()?;
        let line = packed.split(|byte| *byte == b'\n').find_map(|line| {
            let line = line.strip_suffix(name.as_bytes())?;
            line.strip_suffix(b" ")
        });
        Ok(line.and_then(|id| String::from_utf8(id.to_owned()).ok()))
    }

    fn packed_refs(&self) -> Result<Vec<u8>, Error> {
        let path = self.path.join("packed-refs");
        match fs::read(&path) {
            Ok(bytes) => Ok(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(Error::io("read", path)(error)),
        }
    }
}
