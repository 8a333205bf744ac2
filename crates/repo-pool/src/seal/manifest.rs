//! What a scan of a slot finds, as sorted plain data.

use std::path::{Path, PathBuf};

/// Every entry below a directory, sorted, as `lstat` saw it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(super) dirs: Vec<Dir>,
}

/// One directory: entries sorted by name, their names in one buffer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Dir {
    /// Relative to the top; empty for the top itself.
    pub(super) path: PathBuf,
    pub(super) names: Vec<u8>,
    pub(super) entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: (u32, u32),
    pub(super) stat: Stat,
}

/// What is compared. For a directory only its mode: its times change with its entries, which are compared themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) mode: u32,
    pub(super) size: u64,
    pub(super) inode: u64,
    pub(super) modified: i64,
    pub(super) changed: i64,
}

impl Manifest {
    /// The path of every entry, as bytes: a set of paths compares part by part, which is slow for many.
    pub(crate) fn paths(&self) -> impl Iterator<Item = Vec<u8>> {
        self.dirs.iter().flat_map(|dir| {
            let above = path_bytes(&dir.path);
            let slash: &[u8] = if above.is_empty() { b"" } else { b"/" };
            dir.entries
                .iter()
                .map(move |entry| [above, slash, dir.name(entry)].concat())
        })
    }
}

#[cfg(test)]
impl Manifest {
    /// Files and links, directories not counted.
    pub(crate) fn files(&self) -> usize {
        self.dirs
            .iter()
            .flat_map(|dir| &dir.entries)
            .filter(|entry| !entry.stat.is_dir())
            .count()
    }
}

impl Dir {
    pub(super) fn name(&self, entry: &Entry) -> &[u8] {
        &self.names[entry.name.0 as usize..][..entry.name.1 as usize]
    }

    pub(super) fn join(&self, entry: &Entry) -> PathBuf {
        // Names were read from a directory or passed the checksum, so they are paths of this system.
        self.path
            .join(bytes_path(self.name(entry)).unwrap_or_default())
    }
}

impl Stat {
    pub(super) fn is_dir(&self) -> bool {
        self.mode & FILE_TYPE == DIRECTORY
    }
}

/// The bits of a mode that tell a file's type, and their value for a directory (POSIX `S_IFMT`, `S_IFDIR`).
const FILE_TYPE: u32 = 0o170_000;
pub(super) const DIRECTORY: u32 = 0o040_000;

#[cfg(unix)]
pub(crate) fn path_bytes(path: &Path) -> &[u8] {
    std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str())
}

#[cfg(unix)]
pub(crate) fn bytes_path(bytes: &[u8]) -> Option<PathBuf> {
    Some(PathBuf::from(
        <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(bytes),
    ))
}

#[cfg(not(unix))]
pub(crate) fn path_bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_encoded_bytes()
}

#[cfg(not(unix))]
pub(crate) fn bytes_path(bytes: &[u8]) -> Option<PathBuf> {
    std::str::from_utf8(bytes).ok().map(PathBuf::from)
}
