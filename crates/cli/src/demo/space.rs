//! How much disk a folder takes.

use std::fs;
use std::io;
use std::path::Path;

/// Bytes that the files below take on the disk; links are not followed, shared blocks are counted each time.
pub(super) fn on_disk(path: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    let mut queue = vec![path.to_owned()];
    while let Some(dir) = queue.pop() {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            bytes += allocated(&metadata);
            if metadata.is_dir() {
                queue.push(entry.path());
            }
        }
    }
    Ok(bytes)
}

#[cfg(unix)]
fn allocated(metadata: &fs::Metadata) -> u64 {
    /// The unit of `st_blocks`, whatever the file system's own block size.
    const BLOCK: u64 = 512;
    std::os::unix::fs::MetadataExt::blocks(metadata) * BLOCK
}

#[cfg(not(unix))]
fn allocated(metadata: &fs::Metadata) -> u64 {
    metadata.len()
}

/// Bytes for people.
pub(super) fn readable(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
