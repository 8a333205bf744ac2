//! An advisory lock on a file, shared by threads and processes, with a time limit and the holder's name.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::process::Cancel;

/// How long a waiter goes without looking at its cancel handle.
const LOOK_FOR_CANCEL: Duration = Duration::from_millis(50);

/// Holds the lock until it is dropped, or until the process ends, however it ends.
///
/// Every holder opens the file anew, so the lock excludes threads of one process as well. The
/// descriptor is close-on-exec: a child never keeps a lock that its parent has given up.
#[derive(Debug)]
pub(crate) struct FileLock {
    file: File,
}

impl FileLock {
    /// Takes the lock at `path`, which is created if need be, and waits for it at most `timeout`.
    pub(crate) fn acquire(
        path: &Path,
        timeout: Duration,
        cancel: Option<&Cancel>,
    ) -> Result<Self, Error> {
        let open = || {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            options.open(path).map_err(Error::io("open lock", path))
        };
        let file = open()?;
        match file.try_lock() {
            Ok(()) => return Ok(Self { file }),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(Error::io("lock", path)(error)),
        }
        // The system's wait has no time limit, so a thread waits and hands the lock over. If nobody
        // takes it any more, the send fails and dropping the file gives the lock back.
        let (sender, receiver) = mpsc::sync_channel(0);
        std::thread::Builder::new()
            .name("brolly-lock".into())
            .spawn(move || {
                let locked = file.lock().map(|()| file);
                let _ = sender.send(locked);
            })
            .map_err(Error::io("wait for lock", path))?;
        let started = Instant::now();
        loop {
            let left = timeout.saturating_sub(started.elapsed());
            // A channel and a cancel handle cannot be waited for together.
            let pause = if cancel.is_some() {
                left.min(LOOK_FOR_CANCEL)
            } else {
                left
            };
            match receiver.recv_timeout(pause) {
                Ok(locked) => {
                    return Ok(Self {
                        file: locked.map_err(Error::io("lock", path))?,
                    });
                }
                Err(_) if cancel.is_some_and(Cancel::is_cancelled) => return Err(Error::Cancelled),
                Err(RecvTimeoutError::Timeout) if started.elapsed() < timeout => {}
                Err(_) => {
                    return Err(Error::LockTimeout {
                        path: path.to_owned(),
                        timeout,
                        holder: read_holder(path),
                    });
                }
            }
        }
    }

    /// Takes the lock and writes `holder` into the file, for the message of whoever waits in vain.
    pub(crate) fn acquire_as(
        path: &Path,
        timeout: Duration,
        holder: &str,
        cancel: Option<&Cancel>,
    ) -> Result<Self, Error> {
        let mut lock = Self::acquire(path, timeout, cancel)?;
        let written = lock.file.set_len(0).and_then(|()| lock.file.rewind());
        written
            .and_then(|()| lock.file.write_all(holder.as_bytes()))
            .map_err(Error::io("write lock", path))?;
        Ok(lock)
    }
}

fn read_holder(path: &Path) -> Option<String> {
    let mut holder = String::new();
    File::open(path)
        .ok()?
        .take(1000)
        .read_to_string(&mut holder)
        .ok()?;
    Some(holder).filter(|holder| !holder.is_empty())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::FileLock;
    use crate::error::Error;

    #[test]
    fn two_threads_never_hold_the_lock_at_once() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("lock");
        let inside = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let lock =
                            FileLock::acquire(&path, Duration::from_secs(60), None).expect("lock");
                        assert_eq!(inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                        inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                        drop(lock);
                    }
                });
            }
        });
    }

    #[test]
    fn waiting_in_vain_names_the_holder_and_leaves_the_lock_usable() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("lock");
        let held =
            FileLock::acquire_as(&path, Duration::from_secs(1), "process 7", None).expect("free");
        match FileLock::acquire(&path, Duration::from_millis(20), None) {
            Err(Error::LockTimeout { holder, .. }) => {
                assert_eq!(holder.as_deref(), Some("process 7"))
            }
            other => panic!("{other:?}"),
        }
        drop(held);
        FileLock::acquire(&path, Duration::from_secs(60), None).expect("given up by both");
    }
}
