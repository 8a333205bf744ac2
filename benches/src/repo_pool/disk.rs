//! Bytes on disk: blocks in use, a file with several links once.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::fixture::{Repository, git};
use super::text;

/// Bytes of a pool with so many slots, the database and all it keeps included.
pub(super) fn of_pool(repository: &Repository, slots: u32) -> Result<f64, String> {
    let pools = repository.pool("disk", slots)?;
    let bytes = blocks(pools.root()).map_err(|error| error.to_string())?;
    Ok(bytes as f64)
}

/// Bytes of so many clones. Links to the upstream repository's own objects count once, as if the
/// first clone had brought them.
pub(super) fn of_clones(repository: &Repository, count: u32, how: &str) -> Result<f64, String> {
    let folder = repository.place("clones");
    let fail = |error: io::Error| error.to_string();
    fs::create_dir(&folder).map_err(fail)?;
    for number in 0..count {
        let (from, to) = (repository.upstream(), folder.join(number.to_string()));
        let args = ["clone", "--quiet", how, text(&from), text(&to)];
        git(Path::new("/"), &args)?;
    }
    let bytes = blocks(&folder).map_err(fail)?;
    fs::remove_dir_all(&folder).map_err(fail)?;
    Ok(bytes as f64)
}

fn blocks(root: &Path) -> io::Result<u64> {
    const BLOCK: u64 = 512;
    let mut seen = HashSet::new();
    let mut bytes = 0;
    let mut open: Vec<PathBuf> = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if seen.insert((metadata.dev(), metadata.ino())) {
                bytes += metadata.blocks() * BLOCK;
            }
            if metadata.is_dir() {
                open.push(entry.path());
            }
        }
    }
    Ok(bytes)
}
