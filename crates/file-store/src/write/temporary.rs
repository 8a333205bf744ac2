//! Files that are written under another name, and what crashed processes have left of them.
//!
//! The name says whose kind they are; a lock says whether their process lives. It is the system's
//! lock on the open file: it ends with the process, however that ends, and does not care in which
//! container the process lived. So a leftover is a file of that name, old enough to be locked by its
//! maker, that nobody has locked.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, Dir, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{FileKind, Refusal};
use crate::root::Place;
use crate::stamp::{Moment, Stamp};
use crate::steps::{Step, step};

const PREFIX: &[u8] = b".brolly-file-store.";
const SUFFIX: &[u8] = b".tmp";

/// A name is taken only by accident.
const TRIES: usize = 16;

/// Between making a file and locking it, it looks like a leftover.
const TIME_TO_LOCK: Duration = Duration::from_secs(60);

/// How long a file is left alone on filesystems that know no locks.
const WITHOUT_LOCKS: Duration = Duration::from_secs(24 * 60 * 60);

/// A file under a name of its own, removed when this is dropped, unless it was renamed.
#[derive(Debug)]
pub(super) struct Temporary<'p> {
    place: &'p Place,
    name: Vec<u8>,
    /// Locked for as long as it is open.
    file: File,
    is_renamed: bool,
}

impl<'p> Temporary<'p> {
    /// A new file beside the one at `place`. If `closed`, only its owner may look at it; otherwise
    /// it has the permissions of any new file.
    pub(super) fn create(place: &'p Place, closed: bool) -> Result<Self, Refusal> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(if closed { 0o600 } else { 0o666 });
        for _ in 0..TRIES {
            let name = unique_name();
            match rustix::fs::openat(&place.dir, &*name, flags, mode) {
                Ok(file) => {
                    let temporary = Self {
                        place,
                        name,
                        file: file.into(),
                        is_renamed: false,
                    };
                    // Fails where there are no locks; then age alone says what is a leftover.
                    let _ = lock_now(temporary.file.as_fd());
                    step(Step::Created).map_err(Refusal::to("create"))?;
                    return Ok(temporary);
                }
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(Refusal::System("create", errno)),
            }
        }
        Err(Refusal::System("create", Errno::EXIST))
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Puts the file in the place of whatever has that name.
    pub(super) fn rename_to(mut self, name: &[u8]) -> Result<(), Refusal> {
        let dir = &self.place.dir;
        rustix::fs::renameat(dir, &*self.name, dir, name).map_err(Refusal::to("rename"))?;
        self.is_renamed = true;
        Ok(())
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if !self.is_renamed {
            let _ = rustix::fs::unlinkat(&self.place.dir, &*self.name, AtFlags::empty());
        }
    }
}

/// A name that no other process and no other thread gives: the process, the time, a count.
fn unique_name() -> Vec<u8> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let process = std::process::id();
    let time = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos();
    let count = COUNT.fetch_add(1, Relaxed);
    let mut name = PREFIX.to_vec();
    name.extend_from_slice(format!("{process:x}-{time:x}-{count:x}").as_bytes());
    name.extend_from_slice(SUFFIX);
    name
}

pub(super) fn is_temporary_name(name: &[u8]) -> bool {
    let middle = name.strip_prefix(PREFIX);
    let Some(middle) = middle.and_then(|rest| rest.strip_suffix(SUFFIX)) else {
        return false;
    };
    let is_number = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_hexdigit);
    middle
        .split(|byte| *byte == b'-')
        .filter(|part| is_number(part))
        .count()
        == 3
        && middle.iter().filter(|byte| **byte == b'-').count() == 2
}

/// Removes the temporary files in a directory whose processes are gone. Returns how many.
///
/// What cannot be looked at or removed is left alone: it may belong to somebody else.
pub(crate) fn remove_leftovers(dir: BorrowedFd<'_>, now: Moment) -> Result<u64, Errno> {
    let mut removed = 0;
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if is_temporary_name(name) && remove_leftover(dir, name, now).is_ok() {
            removed += 1;
        }
    }
    Ok(removed)
}

/// An error of any kind means that it is, or may be, in use.
fn remove_leftover(dir: BorrowedFd<'_>, name: &[u8], now: Moment) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file: OwnedFd = rustix::fs::openat(dir, name, flags, Mode::empty())?;
    let stat = rustix::fs::fstat(&file)?;
    if FileKind::irregular(stat.st_mode).is_some() {
        return Err(Errno::BUSY);
    }
    let age = Stamp::of(&stat).modified.until(now);
    // Not even locked for a moment while it is young: its maker, who tries once, would get no lock.
    let age = age.filter(|age| *age >= TIME_TO_LOCK).ok_or(Errno::BUSY)?;
    match lock_now(file.as_fd()) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Err(Errno::WOULDBLOCK),
        Err(_) if age >= WITHOUT_LOCKS => {}
        Err(_) => return Err(Errno::BUSY),
    }
    rustix::fs::unlinkat(dir, name, AtFlags::empty())
}

fn lock_now(file: BorrowedFd<'_>) -> Result<(), Errno> {
    rustix::io::retry_on_intr(|| rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive))
}
