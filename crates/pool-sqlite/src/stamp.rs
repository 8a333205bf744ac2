//! [`Stamp`]: which file a path leads to.

use std::fs;
use std::path::Path;

/// The identity of a file. Two readings differ if another file has taken its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    #[cfg(unix)]
    device: u64,
    #[cfg(unix)]
    inode: u64,
}

impl Stamp {
    /// What is at this path now, if anything. One look at the directory entry, links followed.
    #[cfg(unix)]
    pub(crate) fn of(path: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        let found = fs::metadata(path).ok()?;
        Some(Self {
            device: found.dev(),
            inode: found.ino(),
        })
    }

    /// Elsewhere a file in use can be neither removed nor replaced; that it is there is all there is
    /// to know.
    #[cfg(not(unix))]
    pub(crate) fn of(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().map(|_| Self {})
    }
}
