//! Replacing a file so that everybody sees the old one or the new one, whole, also after a crash.
//!
//! What must stay true:
//! 1. The file's name leads to complete content at every instant: the new content is written under
//!    another name in the same directory and renamed.
//! 2. It is synced before it is renamed, and the directory after: what the name leads to after a
//!    power cut is complete too, and the new one once the call has returned.
//! 3. Until the rename nothing but the other name has changed, and an error takes that one away. A
//!    crash leaves it behind; [`temporary`] tells how it is recognised.

mod temporary;

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;

use rustix::fs::{AtFlags, FileType, Gid, Mode, RawMode, Stat, Uid};
use rustix::io::Errno;

use crate::error::{FileKind, Refusal};
use crate::root::{Place, sync_directory};
use crate::steps::{Step, step};
use temporary::Temporary;
pub(crate) use temporary::remove_leftovers;

/// Permissions, and the bits beside them.
const PERMISSIONS: RawMode = 0o7777;

/// How a replacement failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    /// The old file is as it was.
    Refused(Refusal),
    /// The new file is there; whether it stays after a power cut is unknown.
    NotDurable(Errno),
}

impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Writes a file as a whole. If `durable`, it survives a power cut once this has returned.
pub(crate) fn replace(place: &Place, contents: &[u8], durable: bool) -> Result<(), Failed> {
    let old = match place.stat() {
        Ok(stat) => Some(check(stat)?),
        Err(Errno::NOENT) => None,
        Err(errno) => return Err(Refusal::System("look at", errno).into()),
    };
    let temporary = Temporary::create(place, old.is_some())?;
    fill(temporary.file(), contents, old.as_ref(), durable)?;
    temporary.rename_to(&place.name)?;
    if durable {
        step(Step::Renamed).map_err(Failed::NotDurable)?;
        sync_directory(place.dir.as_fd()).map_err(Failed::NotDurable)?;
        step(Step::DirectorySynced).map_err(Failed::NotDurable)?;
    }
    Ok(())
}

/// Takes a file, or a link, away. If `durable`, it stays away once this has returned.
pub(crate) fn remove(place: &Place, durable: bool) -> Result<(), Failed> {
    let stat = place.stat().map_err(Refusal::to("look at"))?;
    if let Some(kind) = FileKind::irregular(stat.st_mode)
        && !is_link(&stat)
    {
        return Err(Refusal::NotAFile(kind).into());
    }
    rustix::fs::unlinkat(&place.dir, &*place.name, AtFlags::empty())
        .map_err(Refusal::to("remove"))?;
    if durable {
        sync_directory(place.dir.as_fd()).map_err(Failed::NotDurable)?;
    }
    Ok(())
}

fn check(old: Stat) -> Result<Stat, Refusal> {
    if is_link(&old) {
        // The way to the file has been followed to its end, so the link is new.
        return Err(Refusal::Moved);
    }
    match FileKind::irregular(old.st_mode) {
        None => Ok(old),
        Some(kind) => Err(Refusal::NotAFile(kind)),
    }
}

fn is_link(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Symlink
}

fn fill(
    mut file: &File,
    contents: &[u8],
    old: Option<&Stat>,
    durable: bool,
) -> Result<(), Refusal> {
    let (half, rest) = contents.split_at(contents.len() / 2);
    let write = |file: &mut &File, bytes: &[u8]| {
        let written = file.write_all(bytes);
        written.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
    };
    if cfg!(test) {
        // So that a test can stop in the middle.
        write(&mut file, half).map_err(Refusal::to("write"))?;
        step(Step::HalfWritten).map_err(Refusal::to("write"))?;
        write(&mut file, rest).map_err(Refusal::to("write"))?;
    } else {
        write(&mut file, contents).map_err(Refusal::to("write"))?;
    }
    step(Step::Written).map_err(Refusal::to("write"))?;
    if let Some(old) = old {
        keep_owner_and_mode(file, old).map_err(Refusal::to("set the permissions of"))?;
    }
    step(Step::Permitted).map_err(Refusal::to("set the permissions of"))?;
    if durable {
        rustix::fs::fsync(file).map_err(Refusal::to("sync"))?;
        step(Step::Synced).map_err(Refusal::to("sync"))?;
    }
    Ok(())
}

/// Gives a new file the owner, group and permissions of the one it replaces, as far as we may. Nobody
/// gets more than before: where the owner or the group cannot be kept, the file runs as nobody else,
/// and where the group cannot, another group may do what everybody may.
fn keep_owner_and_mode(file: &File, old: &Stat) -> Result<(), Errno> {
    let new = rustix::fs::fstat(file)?;
    let uid = (new.st_uid != old.st_uid).then(|| Uid::from_raw(old.st_uid));
    let gid = (new.st_gid != old.st_gid).then(|| Gid::from_raw(old.st_gid));
    let mut mode = old.st_mode & PERMISSIONS;
    if uid.is_some() || gid.is_some() {
        let has_group = gid.is_none() || rustix::fs::fchown(file, None, gid).is_ok();
        let has_owner = uid.is_none() || rustix::fs::fchown(file, uid, None).is_ok();
        if !has_owner || !has_group {
            mode &= 0o777;
        }
        if !has_group {
            mode = (mode & !0o070) | ((mode & 0o007) << 3);
        }
    }
    if new.st_mode & PERMISSIONS != mode || uid.is_some() || gid.is_some() {
        rustix::fs::fchmod(file, Mode::from_raw_mode(mode))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
