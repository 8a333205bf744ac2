//! Whose the root and the database's files are, and who may read them.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;

use crate::error::Error;

/// Refuses a root of another user, who could put anything in the place of what is in it.
#[cfg(unix)]
pub(super) fn check_owner(root: &Path) -> Result<(), Error> {
    use std::os::unix::fs::MetadataExt;
    let owner = fs::metadata(root)
        .map_err(Error::io("look at", root))?
        .uid();
    if owner == rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    Err(Error::ForeignRoot {
        path: root.to_owned(),
    })
}

/// Makes the file if there is none, closed to other users from its first moment on; SQLite gives the
/// files beside it the same mode.
pub(super) fn create_empty(path: &Path) -> Result<(), Error> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(Error::io("create", path)(error)),
    }
}

/// Takes every permission that `mode` does not hold from a file or folder, if it is there.
#[cfg(unix)]
pub(super) fn close_to_others(path: &Path, mode: u32) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt;
    let close = || {
        let found = fs::metadata(path)?.permissions().mode() & 0o7777;
        if found & !mode == 0 {
            return Ok(());
        }
        fs::set_permissions(path, fs::Permissions::from_mode(found & mode))
    };
    match close() {
        // The log's files come and go with the connections of other processes.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        closed => closed.map_err(Error::io("close to other users", path)),
    }
}

#[cfg(not(unix))]
pub(super) fn check_owner(_root: &Path) -> Result<(), Error> {
    Ok(())
}

#[cfg(not(unix))]
pub(super) fn close_to_others(_path: &Path, _mode: u32) -> Result<(), Error> {
    Ok(())
}
