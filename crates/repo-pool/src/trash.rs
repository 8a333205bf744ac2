//! Getting rid of things: moved out of the way in one step, deleted when nobody waits for it.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use brolly_sync::Clock;

use crate::clock::BootClock;
use crate::error::Error;
use crate::mount::Mounts;

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
    let mut entries = entries.flatten().peekable();
    if entries.peek().is_none() {
        return;
    }
    // Deleting would go on into whatever is mounted there.
    let mounted = Mounts::now();
    for entry in entries.filter(|entry| mounted.below(&entry.path()).is_none()) {
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
