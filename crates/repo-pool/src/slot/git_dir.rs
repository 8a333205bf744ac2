//! A slot's private git directory, and the entry by which the mirror knows the slot.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Slot, write_atomically};
use crate::error::Error;

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

impl Slot {
    /// Writes the git directory as a fresh tenant finds it, the index excepted, and the link to it.
    pub(super) fn write_git_dir(&self, commit: &str) -> Result<(), Error> {
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
        write(gitlink, &format!("gitdir: {}\n", text(&self.git_dir)?))
    }

    /// Removes what git leaves behind in a fresh git directory: a reflog, messages of the last operation.
    pub(super) fn trim_git_dir(&self) -> Result<(), Error> {
        for entry in fs::read_dir(&self.git_dir).map_err(Error::io("read", &self.git_dir))? {
            let entry = entry.map_err(Error::io("read", &self.git_dir))?;
            if !FRESH.iter().any(|fresh| entry.file_name() == *fresh) {
                self.discard(&entry.path())?;
            }
        }
        Ok(())
    }

    /// Tells the mirror that this worktree is at `commit`, before it is.
    pub(super) fn enter(&self, commit: &str) -> Result<(), Error> {
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

    pub(super) fn copy_refs(&self) -> Result<(), Error> {
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
