//! [`Root`]: the directory that no path leaves, and the ways to a file below it.
//!
//! Files are opened with `openat2` and `RESOLVE_BENEATH` where the kernel has it (Linux 5.6), which
//! refuses any way that leaves the root, by `..` or by a link, even while somebody swaps directories
//! for links. Elsewhere, and wherever the plain name of a file is needed, [`walk`] takes one
//! component at a time.

mod walk;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use rustix::fs::{AtFlags, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::error::{FileKind, Refusal};
pub(crate) use walk::{Last, Links, Missing, Place, Way, sync_directory};

/// As long as Linux lets a path be, its closing zero included.
const LONGEST_PATH: usize = 4096;

/// How often a way is tried that somebody changes meanwhile.
const TRIES: usize = 8;

/// A regular file is opened to be read; should a pipe or a terminal have taken its place, opening it
/// neither waits nor makes it ours.
const READ: OFlags = OFlags::RDONLY
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

/// The root of a store, held open: it stays the same directory wherever it is moved.
#[derive(Debug)]
pub(crate) struct Root {
    dir: OwnedFd,
    /// As it was given, made absolute.
    given: PathBuf,
    /// Without links.
    canonical: PathBuf,
    /// Whether the kernel resolves paths beneath a directory.
    beneath: AtomicBool,
}

impl Root {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let given = std::path::absolute(path)?;
        let canonical = std::fs::canonicalize(path)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::open(&canonical, flags, Mode::empty())?;
        Ok(Self {
            dir,
            given,
            canonical,
            beneath: AtomicBool::new(cfg!(target_os = "linux")),
        })
    }

    /// Without links.
    pub(crate) fn path(&self) -> &Path {
        &self.canonical
    }

    /// The paths that absolute ones may begin with.
    pub(crate) fn prefixes(&self) -> [&Path; 2] {
        [&self.given, &self.canonical]
    }

    pub(crate) fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// Whether what is asked of this root's filesystem may have to wait for a network or for another
    /// process. Where that cannot be known, it is assumed not to.
    pub(crate) fn is_remote(&self) -> bool {
        #[cfg(target_os = "linux")]
        {
            // linux/magic.h, and the sources of the filesystems that are not in it.
            const REMOTE: [u32; 11] = [
                0x6969,      // NFS
                0x517b,      // SMB
                0xff53_4d42, // CIFS
                0xfe53_4d42, // SMB2
                0x6573_5546, // FUSE
                0x0102_1997, // 9p
                0x00c3_6400, // Ceph
                0x5346_414f, // AFS
                0x7375_7245, // Coda
                0x0bd0_0bd0, // Lustre
                0x4750_4653, // GPFS
            ];
            rustix::fs::fstatfs(&self.dir).is_ok_and(|fs| REMOTE.contains(&(fs.f_type as u32)))
        }
        #[cfg(not(target_os = "linux"))]
        {
            false
        }
    }

    /// What a path leads to, wherever that is: one system call, and no promise that it is below the
    /// root. Only for comparing with a file that was found below it.
    pub(crate) fn glance(&self, path: &[u8]) -> Result<Stat, Errno> {
        #[cfg(target_os = "linux")]
        let flags = AtFlags::NO_AUTOMOUNT;
        #[cfg(not(target_os = "linux"))]
        let flags = AtFlags::empty();
        rustix::fs::statat(&self.dir, path, flags)
    }

    /// Opens the regular file at `path` for reading. A pipe or a device is not opened, unless it
    /// takes the place of a file at this very moment; then it is closed again at once.
    pub(crate) fn open_file(&self, path: &[u8]) -> Result<(OwnedFd, Stat), Refusal> {
        if let Ok(stat) = self.glance(path)
            && FileKind::irregular(stat.st_mode).is_some()
        {
            // The glance may have left the root, and what is outside is not told.
            self.stat(path)?;
        }
        let file = self.open_with(path, READ)?;
        let stat = rustix::fs::fstat(&file).map_err(Refusal::to("look at"))?;
        match FileKind::irregular(stat.st_mode) {
            None => Ok((file, stat)),
            Some(kind) => Err(Refusal::NotAFile(kind)),
        }
    }

    /// What the system knows of the regular file at `path`.
    pub(crate) fn stat(&self, path: &[u8]) -> Result<Stat, Refusal> {
        #[cfg(target_os = "linux")]
        let stat = {
            let file = self.open_with(path, OFlags::PATH | OFlags::CLOEXEC)?;
            rustix::fs::fstat(&file).map_err(Refusal::to("look at"))?
        };
        #[cfg(not(target_os = "linux"))]
        let stat = {
            let place = self.place(path, Way::TO_FILE)?;
            rustix::fs::statat(&place.dir, &*place.name, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(Refusal::to("look at"))?
        };
        match FileKind::irregular(stat.st_mode) {
            None => Ok(stat),
            Some(kind) => Err(Refusal::NotAFile(kind)),
        }
    }

    /// Opens a directory, the root itself for the empty path.
    pub(crate) fn open_directory(&self, path: &[u8]) -> Result<OwnedFd, Refusal> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        if path.is_empty() {
            return rustix::fs::openat(&self.dir, c".", flags, Mode::empty())
                .map_err(Refusal::to("open"));
        }
        self.open_with(path, flags)
    }

    /// The directory of a file, its name there, and its path without links.
    pub(crate) fn place(&self, path: &[u8], way: Way) -> Result<Place, Refusal> {
        if path.len() >= LONGEST_PATH {
            return Err(Refusal::System("resolve", Errno::NAMETOOLONG));
        }
        walk::walk(self.dir(), path, way)
    }

    fn open_with(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Refusal> {
        if path.is_empty() {
            return Err(Refusal::NotAFile(FileKind::Directory));
        }
        if self.beneath.load(Relaxed)
            && let Some(opened) = self.open_beneath(path, flags)
        {
            return opened;
        }
        for _ in 0..TRIES {
            let place = self.place(path, Way::TO_FILE)?;
            let flags = flags | OFlags::NOFOLLOW;
            match rustix::fs::openat(&place.dir, &*place.name, flags, Mode::empty()) {
                // It has become a link since the walk looked at it.
                Err(Errno::LOOP | Errno::MLINK) => {}
                other => return other.map_err(Refusal::to("open")),
            }
        }
        Err(Refusal::System("open", Errno::LOOP))
    }

    /// `None` if this system cannot say.
    #[cfg(target_os = "linux")]
    fn open_beneath(&self, path: &[u8], flags: OFlags) -> Option<Result<OwnedFd, Refusal>> {
        use rustix::fs::ResolveFlags;
        // Renames anywhere in the system make the kernel give up on `..`.
        for _ in 0..TRIES {
            let opened = rustix::fs::openat2(
                &self.dir,
                path,
                flags,
                Mode::empty(),
                ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS,
            );
            match opened {
                Ok(file) => return Some(Ok(file)),
                Err(Errno::XDEV) => return Some(Err(Refusal::Outside)),
                Err(Errno::AGAIN | Errno::INTR) => {}
                // An old kernel, or a sandbox that knows no such call.
                Err(Errno::NOSYS | Errno::PERM) => {
                    self.beneath.store(false, Relaxed);
                    return None;
                }
                Err(errno) => return Some(Err(Refusal::System("open", errno))),
            }
        }
        None
    }

    #[cfg(not(target_os = "linux"))]
    fn open_beneath(&self, _path: &[u8], _flags: OFlags) -> Option<Result<OwnedFd, Refusal>> {
        None
    }
}

#[cfg(test)]
mod tests;
