//! How a slot differs from its seal, and so what would put it right. Knows no file system.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use super::manifest::{Dir, Manifest};

/// How a scan differs from a seal. Paths are relative to the top.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Entries that are not in the seal, or are not what they were: to be removed. No entry lies below another.
    pub(crate) remove: Vec<PathBuf>,
    /// Files and links of the seal that are missing or not what they were.
    pub(crate) restore: Vec<PathBuf>,
    /// Directories of the seal that are missing or not directories any more, parents first.
    pub(crate) make: Vec<PathBuf>,
    /// Directories whose mode is not what it was, with the mode of the seal.
    pub(crate) chmod: Vec<(PathBuf, u32)>,
}

impl Difference {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether anything at or below `path` differs.
    pub(crate) fn touches(&self, path: &Path) -> bool {
        let paths = self.remove.iter().chain(&self.restore).chain(&self.make);
        let mut paths = paths.chain(self.chmod.iter().map(|(path, _)| path));
        paths.any(|differing| differing.starts_with(path))
    }

    /// Whether all that differs is that files were written anew: each of them is there, and nothing else is.
    /// `expected` says which may have been.
    pub(crate) fn is_only_rewritten(&self, expected: impl Fn(&Path) -> bool) -> bool {
        self.make.is_empty()
            && self.chmod.is_empty()
            && self.remove == self.restore
            && self.restore.iter().all(|path| expected(path))
    }
}

impl Manifest {
    /// What has to change for `self`, a fresh scan, to be what `sealed` says.
    pub(crate) fn difference(&self, sealed: &Self) -> Difference {
        let mut difference = Difference::default();
        let mut now = self.dirs.iter().peekable();
        for dir in &sealed.dirs {
            while now.peek().is_some_and(|other| other.path < dir.path) {
                now.next();
            }
            match now.peek() {
                Some(other) if other.path == dir.path => other.compare(dir, &mut difference),
                _ => {
                    let files = dir.entries.iter().filter(|entry| !entry.stat.is_dir());
                    difference
                        .restore
                        .extend(files.map(|entry| dir.join(entry)));
                    difference.make.push(dir.path.clone());
                }
            }
        }
        difference
    }
}

impl Dir {
    /// Compares this directory, as it is now, with the sealed one.
    fn compare(&self, sealed: &Self, difference: &mut Difference) {
        if self == sealed {
            return;
        }
        let mut now = self.entries.iter().peekable();
        let mut wanted = sealed.entries.iter().peekable();
        loop {
            let order = match (now.peek(), wanted.peek()) {
                (None, None) => return,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(entry), Some(other)) => self.name(entry).cmp(sealed.name(other)),
            };
            let entry = if order.is_le() { now.next() } else { None };
            let other = if order.is_ge() { wanted.next() } else { None };
            match (entry, other) {
                (Some(entry), Some(other)) if entry.stat == other.stat => {}
                (Some(entry), Some(other)) if entry.stat.is_dir() && other.stat.is_dir() => {
                    difference.chmod.push((self.join(entry), other.stat.mode));
                }
                (entry, other) => {
                    difference
                        .remove
                        .extend(entry.map(|entry| self.join(entry)));
                    // A missing directory is told by its own absence from the scan.
                    let file = other.filter(|other| !other.stat.is_dir());
                    difference
                        .restore
                        .extend(file.map(|other| sealed.join(other)));
                }
            }
        }
    }
}
