//! [`ProcessLock`]: a lock on a path among processes, held by a file beside it.
//!
//! The file that the path names cannot carry the lock, since every write puts another file in its
//! place. The lock file is removed by its holder. Who has waited for a file that was removed meanwhile
//! holds nothing, and tries again with the one that has the name now.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{FileKind, Refusal};
use crate::root::Place;

const PREFIX: &[u8] = b".brolly-lock.";

/// As long as a name in a directory may be.
const LONGEST_NAME: usize = 255;

/// Holds a path among processes until it is dropped, or until the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct ProcessLock {
    place: Place,
    name: Vec<u8>,
    /// Carries the lock.
    file: OwnedFd,
}

impl ProcessLock {
    /// Takes the lock of the file at `place`, or gives the place back if another process has it.
    pub(crate) fn try_acquire(place: Place) -> Result<Result<Self, Place>, Refusal> {
        Self::attempt(place, FlockOperation::NonBlockingLockExclusive)
    }

    /// Takes the lock of the file at `place`, and waits for it however long that takes.
    pub(crate) fn acquire(mut place: Place) -> Result<Self, Refusal> {
        loop {
            match Self::attempt(place, FlockOperation::LockExclusive)? {
                Ok(lock) => return Ok(lock),
                Err(same) => place = same,
            }
        }
    }

    /// Whether it excludes others from `place`: its directory is the one that the lock was taken in.
    pub(crate) fn covers(&self, place: &Place) -> Result<bool, Errno> {
        let locked = rustix::fs::fstat(&self.place.dir)?;
        let there = rustix::fs::fstat(&place.dir)?;
        Ok((locked.st_dev, locked.st_ino) == (there.st_dev, there.st_ino))
    }

    fn attempt(place: Place, operation: FlockOperation) -> Result<Result<Self, Place>, Refusal> {
        let name = lock_name(&place.name);
        // Should a pipe or a terminal have the name, opening it neither waits nor makes it ours.
        let flags = OFlags::RDONLY
            | OFlags::CREATE
            | OFlags::NOFOLLOW
            | OFlags::NONBLOCK
            | OFlags::NOCTTY
            | OFlags::CLOEXEC;
        loop {
            // Whoever may write in the directory may use the lock; nobody needs to write in it.
            let file = rustix::fs::openat(&place.dir, &*name, flags, Mode::from_raw_mode(0o644))
                .map_err(Refusal::to("lock"))?;
            let stat = rustix::fs::fstat(&file).map_err(Refusal::to("lock"))?;
            if FileKind::irregular(stat.st_mode).is_some() || stat.st_size != 0 {
                // Not a lock file, so it would be wrong to take it away afterwards.
                return Err(Refusal::System("lock", Errno::EXIST));
            }
            match rustix::io::retry_on_intr(|| rustix::fs::flock(file.as_fd(), operation)) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => return Ok(Err(place)),
                Err(errno) => return Err(Refusal::System("lock", errno)),
            }
            if has_name(&file, &place, &name).map_err(Refusal::to("lock"))? {
                return Ok(Ok(Self { place, name, file }));
            }
        }
    }
}

/// Whether the file is still the one of that name.
fn has_name(file: &OwnedFd, place: &Place, name: &[u8]) -> Result<bool, Errno> {
    let held = rustix::fs::fstat(file)?;
    match rustix::fs::statat(&place.dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(named) => Ok((named.st_dev, named.st_ino) == (held.st_dev, held.st_ino)),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// The name of the lock file. Long names are cut, with a checksum of what went; should two files of a
/// directory get the same, they share a lock.
fn lock_name(name: &[u8]) -> Vec<u8> {
    let mut lock = PREFIX.to_vec();
    if PREFIX.len() + name.len() <= LONGEST_NAME {
        lock.extend_from_slice(name);
        return lock;
    }
    // FNV-1a: the same in every process and every version.
    let sum = name.iter().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let sum = format!(".{sum:016x}");
    lock.extend_from_slice(&name[..LONGEST_NAME - PREFIX.len() - sum.len()]);
    lock.extend_from_slice(sum.as_bytes());
    lock
}

impl Drop for ProcessLock {
    fn drop(&mut self) {
        // While it is still held: afterwards the name may be another holder's. It may be now, if
        // somebody has cleared the lock file away.
        if has_name(&self.file, &self.place, &self.name) == Ok(true) {
            let _ = rustix::fs::unlinkat(&self.place.dir, &*self.name, AtFlags::empty());
        }
    }
}
