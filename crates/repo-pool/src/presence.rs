//! A process's presence under a root: a lock that is free only once nothing of the process can still begin to work.
//!
//! A dead owner's process id tells that it is gone, but not its last child: one that was forked and has
//! not become its own program yet works nowhere that could be seen. Until then it shares every open
//! file of its parent, this lock included, and the lock is released when the last of them closes it,
//! by becoming another program (the file is close-on-exec) or by ending.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use brolly_sync::Clock;

use crate::clock::BootClock;
use crate::error::Error;
use crate::lock::FileLock;

/// How long to wait for a dead owner's last child; a process that forks and never becomes another program keeps the lock.
const PATIENCE: Duration = Duration::from_secs(2);

/// Held for as long as a handle on the root lives.
#[derive(Debug)]
pub(crate) struct Presence {
    path: PathBuf,
    _locked: File,
}

impl Presence {
    /// Makes this process present, and removes what those that are gone left.
    pub(crate) fn announce(root: &Path) -> Result<Self, Error> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let dir = root.join("owners");
        fs::create_dir_all(&dir).map_err(Error::io("create", &dir))?;
        sweep(&dir);
        let (now, number) = (
            BootClock.now().as_nanos(),
            COUNT.fetch_add(1, Ordering::Relaxed),
        );
        let path = dir.join(format!("{}-{now}-{number}.lock", std::process::id()));
        // The file gets its name when it is locked: nobody ever finds it free while its process lives.
        let unnamed = path.with_extension("new");
        let locked = File::create_new(&unnamed).map_err(Error::io("create", &unnamed))?;
        locked.lock().map_err(Error::io("lock", &unnamed))?;
        fs::rename(&unnamed, &path).map_err(Error::io("name", &path))?;
        Ok(Self {
            path,
            _locked: locked,
        })
    }

    /// The name by which others know it.
    pub(crate) fn name(&self) -> String {
        self.path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        // What cannot be removed now is swept by the next process.
        let _ = fs::remove_file(&self.path);
    }
}

/// Waits until no child of a dead owner can be about to become another program.
pub(crate) fn wait_for_last_child(root: &Path, presence: &str) {
    let path = root.join("owners").join(presence);
    // A file that is gone was free when it was removed.
    if !presence.is_empty() && path.exists() {
        let _ = FileLock::acquire(&path, PATIENCE, None);
        let _ = fs::remove_file(&path);
    }
}

fn sweep(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path
            .extension()
            .is_some_and(|extension| extension == "lock")
        {
            let free = File::open(&path).is_ok_and(|file| file.try_lock().is_ok());
            if free {
                let _ = fs::remove_file(&path);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Presence, wait_for_last_child};

    #[test]
    fn a_presence_lasts_as_long_as_its_process_and_leaves_nothing() {
        let root = tempfile::tempdir().expect("dir");
        let first = Presence::announce(root.path()).expect("present");
        let second = Presence::announce(root.path()).expect("present");
        assert_ne!(first.name(), second.name());
        let path = root.path().join("owners").join(first.name());
        assert!(path.exists(), "the second one swept a process that lives");
        drop(first);
        assert!(!path.exists());
    }

    #[test]
    fn what_a_dead_process_left_is_waited_for_and_removed() {
        let root = tempfile::tempdir().expect("dir");
        let presence = Presence::announce(root.path()).expect("present");
        let (name, path) = (presence.name(), presence.path.clone());
        std::fs::rename(&path, path.with_extension("kept")).expect("rename");
        drop(presence);
        std::fs::rename(path.with_extension("kept"), &path).expect("rename");
        wait_for_last_child(root.path(), &name);
        assert!(!path.exists());
    }
}
