//! Wakes whoever waits for a slot when one becomes free, across processes and without polling.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::process::Cancel;

/// A file that is written to whenever a slot becomes free. What is written does not matter.
#[derive(Clone, Debug)]
pub(crate) struct Bell {
    path: PathBuf,
}

impl Bell {
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Wakes every listener.
    pub(crate) fn ring(&self) -> io::Result<()> {
        let mut options = OpenOptions::new();
        // The byte is written over: a file that is cut and written anew is flushed by some file systems.
        options
            .create(true)
            .write(true)
            .truncate(false)
            .open(&self.path)?
            .write_all(b"!")
    }

    /// Begins to listen: a ring from now on ends the next wait.
    pub(crate) fn listen(&self) -> io::Result<Listener> {
        if !self.path.exists() {
            self.ring()?;
        }
        Listener::new(&self.path)
    }
}

/// Hears rings through inotify. A system that has none, or none left to give, is looked at again and again.
pub(crate) struct Listener {
    #[cfg(target_os = "linux")]
    inotify: Option<std::os::fd::OwnedFd>,
}

impl Listener {
    #[cfg(target_os = "linux")]
    fn new(path: &Path) -> io::Result<Self> {
        use rustix::fs::inotify;
        use rustix::io::Errno;
        let inotify =
            match inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK) {
                Ok(inotify) => inotify,
                // A user may have 128 of them at once, by default.
                Err(Errno::MFILE | Errno::NFILE | Errno::NOSYS) => {
                    return Ok(Self { inotify: None });
                }
                Err(error) => return Err(error.into()),
            };
        match inotify::add_watch(&inotify, path, inotify::WatchFlags::MODIFY) {
            Ok(_) => Ok(Self {
                inotify: Some(inotify),
            }),
            Err(Errno::NOSPC) => Ok(Self { inotify: None }),
            Err(error) => Err(error.into()),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn new(_path: &Path) -> io::Result<Self> {
        Ok(Self {})
    }

    /// Waits for a ring, for `until`, or for `cancel`, whichever comes first.
    pub(crate) fn wait(&mut self, until: Instant, cancel: Option<&Cancel>) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        if let Some(inotify) = &self.inotify {
            use rustix::event::{PollFd, PollFlags};
            let mut fds = vec![PollFd::new(inotify, PollFlags::IN)];
            fds.extend(cancel.map(|cancel| PollFd::new(cancel.reader(), PollFlags::IN)));
            crate::process::wait_for(&mut fds, Some(until))?;
            // Rings that came meanwhile are one wake-up, so the queue is emptied.
            let mut events = [0; 4096];
            while matches!(rustix::io::read(inotify, &mut events), Ok(count) if count > 0) {}
            return Ok(());
        }
        let pause = until
            .saturating_duration_since(Instant::now())
            .min(LOOK_WITHOUT_EVENTS);
        match cancel {
            Some(cancel) => drop(cancel.wait_timeout(pause)),
            None => std::thread::sleep(pause),
        }
        Ok(())
    }
}

/// How long a waiter goes without looking where nothing tells it.
const LOOK_WITHOUT_EVENTS: Duration = Duration::from_millis(20);

/// How long a waiter goes without looking for owners that died: their end rings no bell.
pub(crate) const LOOK_FOR_DEAD_OWNERS: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Bell;

    #[test]
    fn a_ring_between_listening_and_waiting_is_not_lost() {
        let dir = tempfile::tempdir().expect("dir");
        let bell = Bell::new(dir.path().join("bell"));
        let mut listener = bell.listen().expect("listen");
        bell.ring().expect("ring");
        let started = Instant::now();
        listener
            .wait(started + Duration::from_secs(30), None)
            .expect("wait");
        assert!(started.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn without_a_ring_the_wait_ends_in_time() {
        let dir = tempfile::tempdir().expect("dir");
        let bell = Bell::new(dir.path().join("bell"));
        let mut listener = bell.listen().expect("listen");
        let until = Instant::now() + Duration::from_millis(5);
        while Instant::now() < until {
            listener.wait(until, None).expect("wait");
        }
    }
}
