//! The demo's own folder: gone at the end, and at the next start if this run is killed.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::failure::Failure;

const PREFIX: &str = "brolly-demo-";

/// A folder of this run. A file in it is locked for as long as the process lives, however it ends.
#[derive(Debug)]
pub(super) struct Home {
    dir: TempDir,
    _lock: File,
}

impl Home {
    /// Makes the folder, and removes those of runs that were killed.
    pub(super) fn new(keep: bool) -> Result<Self, Failure> {
        let fail = || Failure::io("cannot make a folder for the demo");
        let base = std::env::temp_dir();
        sweep(&base);
        let mut dir = tempfile::Builder::new()
            .prefix(PREFIX)
            .tempdir()
            .map_err(fail())?;
        dir.disable_cleanup(keep);
        // The file gets its name when it is locked: a sweep never finds it unlocked while its run lives.
        let unnamed = dir.path().join("lock.new");
        let lock = File::create_new(&unnamed).map_err(fail())?;
        lock.lock().map_err(fail())?;
        fs::rename(&unnamed, dir.path().join("lock")).map_err(fail())?;
        if keep {
            // What is meant to stay is no left-over of a killed run.
            fs::write(dir.path().join("keep"), "").map_err(fail())?;
        }
        Ok(Self { dir, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

/// Removes the folders of runs that are gone. What cannot be removed is in nobody's way, and what another user put here
/// under such a name is left alone.
fn sweep(base: &Path) {
    let Ok(entries) = fs::read_dir(base) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let is_ours = entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.starts_with(PREFIX))
            && is_mine(&path, fs::FileType::is_dir);
        let is_kept = fs::symlink_metadata(path.join("keep")).is_ok();
        if is_ours && !is_kept && is_unlocked(&path.join("lock")) {
            let _ = fs::remove_dir_all(path);
        }
    }
}

/// Whether a lock file is there that nobody holds. Only an ordinary file is opened: a pipe would make this process wait
/// for its other end, a device might do anything.
fn is_unlocked(path: &Path) -> bool {
    is_mine(path, fs::FileType::is_file)
        && open_without_waiting(path).is_ok_and(|lock| {
            let is_file = lock.metadata().is_ok_and(|metadata| metadata.is_file());
            is_file && lock.try_lock().is_ok()
        })
}

/// Whether the path itself, not what it links to, is of this kind and belongs to this user.
fn is_mine(path: &Path, kind: impl Fn(&fs::FileType) -> bool) -> bool {
    fs::symlink_metadata(path)
        .is_ok_and(|metadata| kind(&metadata.file_type()) && belongs_to_this_user(&metadata))
}

#[cfg(unix)]
fn belongs_to_this_user(metadata: &fs::Metadata) -> bool {
    std::os::unix::fs::MetadataExt::uid(metadata) == rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
fn belongs_to_this_user(_: &fs::Metadata) -> bool {
    true
}

/// Opens a file for reading; whatever took its place since it was looked at neither is followed nor makes this wait.
#[cfg(unix)]
fn open_without_waiting(path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
}

#[cfg(not(unix))]
fn open_without_waiting(path: &Path) -> io::Result<File> {
    File::open(path)
}

#[cfg(test)]
mod tests {
    use super::{Home, sweep};
    use std::fs;

    #[test]
    fn a_folder_lives_with_its_run_and_goes_with_the_next_sweep_after_it() {
        let base = tempfile::tempdir().expect("dir");
        let left = base.path().join("brolly-demo-left");
        fs::create_dir(&left).expect("mkdir");
        fs::write(left.join("lock"), "").expect("write");
        let other = base.path().join("other");
        fs::create_dir(&other).expect("mkdir");
        let held = base.path().join("brolly-demo-held");
        fs::create_dir(&held).expect("mkdir");
        let lock = fs::File::create(held.join("lock")).expect("create");
        lock.lock().expect("lock");
        sweep(base.path());
        assert!(!left.exists() && other.exists() && held.exists());
    }

    #[test]
    fn a_folder_is_gone_when_its_run_ends() {
        let home = Home::new(false).expect("a folder");
        let path = home.path().to_owned();
        sweep(path.parent().expect("a base"));
        assert!(path.exists());
        drop(home);
        assert!(!path.exists());
    }
}
