//! A file that is replaced as a whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::json::WriteError;

/// Gives a file this content, all or nothing.
pub(super) fn replace(path: &Path, content: &[u8]) -> Result<(), WriteError> {
    try_replace(path, content).map_err(|source| WriteError {
        path: path.to_owned(),
        source,
    })
}

fn try_replace(path: &Path, content: &[u8]) -> io::Result<()> {
    if path.file_name().is_none() {
        let text = "the path does not name a file";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let folder = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder)?;
    // Opened first: a folder that may not be read is found out before anything is replaced.
    let handle = open_folder(folder)?;
    let (file, new) = create_beside(folder)?;
    let written = fill(file, content, path).and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        // What went wrong before matters more than what cannot be tidied up after it.
        let _ = fs::remove_file(&new);
    }
    written?;
    // Makes the new name last.
    handle.map_or(Ok(()), |folder| folder.sync_all())
}

/// A new file in a folder, under a name that nobody else uses.
fn create_beside(folder: &Path) -> io::Result<(File, PathBuf)> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    /// Names that a killed process with the same number may have left behind.
    const TRIES: u32 = 1_000;
    let mut tries = 0;
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let new = folder.join(format!(".brolly-{}-{number}.tmp", process::id()));
        match OpenOptions::new().write(true).create_new(true).open(&new) {
            Ok(file) => return Ok((file, new)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && tries < TRIES => {
                tries += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

fn fill(mut file: File, content: &[u8], old: &Path) -> io::Result<()> {
    // Before there is anything to read: nobody sees more for a moment than they should.
    if let Ok(old) = fs::metadata(old) {
        file.set_permissions(old.permissions())?;
    }
    file.write_all(content)?;
    file.sync_all()
}

/// Only Unix opens folders as files.
fn open_folder(folder: &Path) -> io::Result<Option<File>> {
    cfg!(unix).then(|| File::open(folder)).transpose()
}
