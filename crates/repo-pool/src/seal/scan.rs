//! Looking at every file of a slot: alone while it is small, with every core once it is not.

use std::collections::VecDeque;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};

use super::manifest::{Dir, Entry, Manifest, Stat};

/// Directories that may wait before other threads are asked to help: for fewer, starting them costs more than it saves.
const ALONE: usize = 16;

/// Threads that scan one slot at most: more would only wait for the same directory cache.
const MAX_THREADS: usize = 8;

impl Manifest {
    /// Looks at everything below `top` without following a link.
    pub(crate) fn scan(top: &Path) -> io::Result<Self> {
        if !fs::symlink_metadata(top)?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let mut queue = VecDeque::from([PathBuf::new()]);
        let mut dirs = Vec::new();
        while let Some(path) = queue.pop_front() {
            dirs.push(Dir::scan(top, path, &mut |found| queue.push_back(found))?);
            if queue.len() >= ALONE {
                dirs.append(&mut scan_together(top, queue)?);
                break;
            }
        }
        dirs.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(Self { dirs })
    }
}

impl Dir {
    fn scan(top: &Path, path: PathBuf, found: &mut dyn FnMut(PathBuf)) -> io::Result<Self> {
        let mut unsorted = Vec::new();
        for entry in fs::read_dir(top.join(&path))? {
            let entry = entry?;
            let stat = Stat::of(&entry.metadata()?);
            let name = entry.file_name();
            if stat.is_dir() {
                found(path.join(&name));
            }
            unsorted.push((name, stat));
        }
        unsorted.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let mut names = Vec::new();
        let mut entries = Vec::with_capacity(unsorted.len());
        for (name, stat) in unsorted {
            let name = name.as_encoded_bytes();
            let span = |length: usize| {
                u32::try_from(length).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))
            };
            entries.push(Entry {
                name: (span(names.len())?, span(name.len())?),
                stat,
            });
            names.extend_from_slice(name);
        }
        Ok(Self {
            path,
            names,
            entries,
        })
    }
}

impl Stat {
    #[cfg(unix)]
    fn of(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        let nanos =
            |seconds: i64, nanos: i64| seconds.saturating_mul(1_000_000_000).saturating_add(nanos);
        if metadata.is_dir() {
            return Self {
                mode: metadata.mode(),
                ..Self::default()
            };
        }
        Self {
            mode: metadata.mode(),
            size: metadata.len(),
            inode: metadata.ino(),
            modified: nanos(metadata.mtime(), metadata.mtime_nsec()),
            changed: nanos(metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    #[cfg(not(unix))]
    fn of(metadata: &Metadata) -> Self {
        let modified = metadata
            .modified()
            .ok()
            .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
        let modified =
            modified.map_or(0, |time| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX));
        let kind = if metadata.is_dir() {
            DIRECTORY
        } else {
            u32::from(metadata.is_symlink())
        };
        let file = |value| if metadata.is_dir() { 0 } else { value };
        Self {
            mode: kind,
            size: file(metadata.len()),
            inode: 0,
            modified: if metadata.is_dir() { 0 } else { modified },
            changed: 0,
        }
    }
}

/// Scans what is queued with several threads. Each takes a directory, and queues the ones below it.
fn scan_together(top: &Path, queue: VecDeque<PathBuf>) -> io::Result<Vec<Dir>> {
    struct Work {
        queue: VecDeque<PathBuf>,
        /// Threads that may still queue something.
        busy: usize,
        failed: Option<io::Error>,
    }
    let work = Mutex::new(Work {
        queue,
        busy: 0,
        failed: None,
    });
    let changed = Condvar::new();
    let lock = || work.lock().unwrap_or_else(PoisonError::into_inner);
    let scan = || {
        let mut dirs = Vec::new();
        let mut below = Vec::new();
        loop {
            let mut state = lock();
            let path = loop {
                if state.failed.is_some() {
                    return dirs;
                }
                if let Some(next) = state.queue.pop_back() {
                    break next;
                }
                if state.busy == 0 {
                    return dirs;
                }
                state = changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            };
            state.busy += 1;
            drop(state);
            let scanned = Dir::scan(top, path, &mut |found| below.push(found));
            let mut state = lock();
            state.busy -= 1;
            state.queue.extend(below.drain(..));
            match scanned {
                Ok(dir) => dirs.push(dir),
                Err(error) => state.failed = Some(error),
            }
            drop(state);
            changed.notify_all();
        }
    };
    let threads = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(MAX_THREADS);
    let mut dirs = Vec::new();
    std::thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads).map(|_| scope.spawn(scan)).collect();
        dirs = scan();
        for helper in helpers {
            // A scan panics on nothing of its own; if memory ran out, the panic goes on here.
            dirs.append(
                &mut helper
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            );
        }
    });
    match work
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .failed
    {
        Some(error) => Err(error),
        None => Ok(dirs),
    }
}
